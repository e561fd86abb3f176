//! Files under the helpers of `io` and the borrowing traits.

use std::io::{ErrorKind, SeekFrom, Write as _};
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use futures_util::io::{AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use krug::compat::FuturesIo;
use krug::fs::{File, OpenOptions};
use krug::io::{AsyncWriteOwned, BufReader, BufWriter};
use krug::net::UnixStream;
use krug::runtime::Faults;
use krug::{Runtime, io, pipe};
use krug_tests::{Random, disk, iterations, poll_once, run, run_with};

krug_tests::on_every_driver!();

fn folder() -> tempfile::TempDir {
    disk::folder()
}

fn file_with(folder: &tempfile::TempDir, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join("file");
    disk::write(&path, bytes).expect("a file");
    path
}

async fn open(path: &PathBuf) -> File {
    let mut options = OpenOptions::new();
    let opening = options.read(true).write(true).create(true).open(path);
    opening.await.expect("a file")
}

#[test]
fn a_file_is_copied_through_a_pipe_into_another_byte_by_byte() {
    let random = Random::new();
    run(|runtime| {
        let folder = folder();
        let bytes = random.bytes(300_000);
        let from = file_with(&folder, &bytes);
        let to = folder.path().join("copy");
        runtime.block_on(async {
            let (sender, receiver) = pipe::pipe().await.expect("a pipe");
            let source = open(&from).await;
            let target = File::create(&to).await.expect("a file");
            let filling = async {
                let copied = io::copy(&source, sender).await;
                assert_eq!(copied.expect("a copy"), 300_000);
            };
            let emptying = async {
                let copied = io::copy(receiver, &target).await;
                assert_eq!(copied.expect("a copy"), 300_000);
            };
            krug::join!(filling, emptying);
            target.close().await.expect("a close");
        });
        assert_eq!(disk::read(&to).expect("the copy"), bytes);
    });
}

#[test]
fn lines_of_a_file_end_with_any_line_ending_and_the_last_needs_none() {
    run(|runtime| {
        let folder = folder();
        let path = file_with(&folder, b"one\r\ntwo\n\nlast");
        runtime.block_on(async {
            let mut lines = BufReader::new(open(&path).await).lines();
            let mut found = Vec::new();
            while let Some(line) = lines.next_line().await.expect("a line") {
                found.push(line);
            }
            assert_eq!(found, ["one", "two", "", "last"]);
        });
    });
}

#[test]
fn what_a_dropped_writer_has_accepted_comes_before_what_is_written_afterwards() {
    run(|runtime| {
        let folder = folder();
        let path = folder.path().join("file");
        runtime.block_on(async {
            let file = open(&path).await;
            for round in 0..20 {
                let mut writer = BufWriter::new(&file);
                let text = format!("buffered {round} ");
                writer.write_all(text.as_bytes()).await.expect("room");
                drop(writer);
                // Accepted by the call, though its future is never polled.
                drop((&file).commit(format!("committed {round} ").into_bytes()));
                file.write_all(format!("written {round}\n"))
                    .await
                    .0
                    .expect("a write");
            }
            file.sync_all().await.expect("everything, then a sync");
            let expected: String = (0..20)
                .map(|round| format!("buffered {round} committed {round} written {round}\n"))
                .collect();
            assert_eq!(disk::read_to_string(&path).expect("the file"), expected);
        });
    });
}

#[test]
fn accepted_bytes_of_an_appended_file_stay_in_order_and_close_waits_for_them() {
    run(|runtime| {
        let folder = folder();
        let path = file_with(&folder, b"begin ");
        runtime.block_on(async {
            let mut options = OpenOptions::new();
            let file = options.append(true).open(&path).await.expect("a file");
            let mut expected = b"begin ".to_vec();
            for round in 0..50 {
                let text = format!("{round} ").into_bytes();
                expected.extend(&text);
                drop((&file).commit(text));
            }
            file.close().await.expect("everything, then the close");
            assert_eq!(disk::read(&path).expect("the file"), expected);
        });
    });
}

#[test]
fn bug_017_the_error_of_an_accepted_write_shows_once_and_nothing_is_written_behind_it() {
    for nth in 1..=4 {
        let faults = Faults::new();
        run_with(
            |builder| builder.faults(faults.clone()),
            |runtime| {
                let folder = folder();
                let path = folder.path().join("file");
                runtime.block_on(async {
                    let file = open(&path).await;
                    let _planned = faults.clone().operation(faults.operations() + nth, 5);
                    for piece in ["a", "b", "c", "d"] {
                        drop((&file).commit(piece.repeat(10).into_bytes()));
                    }
                    assert_eq!(
                        file.flush().await.expect_err("a fault").raw_os_error(),
                        Some(5)
                    );
                    file.flush().await.expect("it was told");
                    file.close().await.expect("it was told");
                });
                let expected: String = ["a", "b", "c", "d"]
                    .iter()
                    .take(nth as usize - 1)
                    .map(|piece| piece.repeat(10))
                    .collect();
                assert_eq!(disk::read_to_string(&path).expect("the file"), expected);
            },
        );
    }
}

#[test]
fn a_borrowing_reader_and_writer_share_one_cursor() {
    run(|runtime| {
        let folder = folder();
        let path = file_with(&folder, b"first line\nsecond line\nthird line\n");
        runtime.block_on(async {
            let mut file = FuturesIo::new(open(&path).await);
            let mut line = String::new();
            file.read_line(&mut line).await.expect("a line");
            assert_eq!(line, "first line\n");
            // More was read ahead; the write goes to where the reader is.
            file.write_all(b"SECOND").await.expect("room");
            file.flush().await.expect("a flush");
            line.clear();
            file.read_line(&mut line).await.expect("a line");
            assert_eq!(line, " line\n");
            assert_eq!(file.seek(SeekFrom::Current(-5)).await.expect("a seek"), 18);
            assert_eq!(file.seek(SeekFrom::End(-5)).await.expect("a seek"), 29);
            line.clear();
            file.read_to_string(&mut line).await.expect("the rest");
            assert_eq!(line, "line\n");
            file.close().await.expect("a close");
            assert_eq!(
                file.write(b"x").await.expect_err("closed").kind(),
                ErrorKind::BrokenPipe
            );
            let file = file.into_inner();
            assert_eq!(file.stream_position().await.expect("its place"), 34);
        });
        let found = disk::read(&path).expect("the file");
        assert_eq!(found, b"first line\nSECOND line\nthird line\n");
    });
}

#[test]
fn what_was_read_ahead_of_a_dropped_adapter_is_read_again() {
    run(|runtime| {
        let folder = folder();
        let path = file_with(&folder, b"0123456789");
        runtime.block_on(async {
            let file = open(&path).await;
            let mut four = [0; 4];
            FuturesIo::new(&file)
                .read_exact(&mut four)
                .await
                .expect("four");
            assert_eq!(&four, b"0123");
            let (read, buf) = file.read(Vec::with_capacity(16)).await;
            assert_eq!((read.expect("the rest"), &buf[..]), (6, &b"456789"[..]));
        });
    });
}

#[test]
fn what_a_file_does_not_accept_comes_back_with_the_error() {
    let home = Runtime::new().expect("a runtime");
    let folder = folder();
    let path = folder.path().join("file");
    let file = home.block_on(open(&path));
    let elsewhere = Runtime::new().expect("a runtime");
    let (result, bytes) = elsewhere.block_on((&file).commit(b"kept".to_vec()));
    assert!(result.is_err());
    assert_eq!(bytes, b"kept");
}

#[test]
fn a_file_that_has_no_cursor_cannot_be_sought() {
    krug_tests::needs_a_kernel!("it trades descriptors with the standard library");
    run(|runtime| {
        runtime.block_on(async {
            let (one, _other) = std::io::pipe().expect("a pipe");
            let file = File::from_std(std::fs::File::from(std::os::fd::OwnedFd::from(one)));
            let mut file = FuturesIo::new(file.expect("a file"));
            let error = file.seek(SeekFrom::Start(0)).await.expect_err("a pipe");
            assert_eq!(error.raw_os_error(), Some(29));
        });
    });
}

/// What a file should hold, and where its cursor is.
#[derive(Default)]
struct Model {
    bytes: Vec<u8>,
    cursor: usize,
}

impl Model {
    fn write(&mut self, piece: &[u8]) {
        let end = self.cursor + piece.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[self.cursor..end].copy_from_slice(piece);
        self.cursor = end;
    }
}

#[test]
fn random_programs_do_to_a_file_what_they_would_do_to_memory() {
    let random = Random::new();
    run(|runtime| {
        for _ in 0..iterations(60) {
            let folder = folder();
            let path = folder.path().join("file");
            runtime.block_on(program(&path, &random));
        }
    });
}

async fn program(path: &PathBuf, random: &Random) {
    let mut file = FuturesIo::new(open(path).await);
    let mut model = Model::default();
    for _ in 0..60 {
        match random.below(6) {
            0 | 1 => {
                let piece = random.bytes(random.below(3000));
                write(&mut file, &mut model, &piece, random).await;
            }
            2 | 3 => read(&mut file, &mut model, random).await,
            4 => {
                let place = random.below(model.bytes.len() + 100);
                let sought = file.seek(SeekFrom::Start(place as u64)).await;
                assert_eq!(sought.expect("a seek"), place as u64);
                model.cursor = place;
            }
            _ => {
                file.flush().await.expect("a flush");
                let found = disk::read(path).expect("the file");
                assert!(found == model.bytes, "a flush has not flushed");
            }
        }
    }
    file.into_inner().close().await.expect("a close");
    assert!(disk::read(path).expect("the file") == model.bytes);
}

async fn write(file: &mut FuturesIo<File>, model: &mut Model, piece: &[u8], random: &Random) {
    let mut rest = piece;
    while !rest.is_empty() {
        let mut writing = pin!(file.write(rest));
        let polled = poll_once(writing.as_mut()).await;
        let accepted = match polled {
            std::task::Poll::Ready(accepted) => accepted.expect("room"),
            // A write that has not resolved has accepted nothing: sometimes it is dropped here.
            std::task::Poll::Pending if random.below(2) == 0 => 0,
            std::task::Poll::Pending => writing.await.expect("room"),
        };
        model.write(&rest[..accepted]);
        rest = &rest[accepted..];
    }
}

async fn read(file: &mut FuturesIo<File>, model: &mut Model, random: &Random) {
    let mut buf = vec![0; 1 + random.below(5000)];
    let limit = random.micros(300);
    let Ok(read) = krug::time::timeout(limit, file.read(&mut buf)).await else {
        return;
    };
    let count = read.expect("a read");
    let left = model.bytes.get(model.cursor..).unwrap_or_default();
    assert!(count <= left.len() && buf[..count] == left[..count]);
    assert!(count > 0 || left.is_empty(), "an end before the end");
    model.cursor += count;
}

#[test]
fn a_runtime_that_ends_writes_what_was_accepted() {
    let runtime = Runtime::new().expect("a runtime");
    let folder = folder();
    let path = folder.path().join("file");
    runtime.block_on(async {
        let file = open(&path).await;
        for _ in 0..100 {
            drop((&file).commit(vec![b'x'; 1000]));
        }
        drop(file);
    });
    assert!(runtime.shutdown(Duration::from_secs(5)).is_clean());
    assert_eq!(disk::len(&path).expect("the file"), 100_000);
}

#[test]
fn a_stream_is_copied_into_a_file_and_lines_into_it_arrive() {
    run(|runtime| {
        let folder = folder();
        let path = folder.path().join("file");
        runtime.block_on(async {
            let (one, other) = UnixStream::pair().expect("a pair");
            let file = open(&path).await;
            let sending = async {
                let mut writer = BufWriter::new(one);
                for number in 0..1000 {
                    let line = format!("{number}\n");
                    writer.write_all(line.as_bytes()).await.expect("room");
                }
                writer.shutdown().await.expect("the end");
            };
            let receiving = async {
                let copied = io::copy(&other, &file).await.expect("a copy");
                assert_eq!(copied, 3890);
            };
            krug::join!(sending, receiving);
            file.sync_data().await.expect("a sync");
        });
        let mut expected = Vec::new();
        for number in 0..1000 {
            writeln!(expected, "{number}").expect("memory");
        }
        assert!(disk::read(&path).expect("the file") == expected);
    });
}
