//! Open files.

use std::io::SeekFrom;
use std::path::{Path, PathBuf};

use krug::fs::{File, KeepSize, OpenOptions};
use krug_tests::Random;

use crate::{Kind, digest, failed, said};

/// How many files, and how many handles, a program has.
const PATHS: usize = 2;
const HANDLES: usize = 3;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// The bits of `how`: read, write, append, truncate, create, create anew.
    Open {
        handle: usize,
        path: usize,
        how: usize,
    },
    Close {
        handle: usize,
    },
    Clone {
        handle: usize,
        to: usize,
    },
    ReadAt {
        handle: usize,
        len: usize,
        offset: u64,
    },
    WriteAt {
        handle: usize,
        len: usize,
        offset: u64,
    },
    ReadVectored {
        handle: usize,
        len: usize,
        offset: u64,
    },
    WriteVectored {
        handle: usize,
        len: usize,
        offset: u64,
    },
    Read {
        handle: usize,
        len: usize,
    },
    Write {
        handle: usize,
        len: usize,
    },
    /// A write that is dropped when it is under way is done all the same.
    DropWrite {
        handle: usize,
        len: usize,
        offset: u64,
    },
    Seek {
        handle: usize,
        whence: usize,
        by: i64,
    },
    SetLen {
        handle: usize,
        len: u64,
    },
    Allocate {
        handle: usize,
        offset: u64,
        len: u64,
        keeps: bool,
    },
    Sync {
        handle: usize,
        data: bool,
    },
    Metadata {
        handle: usize,
    },
    Lock {
        handle: usize,
        how: usize,
    },
    Contents {
        path: usize,
    },
}

fn draw_open(random: &Random, handle: usize) -> Step {
    Step::Open {
        handle,
        path: random.below(PATHS),
        how: match random.below(3) {
            0 => random.below(64),
            // For reading and writing, made if it is not there.
            _ => 0b01_0011,
        },
    }
}

fn draw(random: &Random) -> Step {
    let handle = random.below(HANDLES);
    let len = [0, 1, 10, 511, 4096, 5000][random.below(6)];
    let offset = [0, 1, 100, 4095, 20_000, i64::MAX as u64, u64::MAX][random.below(7)];
    match random.below(26) {
        0..=4 => draw_open(random, handle),
        5 => Step::Close { handle },
        6 => Step::Clone {
            handle,
            to: random.below(HANDLES),
        },
        7 | 8 => Step::ReadAt {
            handle,
            len,
            offset,
        },
        9 | 10 => Step::WriteAt {
            handle,
            len,
            offset,
        },
        11 => Step::ReadVectored {
            handle,
            len,
            offset,
        },
        12 => Step::WriteVectored {
            handle,
            len,
            offset,
        },
        13 | 14 => Step::Read { handle, len },
        15 | 16 => Step::Write { handle, len },
        17 => Step::DropWrite {
            handle,
            len,
            offset,
        },
        18 => Step::Seek {
            handle,
            whence: random.below(3),
            by: [-5000, -1, 0, 3, 7000][random.below(5)],
        },
        19 => Step::SetLen {
            handle,
            len: [0, 5, 4096, 30_000, u64::MAX][random.below(5)],
        },
        20 => Step::Allocate {
            handle,
            offset: [0, 10, 8192][random.below(3)],
            len: [0, 1, 10_000][random.below(3)],
            keeps: random.below(2) == 0,
        },
        21 => Step::Sync {
            handle,
            data: random.below(2) == 0,
        },
        22 => Step::Metadata { handle },
        23 => Step::Lock {
            handle,
            how: random.below(3),
        },
        _ => Step::Contents {
            path: random.below(PATHS),
        },
    }
}

struct Program {
    folder: PathBuf,
    handles: [Option<File>; HANDLES],
    written: Random,
}

impl Program {
    fn path(&self, number: usize) -> PathBuf {
        self.folder.join(number.to_string())
    }

