//! Models that append records to a log, each on the disk before it counts.
//!
//! All but the journal write into a file of zeros, from its start to its end and from its start again: a sync
//! then writes the record and no metadata. The journal makes such files itself, while it works.

mod blocking;
mod durable;
mod journal;
mod krug;
mod ring;
mod tokio;

#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions};
use std::io;
use std::path::PathBuf;

use ::krug::runtime::Driver;

use super::content::{self, RECORD};
use crate::harness::meter::{Begun, Measured, Meter, Pace};

/// What a model is asked to do.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    /// A file of zeros; of the journal, a folder that does not exist yet.
    pub(crate) path: PathBuf,
    /// The size of the file, a multiple of that of a record; of the journal, the size of its segments.
    pub(crate) bytes: u64,
    pub(crate) pace: Pace,
    /// What the journal works on.
    pub(crate) driver: Driver,
    /// The most bytes that one request writes: a whole record. Less in tests, which so come to what is done
    /// when a write was short.
    pub(crate) piece: usize,
}

impl Job {
    fn open(&self) -> io::Result<File> {
        OpenOptions::new().write(true).open(&self.path)
    }

    fn offset(&self, asked: &Asked) -> u64 {
        asked.number * RECORD as u64 % self.bytes
    }

    /// What is written next of a record of which so many bytes are written.
    fn piece_after(&self, done: usize) -> std::ops::Range<usize> {
        done..RECORD.min(done + self.piece)
    }
}

/// A way to append.
pub(crate) struct Model {
    pub(crate) name: &'static str,
    pub(crate) is_journal: bool,
    pub(crate) append: fn(&Job) -> io::Result<Measured>,
}

impl Model {
    const fn file(name: &'static str, append: fn(&Job) -> io::Result<Measured>) -> Model {
        Model {
            name,
            is_journal: false,
            append,
        }
    }

    const fn journal(name: &'static str, append: fn(&Job) -> io::Result<Measured>) -> Model {
        Model {
            name,
            is_journal: true,
            append,
        }
    }
}

/// One record after the other.
pub(crate) const MODELS: &[Model] = &[
    Model::file("krug-uring", |job| krug::append(Driver::Uring, job)),
    Model::file("krug-epoll", |job| krug::append(Driver::Epoll, job)),
    Model::file("floor", ring::append),
    Model::file("blocking", blocking::append),
    Model::file("rwf-dsync", durable::append),
    Model::file("tokio", tokio::append),
    Model::journal("krug-journal-1", |job| journal::append(1, job)),
];

/// Many records at a time.
pub(crate) static GROUP: Model = Model::journal("krug-journal-32", |job| journal::append(32, job));

/// One record that is to be appended.
#[derive(Debug, Clone, Copy)]
struct Asked {
    number: u64,
    begun: Begun,
}

/// Numbers the records, and counts.
struct Appends {
    next: u64,
    meter: Meter,
}

impl Appends {
    fn new(job: &Job) -> Appends {
        Appends {
            next: 0,
            meter: Meter::new(job.pace),
        }
    }

    /// The next record, written into `record`, unless it is time to end.
    fn next(&mut self, record: &mut [u8; RECORD]) -> Option<Asked> {
        let begun = self.meter.begin()?;
        let number = self.next;
        self.next += 1;
        content::fill(number, record);
        Some(Asked { number, begun })
    }

    /// The record is on the disk.
    fn done(&mut self, asked: Asked) {
        self.meter.end(asked.begun);
    }

    fn measured(self) -> Measured {
        self.meter.measured()
    }
}

/// A write that wrote nothing would be made for ever.
fn something(count: usize) -> io::Result<usize> {
    if count == 0 {
        return Err(io::Error::from(io::ErrorKind::WriteZero));
    }
    Ok(count)
}
