//! Files that are read and written past the kernel's cache.

use std::io::ErrorKind;
use std::pin::pin;

use krug::buf::{Buffer, IoBuf};
use krug::fs::{DirectFile, OpenOptions};
use krug::runtime::Faults;
use krug_tests::{Random, poll_once, run, run_with, turns};

krug_tests::on_every_driver!();

/// Where the tests write; `None`, and a word about it, if no direct I/O is to be had there.
async fn file() -> Option<(tempfile::TempDir, DirectFile)> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    match DirectFile::create(folder.path().join("file")).await {
        Ok(file) => Some((folder, file)),
        Err(error) => {
            println!("skipped: {error}");
            None
        }
    }
}

fn filled(file: &DirectFile, bytes: &[u8]) -> Buffer {
    let mut buffer = file.buffer(bytes.len());
    buffer.extend_from_slice(bytes);
    buffer
}

#[test]
fn what_was_written_is_read_also_in_several_pieces() {
    let random = Random::new();
    let faults = Faults::new();
    run_with(
        |builder| builder.faults(faults.clone()),
        |runtime| {
            runtime.block_on(async {
                let Some((_folder, file)) = file().await else {
                    return;
                };
                let bytes = random.bytes(3 * 1024 * 1024 + 512 * 1024);
                let before = faults.operations();
                let (written, buffer) = file.write_all_at(filled(&file, &bytes), 8192).await;
                written.expect("a write");
                assert_eq!(buffer[..], bytes);
                assert_eq!(faults.operations() - before, 4, "pieces of a mebibyte");
                let (read, buffer) = file.read_at(file.buffer(bytes.len()), 8192).await;
                assert_eq!(read.expect("a read"), bytes.len());
                assert_eq!(buffer[..], bytes);
                assert_eq!(faults.operations() - before, 8);
                file.sync_data().await.expect("a sync");
                file.close().await.expect("a close");
            });
        },
    );
}

#[test]
fn a_read_ends_with_the_file_wherever_that_is() {
    run(|runtime| {
        runtime.block_on(async {
            let Some((_folder, file)) = file().await else {
                return;
            };
            let block = file.alignment().block;
            for length in [
                0,
                1,
                block - 1,
                block,
                block + 1,
                1024 * 1024,
                1024 * 1024 + 1,
            ] {
                let whole = length.next_multiple_of(block);
                let (written, _) = file.write_all_at(filled(&file, &vec![5; whole]), 0).await;
                written.expect("a write");
                file.set_len(length as u64).await.expect("a new length");
                let (read, buffer) = file.read_at(file.buffer(2 * 1024 * 1024), 0).await;
                assert_eq!(read.expect("a read"), length);
                assert_eq!(buffer[..], vec![5; length]);
            }
        });
    });
}

#[test]
fn what_is_not_aligned_is_refused_with_a_word_and_the_buffer_comes_back() {
    run(|runtime| {
        runtime.block_on(async {
            let Some((_folder, file)) = file().await else {
                return;
            };
            let block = file.alignment().block;
            let refused = |result: std::io::Result<()>, what: &str| {
                let error = result.expect_err("it is not aligned");
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
                assert!(error.to_string().contains(what), "{error}");
            };
            let buffer = filled(&file, &vec![1; 2 * block]);
            let (result, buffer) = file.write_all_at(buffer, 1).await;
            refused(result, "offset");
            let (result, slice) = file.write_all_at(buffer.slice(..block - 1), 0).await;
            refused(result, "length");
            let buffer = slice.into_inner();
            let (result, slice) = file.write_all_at(buffer.slice(1..=block), 0).await;
            if file.alignment().memory > 1 {
                refused(result, "address");
            }
            let (result, slice) = file.read_at(slice.into_inner().slice(..block + 1), 0).await;
            refused(result.map(drop), "length");
            assert_eq!(slice.into_inner()[..], vec![1; 2 * block]);
            assert_eq!(file.metadata().await.expect("its size").len(), 0);
        });
    });
}

#[test]
fn a_dropped_write_is_finished_with_all_its_pieces() {
    run(|runtime| {
        runtime.block_on(async {
            let Some((_folder, file)) = file().await else {
                return;
            };
            let bytes = vec![9; 3 * 1024 * 1024];
            {
                let mut writing = pin!(file.write_all_at(filled(&file, &bytes), 0));
                assert!(poll_once(writing.as_mut()).await.is_pending());
                turns(1).await;
                let _ = poll_once(writing.as_mut()).await;
            }
            file.sync_all().await.expect("the write, then the sync");
            let (read, buffer) = file.read_at(file.buffer(bytes.len()), 0).await;
            assert_eq!(read.expect("a read"), bytes.len());
            assert_eq!(buffer[..], bytes);
        });
    });
}

#[test]
fn a_file_that_cannot_be_direct_is_an_error_with_its_path() {
    run(|runtime| {
        let error = runtime.block_on(DirectFile::open("/proc/self/status"));
        let error = error.expect_err("not a file on a disk");
        assert!(error.to_string().contains("/proc/self/status"), "{error}");
        let missing =
            runtime.block_on(OpenOptions::new().read(true).open_direct("/nowhere/at/all"));
        assert_eq!(missing.expect_err("missing").kind(), ErrorKind::NotFound);
    });
}
