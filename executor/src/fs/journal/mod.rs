//! [`Journal`]: an append-only log of records that survive a crash.
//!
//! Many tasks append at once; what comes in while the disk is busy goes out together, with one
//! write and one sync for all. When [`append`](Journal::append) returns, the record is on the disk.
//!
//! ```no_run
//! use krug::fs::Journal;
//!
//! # #[krug::main] async fn main() -> std::io::Result<()> {
//! let mut recovery = Journal::recover("/var/lib/shop").await?;
//! while let Some(record) = recovery.next().await? {
//!     println!("{}: {} bytes", record.sequence, record.payload.len());
//! }
//! let journal = recovery.finish().await?;
//! let sequence = journal.append("sold: 1 umbrella").await?; // durable now
//! journal.remove_before(sequence).await?; // after a snapshot: earlier segments can go
//! journal.close().await
//! # }
//! ```
//!
//! # What is kept, and when
//!
//! | event | then |
//! |---|---|
//! | `append` has returned `Ok` | the record is on the disk, and so are all with smaller numbers |
//! | the future of an `append` is dropped before its record has its place in a batch | the record was never appended |
//! | … and after that | the record is written with its batch all the same; nobody is told |
//! | the process or the machine stops | the next recovery returns every acknowledged record, possibly some that were not acknowledged, and nothing after the first gap |
//! | a write or a sync fails | this append and all others, waiting and later, fail with the same error: nobody can know what a disk has kept after a failed sync, so nothing is added to it. Open the journal anew |
//! | a journal is opened anew | the records of its last segment are written again and synced before anything is added: after a failed sync the kernel shows bytes that are not on the disk. What an interrupted write has left behind them is covered |
//! | … after a clean end | a mark says that all of it is on the disk: nothing is written. The mark is removed first, so it is believed once |
//! | the tail is torn, or a bit of it has flipped | recovery stops before the first damaged record ([`Recovery::torn`]), and appending goes on there; [`Recovery::stray`] helps to tell the one from the other |
//! | damage before the last segment | recovery returns an error that says where: acknowledged records would be lost by going on |
//! | the last [`Journal`] is dropped | what was appended is written in the background, as long as the runtime runs |
//! | another process has the journal open | an error says so |
//!
//! # On the disk
//!
//! A folder of segments, each a file of a fixed size named by its first record, filled with zeros
//! before it is used: a sync then writes the record and no metadata. Every record carries a CRC-32 that also covers
//! its number and a random salt of its segment, so that bytes of another place or an older file are not
//! taken for it. The format is described in `executor/src/fs/journal/format.rs`.
//!
//! The rule to stop at the first failed sync follows Rebello et al., "Can Applications Recover from fsync Failures?" (USENIX ATC 2020).

mod clean;
mod format;
mod lock;
mod options;
mod recovery;
mod segment;
mod writer;

use std::fmt;
use std::io;
use std::path::Path;
use std::rc::Rc;

pub use options::JournalOptions;
pub use recovery::{Record, Recovery, TornTail};

use crate::task::spawn;
use lock::Lock;
use segment::Segment;
use writer::{End, Shared, Writer};

/// An append-only log of records that survive a crash. Clones append to the same log; it belongs to one core.
///
/// See the [module's docs](self) for what is kept when.
#[derive(Clone)]
pub struct Journal {
    handle: Rc<Handle>,
}

struct Handle {
    shared: Rc<Shared>,
    folder: Rc<Path>,
    record_length_max: usize,
    pending_max: usize,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.begin_to_close();
    }
}

impl Handle {
    fn begin_to_close(&self) {
        self.shared.state.borrow_mut().is_closing = true;
        self.shared.arrived.notify_one();
    }
}

impl Journal {
    /// Opens the journal in `folder`, which is made, and synced with its name, if it does not exist, to read what it holds and then append.
    ///
    /// Dropping this future closes it again.
    ///
    /// # Errors
    ///
    /// What the kernel answers, with the path; `WouldBlock` if the journal is open elsewhere, in this process or another.
    pub async fn recover(folder: impl AsRef<Path>) -> io::Result<Recovery> {
        Journal::begin(folder.as_ref(), JournalOptions::new()).await
    }

    /// Opens the journal in `folder` to append to it, without looking at what it holds (it is read and checked all the same).
    ///
    /// Dropping this future closes it again.
    ///
    /// # Errors
    ///
    /// As [`recover`](Journal::recover) and [`Recovery::next`].
    pub async fn open(folder: impl AsRef<Path>) -> io::Result<Journal> {
        JournalOptions::new().open(folder).await
    }

    async fn begin(folder: &Path, options: JournalOptions) -> io::Result<Recovery> {
        segment::make_folder(folder).await?;
        let lock = Lock::take(folder).await?;
        Recovery::begin(folder.into(), options, lock).await
    }

