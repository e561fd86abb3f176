//! Ways for one reader to read from many pipes. Each is one small file; the system calls that the standard library lacks, and
//! with them the unsafe code, stand in [`calls`].
//!
//! One thread writes small records to all pipes, in a random order; the reader counts and checks every one.

mod busy;
pub(crate) mod calls;
mod collector;
mod epoll;
mod krug;
mod poll;
mod record;
mod select;
mod sources;
mod writer;

#[cfg(test)]
mod tests;

use std::io::{self, PipeReader};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use ::krug::runtime::Driver;

use self::record::Ledger;
use crate::floor::system;
use crate::harness::meter::Measured;

/// The room that every model reads into at once.
const ROOM: usize = 4096;

/// What the writer does.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) pipes: usize,
    /// It writes for so long, and at most so many records.
    pub(crate) measured: Duration,
    pub(crate) records_max: u64,
    pub(crate) cut: Cut,
    pub(crate) seed: u64,
}

/// Where the writer cuts records in two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    Nowhere,
    Anywhere,
}

/// What a model reads from.
struct Incoming {
    pipes: Vec<PipeReader>,
    /// Told how long this process had been on processors by then.
    go: mpsc::Sender<Duration>,
}

impl Incoming {
    /// To be called once, when the model is ready to read: nothing is written before.
    fn start(&self) {
        // Nobody waits for it if the writer has failed; its own error says why.
        let _ = self.go.send(system::process_time());
    }
}

/// What a model has read until every pipe ended.
struct Received {
    ledger: Ledger,
    /// When the last one had ended; what it takes to clear up is not counted.
    ended: Instant,
    /// System calls, where they are counted.
    calls: Option<u64>,
}

/// A way to read from many pipes.
pub(crate) struct Model {
    pub(crate) name: &'static str,
    read: fn(Incoming) -> io::Result<Received>,
}

pub(crate) const MODELS: &[Model] = &[
    Model {
        name: "krug-uring",
        read: |incoming| krug::read(Driver::Uring, incoming),
    },
    Model {
        name: "krug-epoll",
        read: |incoming| krug::read(Driver::Epoll, incoming),
    },
    Model {
        name: "epoll",
        read: epoll::read,
    },
    Model {
        name: "poll",
        read: poll::read,
    },
    Model {
        name: "select",
        read: select::read,
    },
    Model {
        name: "busy-loop",
        read: busy::read,
    },
    Model {
        name: "processes",
        read: collector::read,
    },
];

/// The error of a model that cannot go on with so many pipes.
fn cannot(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, reason)
}

/// Has the model read what the job writes, and compares the two. An error of the kind `Unsupported` says why the
/// model cannot do it.
pub(crate) fn run(model: &'static Model, job: &Job) -> io::Result<Measured> {
    let mut pipes = Vec::with_capacity(job.pipes);
    let mut ends = Vec::with_capacity(job.pipes);
    for _ in 0..job.pipes {
        let (reader, writer) = io::pipe()?;
        pipes.push(reader);
        ends.push(writer);
    }
    let (go, gone) = mpsc::channel();
    let children_before = calls::children_time()?;
    let job = job.clone();
    let writer = thread::Builder::new()
        .name("write".to_owned())
        .spawn(move || {
            pin(1)?;
            writer::write(&job, ends, &gone)
        })?;
    let reader = thread::Builder::new()
        .name(format!("read-{}", model.name))
        .spawn(move || {
            pin(0)?;
            (model.read)(Incoming { pipes, go })
        })?;
    let (received, written) = (joined(reader), joined(writer));
    // A writer fails, too, when its reader has gone.
    let received = received?;
    let written = written?;
    received.ledger.compare(&written.counts)?;
    let elapsed = (received.ended - written.began).as_secs_f64().max(1e-9);
    let children = calls::children_time()? - children_before;
    let here = system::process_time() - written.busy_before;
    let busy = here.saturating_sub(written.busy) + children;
    let records = received.ledger.records();
    Ok(Measured {
        operations: records,
        rate: records as f64 / elapsed,
        load: busy.as_secs_f64() / elapsed,
        latencies: None,
        calls: received.calls,
    })
}

fn pin(index: usize) -> io::Result<()> {
    match system::allowed_cores().as_slice() {
        cores @ [_, _, ..] => system::pin_to(cores[index]),
        _ => Ok(()),
    }
}

fn joined<T>(thread: thread::JoinHandle<io::Result<T>>) -> io::Result<T> {
    thread
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
}
