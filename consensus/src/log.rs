//! What a peer must not forget, on a disk.
//!
//! A log is a [`Journal`]. Each batch is written at once and synced before the next one is begun, and ends with two
//! entries that say so. They tell apart what looks alike at the end of a file: records that were being written when the power
//! failed, of which nobody has heard, and records that somebody has heard of and the disk has damaged.
//!
//! | found when the log is opened | then |
//! |---|---|
//! | nothing, and the peer was never there before | it is born: [`Opened::Whole`] without records |
//! | good batches | [`Opened::Whole`] |
//! | … and behind them the beginning of one more, as torn off as it may be | likewise: nobody has heard of it |
//! | a damaged entry, and a good one behind it | [`Opened::Damaged`] |
//! | nothing, though the peer was there before | [`Opened::Damaged`]: it is lost |
//!
//! Of the two ends of a batch one stays good if a single bit of it flips, so the damage is seen. A disk that keeps the later part of a
//! write that was interrupted, and not the earlier one, makes a peer mute without need; it never lets one break a promise.
//!
//! An error of a write or a sync is the end: nobody knows what the disk has kept, and a second sync that succeeds would
//! not tell. The peer must be stopped, and must not come back with this file.

pub mod codec;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use krug::fs::{self, Journal, JournalOptions};

use crate::core::{LogRecord, Slot};
use codec::{END_BYTES, Entry};

/// A segment of the journal is no smaller.
const SEGMENT_SIZE_MIN: u64 = 32 * 1024;

/// Which life of a peer begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// The first: no log of it was ever opened.
    First,
    /// A later one: its log must be there.
    Later,
}

/// A peer's log, open. Clones append to the same one.
#[derive(Clone, Debug)]
pub struct Log {
    journal: Journal,
}

/// What became of a log.
#[derive(Debug)]
pub enum Opened {
    /// All that was ever appended is there: [`Peer::restart`](crate::core::Peer::restart) with these records.
    Whole {
        /// Ready for more.
        log: Log,
        /// In the order in which they were appended.
        records: Vec<LogRecord>,
    },
    /// Something is missing: [`Peer::mute`](crate::core::Peer::mute). Why, for people.
    Damaged(String),
}

impl Log {
    /// Opens the log in `folder`, whose parent exists, of a peer in a circle of `peers`. When it returns a log the peer
    /// was born: the next life is a later one, whatever becomes of this one.
    ///
    /// Dropping this future closes the log again.
    ///
    /// # Errors
    ///
    /// What the kernel answers, with the path. Damage is no error.
    pub async fn open(folder: &Path, peers: usize, life: Life) -> io::Result<Opened> {
        match Log::read(folder, peers, life).await {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Ok(Opened::Damaged(error.to_string()))
            }
            opened => opened,
        }
    }

    async fn read(folder: &Path, peers: usize, life: Life) -> io::Result<Opened> {
        let options = JournalOptions::new().segment_size(segment_size(peers));
        let mut recovery = options.recover(folder).await?;
        let mut records = Vec::new();
        let mut is_empty = true;
        while let Some(record) = recovery.next().await? {
            is_empty = false;
            match codec::decode(&record.payload) {
                Ok(Entry::Record(record)) => records.push(record),
                Ok(Entry::End) => {}
                Err(error) => {
                    let number = record.sequence;
                    let text = format!(
                        "entry {number} of the log in {} is none: {error}",
                        folder.display()
                    );
                    return Ok(Opened::Damaged(text));
                }
            }
        }
        if let Some(place) = recovery.stray().await? {
            let text = format!(
                "the log in {} is damaged: there is a good entry at byte {place} of its last segment, behind a bad one",
                folder.display()
            );
            return Ok(Opened::Damaged(text));
        }
        if is_empty && life == Life::Later {
            let text = format!("the log in {} is lost", folder.display());
            return Ok(Opened::Damaged(text));
        }
        let journal = recovery.finish().await?;
        let log = Log { journal };
        if is_empty {
            log.append(&[]).await?;
        }
        Ok(Opened::Whole { log, records })
    }

    /// Appends `records` as one batch, and waits until they are durable. Of records that replace each other only the last is
    /// written.
    ///
    /// Wait for one batch before appending the next. Dropping this future leaves it open whether the batch is written.
    ///
    /// # Errors
    ///
    /// What the kernel answers; from then on always: the peer must stop.
    pub async fn append(&self, records: &[LogRecord]) -> io::Result<()> {
        let mut entries = newest(records);
        entries.extend([END_BYTES.to_vec(), END_BYTES.to_vec()]);
        self.journal.append_all(&entries).await?;
        Ok(())
    }

    /// Ends the log in good order: nothing of it is written any more when this resolves.
    ///
    /// Dropping this future ends it in the background.
    ///
    /// # Errors
    ///
    /// As [`append`](Log::append).
    pub async fn close(self) -> io::Result<()> {
        self.journal.close().await
    }

    /// How many batches were written since the log was opened.
    pub fn batches(&self) -> u64 {
        self.journal.batches()
    }
}

/// Removes what is left of a log in `folder`, if there is one: for whoever begins anew.
///
/// # Errors
///
/// What the kernel answers, with the path.
pub async fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The bytes of those records that no later one replaces, in order.
fn newest(records: &[LogRecord]) -> Vec<Vec<u8>> {
    let mut has_claim = false;
    let mut settled = BTreeSet::<Slot>::new();
    let mut entries = Vec::with_capacity(records.len() + 2);
    for record in records.iter().rev() {
        let is_newest = match record {
            LogRecord::Claimed(_) => !std::mem::replace(&mut has_claim, true),
            LogRecord::Registered { slot, .. } => settled.insert(*slot),
            LogRecord::Decided { slot, .. } => {
                settled.insert(*slot);
                true
            }
        };
        if is_newest {
            entries.push(codec::encode(record));
        }
    }
    entries.reverse();
    entries
}

/// Room for several of the longest records, which are registers of the roll.
fn segment_size(peers: usize) -> u64 {
    /// Ticket, name and redraws.
    const CLAIM: u64 = 36;
    let candidate = 16 + CLAIM * peers as u64;
    let longest = 32 + 3 * candidate;
    (4 * longest + 4096)
        .next_power_of_two()
        .max(SEGMENT_SIZE_MIN)
}
