//! Random programs on a file, with futures dropped at any await, against a model: a vector of bytes and a cursor.
//! A dropped change that was submitted is done whole, any other not at all.

use std::io::SeekFrom;
use std::pin::Pin;

use krug::fs::{File, OpenOptions};
use krug::runtime::{Faults, Runtime};
use krug_tests::{Random, disk, iterations, poll_once, run_with, turns};

krug_tests::on_every_driver!();

const LARGEST: usize = 20_000;

/// What the file should be.
#[derive(Default)]
struct Model {
    bytes: Vec<u8>,
    cursor: usize,
    appends: bool,
}

impl Model {
    fn write(&mut self, offset: usize, bytes: &[u8]) -> usize {
        let offset = if self.appends {
            self.bytes.len()
        } else {
            offset
        };
        if bytes.is_empty() {
            return offset;
        }
        let end = offset + bytes.len();
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[offset..end].copy_from_slice(bytes);
        end
    }

    fn write_at_cursor(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.cursor = self.write(self.cursor, bytes);
        }
    }

    fn expect(&self, offset: usize, read: &[u8], room: usize) {
        let there = self.bytes.get(offset..).unwrap_or(&[]);
        assert!(read.len() <= room);
        assert!(there.starts_with(read), "wrong bytes at {offset}");
        assert!(
            !read.is_empty() || there.is_empty() || room == 0,
            "not the end"
        );
    }
}

type Running<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// What came of a future that may have been dropped.
enum Came<T> {
    Ended(T),
    /// Its operation was submitted.
    DroppedInFlight,
    /// It never was.
    DroppedBefore,
}

struct Program<'a> {
    runtime: &'a Runtime,
    random: &'a Random,
}

impl Program<'_> {
    /// Awaits `future`, or drops it at some moment.
    async fn run<T>(&self, mut future: Running<'_, T>) -> Came<T> {
        let fate = self.random.below(10);
        if fate == 0 {
            return Came::DroppedBefore;
        }
        if fate > 5 {
            return Came::Ended(future.await);
        }
        let before = self.runtime.metrics().operations;
        if let std::task::Poll::Ready(ended) = poll_once(future.as_mut()).await {
            return Came::Ended(ended);
        }
        let has_begun = self.runtime.metrics().operations > before;
        let waits = self.random.below(4);
        turns(waits).await;
        drop(future);
        match has_begun && waits > 0 {
            true => Came::DroppedInFlight,
            false => Came::DroppedBefore,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        self.random.bytes(self.random.below(3000))
    }

    async fn step(&self, file: &File, model: &mut Model) {
        let offset = self.random.below(LARGEST);
        match self.random.below(9) {
            0 => self.write_at(file, model, offset).await,
            1 => self.write_vectored(file, model, offset).await,
            2 => self.write_at_cursor(file, model).await,
            3 => {
                let room = self.random.below(5000);
                let read = self.run(Box::pin(file.read_at(vec![0; room], offset as u64)));
                if let Came::Ended((count, buf)) = read.await {
                    assert_eq!(count.unwrap(), if room == 0 { 0 } else { buf.len() });
                    model.expect(offset, &buf[..buf.len().min(room)], room);
                }
            }
            4 => {
                let room = 1 + self.random.below(5000);
                let read = self.run(Box::pin(file.read(vec![0; room]))).await;
                if let Came::Ended((count, buf)) = read {
                    model.expect(model.cursor, &buf, room);
                    model.cursor += count.unwrap();
                }
            }
            5 => {
                let length = self.random.below(LARGEST);
                let came = self.run(Box::pin(file.set_len(length as u64))).await;
                if !matches!(came, Came::DroppedBefore) {
                    model.bytes.resize(length, 0);
                }
            }
            6 => {
                let sync = self.run(Box::pin(file.sync_data())).await;
                if let Came::Ended(result) = sync {
                    result.unwrap();
                }
            }
            7 => {
                let to = SeekFrom::Start(offset as u64);
                if let Came::Ended(position) = self.run(Box::pin(file.seek(to))).await {
                    model.cursor = offset;
                    assert_eq!(position.unwrap(), offset as u64);
                }
            }
            _ => {
                if let Came::Ended(position) = self.run(Box::pin(file.stream_position())).await {
                    assert_eq!(position.unwrap(), model.cursor as u64);
                }
                let length = self.run(Box::pin(file.metadata())).await;
                if let Came::Ended(metadata) = length {
                    assert_eq!(metadata.unwrap().len(), model.bytes.len() as u64);
                }
            }
        }
    }

    async fn write_at(&self, file: &File, model: &mut Model, offset: usize) {
        let bytes = self.bytes();
        let written = self.run(Box::pin(file.write_at(bytes.clone(), offset as u64)));
        match written.await {
            Came::Ended((count, _)) => model.write(offset, &bytes[..count.unwrap()]),
            Came::DroppedInFlight => model.write(offset, &bytes),
            Came::DroppedBefore => 0,
        };
    }

    async fn write_vectored(&self, file: &File, model: &mut Model, offset: usize) {
        let parts = [self.bytes(), Vec::new(), self.bytes()];
        let joined = parts.concat();
        let written = self.run(Box::pin(file.write_all_vectored_at(parts, offset as u64)));
        match written.await {
            Came::Ended((result, _)) => result.unwrap(),
            Came::DroppedInFlight => {}
            Came::DroppedBefore => return,
        }
        model.write(offset, &joined);
    }

    async fn write_at_cursor(&self, file: &File, model: &mut Model) {
        let bytes = self.bytes();
        match self.run(Box::pin(file.write(bytes.clone()))).await {
            Came::Ended((count, _)) => model.write_at_cursor(&bytes[..count.unwrap()]),
            Came::DroppedInFlight => model.write_at_cursor(&bytes),
            Came::DroppedBefore => {}
        }
    }
}

/// Short transfers and interruptions here and there.
fn faults(random: &Random) -> Faults {
    let mut faults = Faults::new();
    for _ in 0..30 {
        let nth = 1 + random.below(300) as u64;
        faults = match random.below(3) {
            0 => faults.short(nth, 1 + random.below(2000) as u32),
            1 => faults.operation(nth, libc::EINTR),
            _ => faults.operation(nth, libc::EAGAIN),
        };
    }
    faults
}

fn programs(appends: bool) {
    let random = Random::new();
    for round in 0..iterations(15) {
        let plan = faults(&random);
        let entries = 1 << random.below(4);
        run_with(
            |builder| builder.faults(plan.clone()).entries(entries),
            |runtime| {
                let folder = disk::folder();
                let path = folder.path().join("file");
                let mut model = Model {
                    appends,
                    ..Model::default()
                };
                let random = &random;
                let program = Program { runtime, random };
                runtime.block_on(async {
                    let mut options = OpenOptions::new();
                    options.read(true).write(true).create(true).append(appends);
                    let file = options.open(&path).await.unwrap();
                    for _ in 0..150 {
                        program.step(&file, &mut model).await;
                    }
                    if random.below(2) == 0 {
                        file.close().await.unwrap();
                    } else {
                        drop(file);
                        let closed = || runtime.metrics().sources == 0;
                        krug_tests::until("it is closed", closed).await;
                    }
                });
                assert!(disk::read(&path).unwrap() == model.bytes, "round {round}");
            },
        );
    }
}

#[test]
fn random_programs_leave_what_the_model_says() {
    programs(false);
}

#[test]
fn random_programs_that_append_leave_what_the_model_says() {
    programs(true);
}
