//! The task that writes: one write and one sync for all that was appended meanwhile.

use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::rc::Rc;

use super::JournalOptions;
use super::clean::Mark;
use super::format::{self, Seal};
use super::lock::Lock;
use super::segment::{self, Segment};
use crate::buf::IoBuf;
use crate::fs::File;
use crate::sync::{Notify, Semaphore};
use crate::task::{JoinHandle, spawn, yield_now};

/// What appenders and the writer share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) state: RefCell<State>,
    /// One appender at a time waits for room, in the order of arrival.
    pub(super) door: Semaphore,
    /// There is something to write, or the journal is being closed.
    pub(super) arrived: Notify,
    /// The writer has taken what was pending.
    pub(super) taken: Notify,
    /// More records are durable, or the journal has failed, or is closed.
    pub(super) settled: Notify,
}

#[derive(Debug)]
pub(super) struct State {
    /// Records without checksums, in order.
    pub(super) pending: Vec<u8>,
    /// The number that the next appended record gets.
    pub(super) next: u64,
    /// All records below this number are on the disk.
    pub(super) durable: u64,
    pub(super) batches: u64,
    /// The first records of all segments.
    pub(super) firsts: Vec<u64>,
    pub(super) is_closing: bool,
    pub(super) end: Option<End>,
}

/// Why nothing is written any more.
#[derive(Clone, Debug)]
pub(super) enum End {
    Closed,
    Failed(io::ErrorKind, String),
}

impl State {
    /// The error of every append from now on, if there is one.
    pub(super) fn check(&self) -> io::Result<()> {
        match &self.end {
            Some(End::Failed(kind, text)) => Err(io::Error::new(*kind, text.clone())),
            Some(End::Closed) => Err(closed_error()),
            None if self.is_closing => Err(closed_error()),
            None => Ok(()),
        }
    }
}

fn closed_error() -> io::Error {
    io::Error::other("the journal was closed")
}

impl Shared {
    pub(super) fn new(firsts: Vec<u64>, next: u64) -> Shared {
        let state = State {
            pending: Vec::new(),
            next,
            durable: next,
            batches: 0,
            firsts,
            is_closing: false,
            end: None,
        };
        Shared {
            state: RefCell::new(state),
            door: Semaphore::new(1),
            arrived: Notify::new(),
            taken: Notify::new(),
            settled: Notify::new(),
        }
    }

    fn end(&self, end: End) {
        self.state.borrow_mut().end.get_or_insert(end);
        self.settled.notify_waiters();
        self.taken.notify_waiters();
    }

    /// What is to be written next, in exchange for an empty buffer; `None` when the journal is to be closed.
    async fn next_batch(&self, mut empty: Vec<u8>) -> Option<Vec<u8>> {
        loop {
            // Whoever is ready to run may still have something to add to this batch.
            yield_now().await;
            let is_closing = {
                let mut state = self.state.borrow_mut();
                if !state.pending.is_empty() {
                    empty.clear();
                    std::mem::swap(&mut state.pending, &mut empty);
                    drop(state);
                    self.taken.notify_waiters();
                    return Some(empty);
                }
                state.is_closing
            };
            if is_closing {
                return None;
            }
            self.arrived.notified().await;
        }
    }
}

/// Writes batch after batch; the only one who touches the files.
pub(super) struct Writer {
    shared: Rc<Shared>,
    folder: Rc<Path>,
    options: JournalOptions,
    /// Given back before the end is told.
    lock: Option<Lock>,
    segment: Segment,
    /// The number of the next record to be written.
    sequence: u64,
    /// The next segment, being filled with zeros.
    preparing: Option<JoinHandle<io::Result<File>>>,
}

impl Writer {
    pub(super) fn new(
        shared: Rc<Shared>,
        folder: Rc<Path>,
        options: JournalOptions,
        lock: Lock,
        segment: Segment,
    ) -> Writer {
        let sequence = shared.state.borrow().next;
        Writer {
            shared,
            folder,
            options,
            lock: Some(lock),
            segment,
            sequence,
            preparing: None,
        }
    }

    /// Runs until the journal is closed or something fails. After a failed sync nobody knows what is on the disk, and a
    /// second sync that succeeds would prove nothing (the kernel may have dropped what it could not write): so
    /// the first failure is the end.
    pub(super) async fn run(mut self) {
        self.prepare_next();
        let mut batch = Vec::new();
        let mut outcome = Ok(());
        while outcome.is_ok() {
            match self.shared.next_batch(batch).await {
                Some(next) => (outcome, batch) = self.write(next).await,
                None => break,
            }
        }
        let end = match outcome {
            Ok(()) => End::Closed,
            Err(error) => End::Failed(error.kind(), self.explain(&error)),
        };
        if let Some(preparing) = self.preparing.take() {
            preparing.abort();
            drop(preparing.await);
        }
        if let End::Closed = end {
            let mark = Mark::new(&self.segment.header, self.segment.end);
            mark.write(&self.folder).await;
        }
        // Whoever hears of the end may open the journal anew.
        self.lock = None;
        self.shared.end(end);
    }

    fn explain(&self, error: &io::Error) -> String {
        format!(
            "the journal in {} has failed and takes no more records ({error}); open it anew: what had been acknowledged is there",
            self.folder.display()
        )
    }

    async fn write(&mut self, mut batch: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
        let mut from = 0;
        while from < batch.len() {
            let seal = Seal {
                salt: self.segment.header.salt,
                sequence: self.sequence,
            };
            let (size, count) = format::seal(&mut batch[from..], seal, self.segment.room());
            if count == 0 {
                if let Err(error) = self.begin_next_segment().await {
                    return (Err(error), batch);
                }
                continue;
            }
            let (written, slice) = self
                .segment
                .file
                .write_all_at(batch.slice(from..from + size), self.segment.end)
                .await;
            batch = slice.into_inner();
            let durable = match written {
                Ok(()) => self.segment.file.sync_data().await,
                Err(error) => Err(error),
            };
            if let Err(error) = durable {
                return (Err(error), batch);
            }
            from += size;
            self.segment.end += size as u64;
            self.sequence += count;
            self.tell_durable();
        }
        (Ok(()), batch)
    }

    fn tell_durable(&self) {
        {
            let mut state = self.shared.state.borrow_mut();
            state.durable = self.sequence;
            state.batches += 1;
        }
        self.shared.settled.notify_waiters();
    }

    fn prepare_next(&mut self) {
        let (folder, size) = (self.folder.clone(), self.options.segment_size);
        self.preparing = Some(spawn(segment::prepare(folder, size)));
    }

    async fn begin_next_segment(&mut self) -> io::Result<()> {
        let prepared = match self.preparing.take() {
            Some(preparing) => preparing.await.map_err(io::Error::other)??,
            None => segment::prepare(self.folder.clone(), self.options.segment_size).await?,
        };
        let header = self.options.header(self.sequence);
        let next = segment::install(prepared, &self.folder, header).await?;
        let full = std::mem::replace(&mut self.segment, next);
        self.shared.state.borrow_mut().firsts.push(self.sequence);
        self.prepare_next();
        full.file.close().await
    }
}

impl Drop for Writer {
    /// Its task was dropped together with its runtime, possibly before it was first polled.
    fn drop(&mut self) {
        let text = "the runtime of this journal has ended before the record was written";
        self.shared
            .end(End::Failed(io::ErrorKind::Other, text.to_owned()));
    }
}
