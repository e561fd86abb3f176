//! Models that read blocks of a file at random places, `depth` of them at a time.

mod blocking;
mod drive;
mod krug;
mod pool;
mod tokio;

#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ::krug::runtime::Driver;

pub(crate) use drive::Requests;

use super::calls::linux_aio::LinuxAio;
use super::calls::posix_aio::PosixAio;
use super::calls::ring::RingReads;
use super::content::{self, BLOCK, Check};
use crate::harness::meter::{Begun, Measured, Meter, Pace};
use crate::harness::random::Random;

/// Memory for one block, as direct reads want it.
#[derive(Clone)]
#[repr(C, align(4096))]
pub(crate) struct Block(pub(crate) [u8; BLOCK]);

impl Block {
    pub(crate) const EMPTY: Block = Block([0; BLOCK]);
}

/// Through the kernel's cache or past it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Cached,
    Direct,
}

/// What a model is asked to do.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) path: PathBuf,
    /// The size of the file.
    pub(crate) bytes: u64,
    /// How many reads are in flight at a time.
    pub(crate) depth: usize,
    pub(crate) access: Access,
    pub(crate) pace: Pace,
    /// The most bytes that one request asks for: a whole block. Less in tests, which so come to what is done
    /// when a read was short.
    pub(crate) piece: usize,
    pub(crate) check: Check,
    pub(crate) seed: u64,
}

impl Job {
    fn open(&self) -> io::Result<File> {
        let direct = match self.access {
            Access::Cached => 0,
            Access::Direct => libc::O_DIRECT,
        };
        OpenOptions::new()
            .read(true)
            .custom_flags(direct)
            .open(&self.path)
    }

    /// What is asked for next of a block of which so many bytes have come.
    fn piece_after(&self, done: usize) -> std::ops::Range<usize> {
        done..BLOCK.min(done + self.piece)
    }
}

/// A way to read.
pub(crate) struct Model {
    pub(crate) name: &'static str,
    pub(crate) read: fn(&Job) -> io::Result<Measured>,
}

/// For so many microseconds a model looks on whose name ends with [`SPIN`]: longer than a disk takes.
const LOOKS_ON: u64 = 200;
pub(crate) const SPIN: &str = "-spin";

pub(crate) const MODELS: &[Model] = &[
    Model {
        name: "krug-uring",
        read: |job| krug::read(Driver::Uring, job),
    },
    Model {
        name: "krug-epoll",
        read: |job| krug::read(Driver::Epoll, job),
    },
    Model {
        name: "floor",
        read: |job| drive::read::<RingReads<0>>(job),
    },
    Model {
        name: "blocking",
        read: blocking::read,
    },
    Model {
        name: "thread-pool",
        read: pool::read,
    },
    Model {
        name: "posix-aio",
        read: |job| drive::read::<PosixAio>(job),
    },
    Model {
        name: "linux-aio",
        read: |job| drive::read::<LinuxAio>(job),
    },
    Model {
        name: "tokio",
        read: tokio::read,
    },
    Model {
        name: "krug-uring-spin",
        read: |job| krug::read_looking_on(Duration::from_micros(LOOKS_ON), job),
    },
    Model {
        name: "floor-spin",
        read: |job| drive::read::<RingReads<LOOKS_ON>>(job),
    },
];

/// One block that is to be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    block: u64,
    begun: Begun,
}

impl Asked {
    fn offset(&self) -> u64 {
        self.block * BLOCK as u64
    }
}

/// Chooses the blocks, checks what came, and counts.
struct Reads {
    random: Random,
    bytes: u64,
    check: Check,
    meter: Meter,
}

impl Reads {
    fn new(job: &Job) -> Reads {
        Reads::metered(job, job.seed, Meter::new(job.pace))
    }

    /// The part of one of `depth` threads that began at this moment and know nothing of each other.
    fn of_thread(job: &Job, index: usize, began: Instant) -> Reads {
        let meter = Meter::of_several(job.pace, job.depth, began);
        Reads::metered(job, job.seed.wrapping_add(index as u64), meter)
    }

    fn metered(job: &Job, seed: u64, meter: Meter) -> Reads {
        Reads {
            random: Random::new(seed),
            bytes: job.bytes,
            check: job.check,
            meter,
        }
    }

    /// The next block, unless it is time to end.
    fn next(&mut self) -> Option<Asked> {
        let begun = self.meter.begin()?;
        let block = self.random.below(self.bytes.div_ceil(BLOCK as u64));
        Some(Asked { block, begun })
    }

    /// How much there is of a block: less than all of it at the end of the file.
    fn length(&self, asked: &Asked) -> usize {
        let rest = self.bytes - asked.offset();
        usize::try_from(rest).map_or(BLOCK, |rest| rest.min(BLOCK))
    }

    /// The whole block has come.
    fn done(&mut self, asked: Asked, data: &[u8]) -> io::Result<()> {
        content::check(asked.block, &data[..self.length(&asked)], self.check)?;
        self.meter.end(asked.begun);
        Ok(())
    }

    fn measured(self) -> Measured {
        self.meter.measured()
    }
}

/// Reads a block by calls that wait, until `length` bytes of it are there.
fn read_block(
    file: &File,
    job: &Job,
    offset: u64,
    length: usize,
    data: &mut Block,
) -> io::Result<()> {
    let mut done = 0;
    while done < length {
        let room = &mut data.0[job.piece_after(done)];
        match file.read_at(room, offset + done as u64) {
            Ok(0) => return Err(super::ends_early()),
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
