//! [`JournalOptions`]: the settings of a journal.

use std::io;
use std::path::Path;

use super::format::{HEADER_SIZE, Header, payload_max};
use super::{Journal, Recovery};

/// 64 MiB, as etcd's and many other logs have it: filled in a second by a fast disk, and little to wait for in a recovery.
const SEGMENT_SIZE_DEFAULT: u64 = 64 * 1024 * 1024;
/// Room for the header and a record of some length.
const SEGMENT_SIZE_MIN: u64 = 2 * HEADER_SIZE as u64;
const PENDING_MAX_DEFAULT: usize = 4 * 1024 * 1024;

/// The settings of a [`Journal`]; the defaults are right for most.
#[derive(Clone, Debug)]
#[must_use = "options do nothing until recover or open is called"]
pub struct JournalOptions {
    pub(super) segment_size: u64,
    pub(super) pending_max: usize,
}

impl Default for JournalOptions {
    fn default() -> JournalOptions {
        JournalOptions::new()
    }
}

impl JournalOptions {
    /// The defaults.
    pub fn new() -> JournalOptions {
        JournalOptions {
            segment_size: SEGMENT_SIZE_DEFAULT,
            pending_max: PENDING_MAX_DEFAULT,
        }
    }

    /// The size of each new segment in bytes, 64 MiB unless set; 8 KiB at least, 1 TiB at most. A record must fit into one. Segments that
    /// exist keep their size. One segment more than the records need is kept ready, filled with zeros.
    pub fn segment_size(mut self, bytes: u64) -> JournalOptions {
        self.segment_size = bytes.clamp(SEGMENT_SIZE_MIN, 1 << 40) & !7;
        self
    }

    /// How many bytes of records may wait for the disk, 4 MiB unless set; then [`append`](Journal::append) waits. One record may
    /// always wait, however long it is.
    pub fn pending_max(mut self, bytes: usize) -> JournalOptions {
        self.pending_max = bytes;
        self
    }

    /// The longest record in bytes that fits into a segment.
    pub fn record_length_max(&self) -> usize {
        payload_max(self.segment_size)
    }

    /// As [`Journal::recover`], with these settings.
    ///
    /// Dropping this future closes the journal again.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn recover(&self, folder: impl AsRef<Path>) -> io::Result<Recovery> {
        Journal::begin(folder.as_ref(), self.clone()).await
    }

    /// As [`Journal::open`], with these settings.
    ///
    /// Dropping this future closes the journal again.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn open(&self, folder: impl AsRef<Path>) -> io::Result<Journal> {
        self.recover(folder).await?.finish().await
    }

    /// The header of a new segment.
    pub(super) fn header(&self, first: u64) -> Header {
        Header {
            size: self.segment_size,
            first,
            salt: crate::context::with(|core| core.random.next()).unwrap_or(first),
        }
    }
}
