//! Files: a write whose future is dropped is done whole or not at all, and whatever touches the same bytes later sees that.

use std::path::Path;
use std::rc::Rc;

use krug::fs::{File, OpenOptions};
use krug::io::{AsyncWriteOwned, Canceller};
use krug_tests::disk;

use crate::ways::{Outcome, World};

/// One file of a few kilobytes.
pub(crate) async fn file(world: Rc<World>) {
    let folder = disk::folder_in_memory();
    let place = folder.path().join("file");
    let mut options = OpenOptions::new();
    let opening = options.read(true).write(true).create(true).open(&place);
    let file = Rc::new(opening.await.expect("a file"));
    let mut known = Vec::new();
    for _ in 0..world.steps / 8 {
        if world.random.below(3) > 0 {
            write(&world, &file, &mut known, &place).await;
        } else {
            read(&world, &file, &known).await;
        }
    }
    let file = Rc::into_inner(file).expect("every future of it is gone");
    if let Err(error) = file.close().await {
        world.complain(format!("closing a file: {error}"));
    }
    if disk::read(&place).expect("the file") != known {
        world.complain("a closed file is not as it should be".to_owned());
    }
}

/// Writes, or cuts; then looks what has come of it: all or nothing.
async fn write(world: &Rc<World>, file: &Rc<File>, known: &mut Vec<u8>, place: &Path) {
    let (handle, offset) = (file.clone(), world.random.below(3000));
    let bytes = world.random.bytes(1 + world.random.below(400));
    let mut after = known.clone();
    let way = world.random.below(4);
    if way == 3 {
        after.resize(offset, 0);
    } else {
        after.resize(after.len().max(offset + bytes.len()), 0);
        after[offset..offset + bytes.len()].copy_from_slice(&bytes);
    }
    let (buffer, committed) = (world.buffer(bytes.clone()), bytes.clone());
    let changing = async move {
        match way {
            0 => handle.write_all_at(buffer, offset as u64).await.0,
            1 => {
                let vectored = handle.write_all_vectored_at([buffer], offset as u64);
                vectored.await.0
            }
            2 => {
                handle.seek(std::io::SeekFrom::Start(offset as u64)).await?;
                (&*handle).commit(committed).await.0
            }
            _ => handle.set_len(offset as u64).await,
        }
    };
    let outcome = world.end(changing).await;
    // Waits for what was dropped; its errors would show here.
    if let Err(error) = file.flush().await {
        world.complain(format!("a change of a file: {error}"));
    }
    let found = disk::read(place).expect("the file");
    let (may_be_done, may_be_undone) = match &outcome {
        Outcome::Done(Ok(())) => (true, false),
        Outcome::NeverPolled => (false, true),
        Outcome::Done(Err(error)) if !Canceller::was_cancelled(error) => {
            world.complain(format!("a change of a file: {error}"));
            (true, true)
        }
        Outcome::Dropped | Outcome::Done(Err(_)) => (true, true),
    };
    // A cancel may come between a short write and the rest: the writer has asked for that. A drop does not do this.
    let was_cancelled = matches!(outcome, Outcome::Done(Err(_)));
    let is_begun = |count: &usize| {
        let mut begun = known.clone();
        begun.resize(begun.len().max(offset + count), 0);
        begun[offset..offset + count].copy_from_slice(&bytes[..*count]);
        found == begun
    };
    let is_right = (may_be_done && found == after)
        || (may_be_undone && found == *known)
        || (was_cancelled && way < 3 && (1..bytes.len()).any(|count| is_begun(&count)));
    if !is_right {
        world.complain(format!(
            "a change of a file ({way}) was done in part, or not as said"
        ));
    }
    *known = found;
}

async fn read(world: &Rc<World>, file: &Rc<File>, known: &[u8]) {
    let (handle, offset) = (file.clone(), world.random.below(3000));
    let room = world.buffer(Vec::with_capacity(1 + world.random.below(500)));
    let reading = async move {
        let (result, buffer) = handle.read_at(room, offset as u64).await;
        result.map(|_| buffer.bytes().to_vec())
    };
    match world.end(reading).await {
        Outcome::Done(Ok(bytes)) => {
            let expected = known.get(offset..).unwrap_or_default();
            if !expected.starts_with(&bytes) || (bytes.is_empty() && !expected.is_empty()) {
                world.complain(format!("a read of a file at {offset} saw something else"));
            }
        }
        Outcome::Done(Err(error)) if !Canceller::was_cancelled(&error) => {
            world.complain(format!("a read of a file: {error}"));
        }
        _ => {}
    }
}
