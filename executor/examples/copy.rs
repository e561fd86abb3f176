//! Copies a file: several chunks are on their way at the same time, progress is shown, and what is there in the end is
//! whole and on the disk, or not there at all.
//!
//! ```text
//! cargo run --release --example copy -- SOURCE TARGET
//! ```

use std::cell::Cell;
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use krug::buf::{Buffer, IoBuf, Slice};
use krug::fs::{self, File, Metadata};
use krug::time::interval;

/// How many chunks are on their way at the same time.
const LANES: usize = 8;
const CHUNK: usize = 256 << 10;

struct Copying {
    source: File,
    target: File,
    len: u64,
    /// Where the next chunk begins.
    next: Cell<u64>,
    /// How many bytes have been written.
    done: Cell<u64>,
}

#[krug::main]
async fn main() {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(source), Some(target), None) = (arguments.next(), arguments.next(), arguments.next())
    else {
        eprintln!("usage: copy SOURCE TARGET");
        std::process::exit(2);
    };
    let begin = Instant::now();
    match copy(&source, &target).await {
        Ok(len) => println!("{len} bytes in {:.2?}", begin.elapsed()),
        Err(error) => {
            eprintln!("copy: {error}");
            std::process::exit(1);
        }
    }
}

async fn copy(source_path: &Path, target_path: &Path) -> io::Result<u64> {
    let metadata = fs::metadata(source_path).await?;
    if !metadata.is_file() {
        return Err(refused(source_path, "is not a file"));
    }
    let source = File::open(source_path).await?;
    // What is there now stays until the copy is whole: that has another name until then.
    let target_path = match fs::canonicalize(target_path).await {
        Ok(path) => path,
        Err(_) => target_path.to_owned(), // is not there, or cannot be written either
    };
    match fs::metadata(&target_path).await {
        Ok(old) if (old.dev(), old.ino()) == (metadata.dev(), metadata.ino()) => {
            return Err(refused(&target_path, "is the source itself"));
        }
        Ok(old) if !old.is_file() => return Err(refused(&target_path, "is there and not a file")),
        _ => {}
    }
    let mut part_path = OsString::from(&target_path);
    part_path.push(format!(".{}.part", std::process::id()));
    let target = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&part_path)
        .await?;

    let placed = async {
        fill(source, target, &metadata).await?;
        fs::rename(&part_path, &target_path).await
    };
    if let Err(error) = placed.await {
        fs::remove_file(&part_path).await?;
        return Err(error);
    }
    // The new name is on the disk when its folder is.
    let folder = target_path
        .parent()
        .filter(|folder| *folder != Path::new(""));
    let folder = File::open(folder.unwrap_or(Path::new("."))).await?;
    folder.sync_all().await?;
    Ok(metadata.len())
}

/// Everything of `source` in `target`, with its permissions, on the disk.
async fn fill(source: File, target: File, metadata: &Metadata) -> io::Result<()> {
    let copying = Rc::new(Copying {
        source,
        target,
        len: metadata.len(),
        next: Cell::new(0),
        done: Cell::new(0),
    });
    let lanes: Vec<_> = (0..LANES)
        .map(|_| krug::spawn(lane(copying.clone())))
        .collect();
    let mut all = pin!(async {
        let mut result = Ok(());
        // All of them, also after an error: nobody writes any more when this is over.
        for lane in lanes {
            let ended = lane.await.map_err(io::Error::other);
            result = result.and(ended.and_then(|copied| copied));
        }
        result
    });
    let mut ticks = interval(Duration::from_millis(100));
    loop {
        krug::select! {
            result = &mut all => break result?,
            _ = ticks.tick() => copying.show_progress(),
        }
    }
    copying.show_progress();
    let target = &copying.target;
    target.set_permissions(metadata.permissions()).await?;
    target.sync_all().await
}

/// One of several that copy beside each other: takes the next chunk until there is none.
async fn lane(copying: Rc<Copying>) -> io::Result<()> {
    // Of memory that the kernel knows already, if there is room.
    let mut buf = krug::buf::alloc(CHUNK);
    loop {
        let begin = copying.next.get();
        let end = copying.len.min(begin + CHUNK as u64);
        if begin == end {
            return Ok(());
        }
        copying.next.set(end);
        let part = buf.slice(..(end - begin) as usize);
        buf = match copying.copy_part(part, begin).await {
            Ok(part) => part.into_inner(),
            Err(error) => {
                copying.next.set(copying.len); // the others need not begin anything
                return Err(error);
            }
        };
    }
}

impl Copying {
    /// As many bytes as `part` has room for.
    async fn copy_part(&self, part: Slice<Buffer>, begin: u64) -> io::Result<Slice<Buffer>> {
        let (read, part) = self.source.read_exact_at(part, begin).await;
        read?;
        let (written, part) = self.target.write_all_at(part, begin).await;
        written?;
        self.done.set(self.done.get() + part.len() as u64);
        Ok(part)
    }

    /// One line that is written over and over; nothing if nobody looks.
    fn show_progress(&self) {
        if io::stderr().is_terminal() {
            eprint!("\r{} of {} bytes ", self.done.get(), self.len);
        }
    }
}

fn refused(path: &Path, why: &str) -> io::Error {
    let message = format!("{} {why}", path.display());
    io::Error::new(io::ErrorKind::InvalidInput, message)
}