    fn start(
        folder: Rc<Path>,
        options: JournalOptions,
        lock: Lock,
        firsts: Vec<u64>,
        segment: Segment,
        next: u64,
    ) -> Journal {
        let shared = Rc::new(Shared::new(firsts, next));
        let handle = Handle {
            shared: shared.clone(),
            folder: folder.clone(),
            record_length_max: format::payload_max(segment.header.size.min(options.segment_size)),
            pending_max: options.pending_max,
        };
        // Detached: it ends when the last handle is gone and everything is written.
        drop(spawn(
            Writer::new(shared, folder, options, lock, segment).run(),
        ));
        Journal {
            handle: Rc::new(handle),
        }
    }

    /// Appends a record and waits until it is on the disk. Returns its number: one more than that of the record
    /// before, from 0. Records of one task are in the order of the calls; those of several in the order in which their futures were first polled.
    ///
    /// Dropping this future: see the table in the [module's docs](self); nothing else is disturbed.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the record does not fit into a segment ([`JournalOptions::record_length_max`]); the error of the write or
    /// sync that failed, now or earlier; also after [`close`](Journal::close).
    pub async fn append(&self, payload: impl AsRef<[u8]>) -> io::Result<u64> {
        self.append_all(&[payload]).await
    }

    /// Appends several records, one behind the other, and waits until all are on the disk. Returns the number of the first.
    ///
    /// They are written together, with one sync, unless a segment ends between them. A crash may leave the first of them
    /// without the rest.
    ///
    /// Dropping this future: as with [`append`](Journal::append), all of them or none.
    ///
    /// # Errors
    ///
    /// As [`append`](Journal::append), if one of them does not fit, before any has its place.
    pub async fn append_all(&self, payloads: &[impl AsRef<[u8]>]) -> io::Result<u64> {
        let first = self.enqueue(payloads).await?;
        let end = first + payloads.len() as u64;
        let shared = &self.handle.shared;
        loop {
            let settled = shared.settled.notified();
            {
                let state = shared.state.borrow();
                if state.durable >= end {
                    return Ok(first);
                }
                if state.end.is_some() {
                    state.check()?;
                }
            }
            settled.await;
        }
    }

    /// Gives the records their places in the next batch.
    async fn enqueue(&self, payloads: &[impl AsRef<[u8]>]) -> io::Result<u64> {
        let lengths = || payloads.iter().map(|payload| payload.as_ref().len());
        let most = self.handle.record_length_max;
        if let Some(length) = lengths().find(|length| *length > most) {
            let text = format!(
                "a record of {length} bytes is too long for this journal: {most} fit into a segment"
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let shared = &self.handle.shared;
        let _turn = shared.door.acquire().await;
        let size: usize = lengths().map(format::record_size).sum();
        loop {
            let taken = shared.taken.notified();
            {
                let mut state = shared.state.borrow_mut();
                state.check()?;
                let has_room = state.pending.len() + size <= self.handle.pending_max;
                if has_room || state.pending.is_empty() {
                    for payload in payloads {
                        format::push_unsealed(&mut state.pending, payload.as_ref());
                    }
                    let first = state.next;
                    state.next += payloads.len() as u64;
                    drop(state);
                    shared.arrived.notify_one();
                    return Ok(first);
                }
            }
            taken.await;
        }
    }

    /// All records with smaller numbers are on the disk.
    pub fn durable_sequence(&self) -> u64 {
        self.handle.shared.state.borrow().durable
    }

    /// How many batches have been written since the journal was opened, each with one write and one sync: with many appenders
    /// far fewer than records.
    pub fn batches(&self) -> u64 {
        self.handle.shared.state.borrow().batches
    }

    /// Removes the segments all of whose records have numbers below `sequence`, when a snapshot makes them
    /// superfluous. Records below may stay, as a segment is removed whole; the newest segment always stays.
    ///
    /// Dropping this future may leave some of these segments.
    ///
    /// # Errors
    ///
    /// What the kernel answers, with the path.
    pub async fn remove_before(&self, sequence: u64) -> io::Result<()> {
        let Handle { shared, folder, .. } = &*self.handle;
        let mut is_changed = false;
        loop {
            let oldest = {
                let state = shared.state.borrow();
                match state.firsts[..] {
                    [first, second, ..] if second <= sequence => first,
                    _ => break,
                }
            };
            match super::remove_file(folder.join(segment::name(oldest))).await {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                // Somebody else who removes at the same time was faster.
                _ => {}
            }
            shared
                .state
                .borrow_mut()
                .firsts
                .retain(|first| *first != oldest);
            is_changed = true;
        }
        if is_changed {
            segment::sync_folder(folder).await?;
        }
        Ok(())
    }

    /// Waits until everything that was appended is on the disk, and closes the journal, also for clones of this handle.
    ///
    /// Dropping this future does the same in the background.
    ///
    /// # Errors
    ///
    /// The error of a write or sync that failed, now or earlier.
    pub async fn close(self) -> io::Result<()> {
        self.handle.begin_to_close();
        let shared = &self.handle.shared;
        loop {
            let settled = shared.settled.notified();
            {
                let state = shared.state.borrow();
                match &state.end {
                    Some(End::Closed) => return Ok(()),
                    Some(End::Failed(..)) => return state.check(),
                    None => {}
                }
            }
            settled.await;
        }
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("folder", &self.handle.folder)
            .field("durable_sequence", &self.durable_sequence())
            .finish()
    }
}