    async fn step(&mut self, step: &Step) -> String {
        match *step {
            Step::Open { handle, path, how } => return self.open(handle, path, how).await,
            Step::Contents { path } => {
                return match krug::fs::read(self.path(path)).await {
                    Ok(bytes) => digest(&bytes),
                    Err(error) => failed(&error),
                };
            }
            Step::Close { handle } => {
                return match self.handles[handle].take() {
                    Some(file) => said(file.close().await),
                    None => "is closed".to_owned(),
                };
            }
            Step::Clone { handle, to } => {
                let clone = self.handles[handle].as_ref().map(File::try_clone);
                return match clone {
                    None => "is closed".to_owned(),
                    Some(Err(error)) => failed(&error),
                    Some(Ok(clone)) => {
                        self.handles[to] = Some(clone);
                        "is there".to_owned()
                    }
                };
            }
            _ => {}
        }
        let Some(file) = step
            .handle()
            .and_then(|handle| self.handles[handle].as_ref())
        else {
            return "is closed".to_owned();
        };
        match *step {
            Step::WriteAt { len, offset, .. } => {
                said(file.write_at(self.written.bytes(len), offset).await.0)
            }
            Step::WriteVectored { len, offset, .. } => {
                let parts = [self.written.bytes(len), self.written.bytes(7)];
                said(file.write_all_vectored_at(parts, offset).await.0)
            }
            Step::Write { len, .. } => said(file.write(self.written.bytes(len)).await.0),
            Step::DropWrite { len, offset, .. } => {
                let bytes = self.written.bytes(len);
                let mut write = Box::pin(file.write_all_at(bytes, offset));
                let is_over = krug_tests::poll_once(write.as_mut()).await.is_ready();
                krug_tests::turns(1).await;
                drop(write);
                format!("{is_over}, {}", said(file.sync_data().await))
            }
            ref step => on_file(file, step).await,
        }
    }

    async fn open(&mut self, handle: usize, path: usize, how: usize) -> String {
        let on = |bit: usize| how & (1 << bit) != 0;
        let mut options = OpenOptions::new();
        options.read(on(0)).write(on(1)).append(on(2));
        options.truncate(on(3)).create(on(4)).create_new(on(5));
        match options.open(self.path(path)).await {
            Err(error) => failed(&error),
            Ok(file) => {
                self.handles[handle] = Some(file);
                "is there".to_owned()
            }
        }
    }
}

impl Step {
    fn handle(&self) -> Option<usize> {
        match *self {
            Step::ReadAt { handle, .. }
            | Step::WriteAt { handle, .. }
            | Step::ReadVectored { handle, .. }
            | Step::WriteVectored { handle, .. }
            | Step::Read { handle, .. }
            | Step::Write { handle, .. }
            | Step::DropWrite { handle, .. }
            | Step::Seek { handle, .. }
            | Step::SetLen { handle, .. }
            | Step::Allocate { handle, .. }
            | Step::Sync { handle, .. }
            | Step::Metadata { handle }
            | Step::Lock { handle, .. } => Some(handle),
            Step::Open { .. } | Step::Close { .. } | Step::Clone { .. } | Step::Contents { .. } => {
                None
            }
        }
    }
}

/// The steps that need nothing but the file.
async fn on_file(file: &File, step: &Step) -> String {
    match *step {
        Step::ReadAt { len, offset, .. } => {
            let (result, bytes) = file.read_at(Vec::with_capacity(len), offset).await;
            format!("{}: {}", said(result), digest(&bytes))
        }
        Step::ReadVectored { len, offset, .. } => {
            let parts = [Vec::with_capacity(len), Vec::with_capacity(9)];
            let (result, parts) = file.read_vectored_at(parts, offset).await;
            format!("{}: {}", said(result), digest(&parts.concat()))
        }
        Step::Read { len, .. } => {
            let (result, bytes) = file.read(Vec::with_capacity(len)).await;
            format!("{}: {}", said(result), digest(&bytes))
        }
        Step::Seek { whence, by, .. } => {
            let to = match whence {
                0 => SeekFrom::Start(by.unsigned_abs()),
                1 => SeekFrom::Current(by),
                _ => SeekFrom::End(by),
            };
            said(file.seek(to).await)
        }
        Step::SetLen { len, .. } => said(file.set_len(len).await),
        Step::Allocate {
            offset, len, keeps, ..
        } => {
            let size = if keeps { KeepSize::Yes } else { KeepSize::No };
            said(file.allocate(offset, len, size).await)
        }
        Step::Sync { data: true, .. } => said(file.sync_data().await),
        Step::Sync { data: false, .. } => said(file.sync_all().await),
        Step::Metadata { .. } => {
            let metadata = file.metadata().await;
            said(metadata.map(|it| (it.len(), it.is_file(), it.nlink(), it.mode() & 0o700)))
        }
        Step::Lock { how, .. } => said(match how {
            0 => file.try_lock(),
            1 => file.try_lock_shared(),
            _ => file.unlock(),
        }),
        _ => unreachable!("{step:?} needs more than its file"),
    }
}

pub(crate) struct Files;

impl Kind for Files {
    const NAME: &'static str = "file";
    type Step = Step;

    fn draw(random: &Random) -> Step {
        draw(random)
    }

    async fn run(steps: &[Step], folder: &Path) -> Vec<String> {
        let mut program = Program {
            folder: folder.to_owned(),
            handles: Default::default(),
            written: Random::of(1),
        };
        let mut said = Vec::new();
        for step in steps {
            said.push(program.step(step).await);
        }
        said
    }
}
