//! A file as a reader of `krug::io`: what drops and line endings do to a copy, a read to the end, and lines.

use std::io::{ErrorKind, SeekFrom};
use std::path::PathBuf;
use std::pin::pin;
use std::task::Poll;

use krug::fs::File;
use krug::io::{self, BufReader};
use krug_tests::{Random, disk, iterations, poll_once, run, turns};
use tempfile::TempDir;

krug_tests::on_every_driver!();

/// A file with `content`, in a folder of its own.
fn file_with(content: &[u8]) -> (TempDir, PathBuf) {
    let folder = disk::folder();
    let path = folder.path().join("file");
    disk::write(&path, content).expect("a file");
    (folder, path)
}

/// Polls a few times, then gives the future up unless it is ready.
async fn hurried<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    for _ in 0..polls {
        if let Poll::Ready(output) = poll_once(future.as_mut()).await {
            return Some(output);
        }
        turns(1).await;
    }
    None
}

#[test]
fn a_file_is_read_to_its_end_from_the_cursor_on() {
    run(|runtime| {
        let content = Random::new().bytes(100_000);
        let (_folder, path) = file_with(&content);
        runtime.block_on(async {
            let file = File::open(&path).await.unwrap();
            file.seek(SeekFrom::Start(10)).await.unwrap();
            let (result, read) = io::read_to_end(&file, vec![1, 2]).await;
            assert_eq!(result.unwrap(), content.len() - 10);
            assert_eq!(read[..2], [1, 2]);
            assert!(read[2..] == content[10..]);
            assert_eq!(file.stream_position().await.unwrap(), 100_000);
            let (result, nothing) = io::read_to_end(&file, Vec::new()).await;
            assert_eq!((result.unwrap(), nothing.len()), (0, 0));
            file.rewind().await.unwrap();
            let error = io::read_to_string(file).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "random bytes");
        });
    });
}

#[test]
fn lines_of_a_file_are_those_of_the_standard_library() {
    run(|runtime| {
        let contents = [
            "",
            "\n",
            "a\r\nb\n",
            "a\n\nlast",
            "\r\n",
            "only",
            "a\rb\nc\r",
        ];
        for content in contents {
            let (_folder, path) = file_with(content.as_bytes());
            let bytes = disk::read(&path).unwrap();
            let expected: Result<Vec<_>, _> = std::io::BufRead::lines(&bytes[..]).collect();
            for capacity in [1, 3, 8192] {
                runtime.block_on(async {
                    let file = File::open(&path).await.unwrap();
                    let mut lines = BufReader::with_capacity(capacity, file).lines();
                    let mut found = Vec::new();
                    while let Some(line) = lines.next_line().await.unwrap() {
                        found.push(line);
                    }
                    assert_eq!(&found, expected.as_ref().unwrap(), "{content:?}");
                });
            }
        }
    });
}

#[test]
fn a_line_of_a_file_that_is_too_long_is_an_error_and_stays() {
    run(|runtime| {
        let (_folder, path) = file_with(b"short\n0123456789\n");
        runtime.block_on(async {
            let file = File::open(&path).await.unwrap();
            let mut lines = BufReader::with_capacity(4, file).lines().max_length(8);
            assert_eq!(lines.next_line().await.unwrap().unwrap(), "short");
            let error = lines.next_line().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData);
            let mut lines = lines.max_length(20);
            assert_eq!(lines.next_line().await.unwrap().unwrap(), "0123456789");
            assert_eq!(lines.next_line().await.unwrap(), None);
        });
    });
}

#[test]
fn reads_through_the_trait_that_are_dropped_anywhere_skip_nothing() {
    run(|runtime| {
        let random = Random::new();
        for _ in 0..iterations(20) {
            let content = random.bytes(random.below(5_000));
            let (_folder, path) = file_with(&content);
            runtime.block_on(async {
                let file = File::open(&path).await.unwrap();
                let mut reader = BufReader::with_capacity(1 + random.below(700), &file);
                let mut read = Vec::new();
                loop {
                    let polls = random.below(4);
                    let Some(result) = hurried(polls, reader.fill_buf()).await else {
                        continue;
                    };
                    let piece = result.unwrap();
                    if piece.is_empty() {
                        break;
                    }
                    let share = 1 + random.below(piece.len());
                    read.extend_from_slice(&piece[..share]);
                    reader.consume(share);
                }
                assert!(read == content);
            });
        }
    });
}

#[test]
fn a_copy_from_a_file_to_a_pipe_that_is_dropped_again_and_again_loses_and_repeats_nothing() {
    run(|runtime| {
        let random = Random::new();
        let content = random.bytes(1_000_000);
        let (_folder, path) = file_with(&content);
        runtime.block_on(async {
            let (sender, receiver) = krug::pipe::pipe().await.unwrap();
            let received = krug::spawn(async move { io::read_to_end(receiver, Vec::new()).await });
            let file = File::open(&path).await.unwrap();
            loop {
                let polls = random.below(8);
                if let Some(result) = hurried(polls, io::copy(&file, &sender)).await {
                    result.unwrap();
                    break;
                }
            }
            sender.close().await.unwrap();
            let (result, received) = received.await.unwrap();
            result.unwrap();
            assert!(received == content, "{} bytes", received.len());
        });
    });
}
