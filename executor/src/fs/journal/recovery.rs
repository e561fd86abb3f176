//! [`Recovery`]: reads what a journal holds, before anything is added.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::clean::Mark;
use super::format::{self, Found, HEADER_SIZE, Header, Seal};
use super::lock::Lock;
use super::segment::{self, Segment};
use super::{Journal, JournalOptions};
use crate::buf::IoBuf;

/// How much is read at once, unless a record is longer.
const READ_SIZE: usize = 256 * 1024;

/// One record of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number: the first record ever has 0, each next one more.
    pub sequence: u64,
    /// What was appended.
    pub payload: Vec<u8>,
}

/// Where the records of a journal break off: the writer was interrupted there. What was being
/// written had not been acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The last segment.
    pub segment: PathBuf,
    /// The first byte in it that is no part of a good record.
    pub offset: u64,
}

impl fmt::Display for TornTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (segment, offset) = (self.segment.display(), self.offset);
        write!(f, "{segment} breaks off at byte {offset}")
    }
}

/// The records of a journal that was opened, in order; then the [`Journal`] itself.
///
/// See [`Journal::recover`].
#[derive(Debug)]
pub struct Recovery {
    folder: Rc<Path>,
    options: JournalOptions,
    lock: Lock,
    /// The first records of all segments.
    firsts: Vec<u64>,
    /// Those of the segments that were not opened yet.
    ahead: VecDeque<u64>,
    reader: Option<Reader>,
    /// The number of the next record.
    next: u64,
    torn: Option<TornTail>,
}

impl Recovery {
    pub(super) async fn begin(
        folder: Rc<Path>,
        options: JournalOptions,
        lock: Lock,
    ) -> io::Result<Recovery> {
        let firsts = segment::list(&folder).await?;
        Ok(Recovery {
            folder,
            options,
            lock,
            next: firsts.first().copied().unwrap_or(0),
            ahead: firsts.iter().copied().collect(),
            firsts,
            reader: None,
            torn: None,
        })
    }

    /// The next record; `None` after the last good one.
    ///
    /// Dropping this future loses nothing: the next call returns the same record.
    ///
    /// # Errors
    ///
    /// What the kernel answers; `InvalidData` if records are missing or damaged that had been followed by
    /// others on the disk: that is no interrupted write but a damaged journal, and the message says where.
    pub async fn next(&mut self) -> io::Result<Option<Record>> {
        loop {
            let Some(reader) = &mut self.reader else {
                let Some(first) = self.ahead.front().copied() else {
                    return Ok(None);
                };
                self.reader = Some(Reader::new(segment::open(&self.folder, first).await?));
                self.ahead.pop_front();
                continue;
            };
            match reader.next(self.next).await? {
                Read::Record(payload) => {
                    let sequence = self.next;
                    self.next += 1;
                    return Ok(Some(Record { sequence, payload }));
                }
                Read::End(flaw) => {
                    let offset = reader.at;
                    let path = self.folder.join(segment::name(reader.segment.header.first));
                    match (self.ahead.front(), flaw) {
                        (Some(first), None) if *first == self.next => self.reader = None,
                        (Some(first), flaw) => {
                            return Err(damaged(&path, offset, self.next, *first, flaw));
                        }
                        (None, None) => return Ok(None),
                        (None, Some(_)) => {
                            let segment = path;
                            self.torn = Some(TornTail { segment, offset });
                            return Ok(None);
                        }
                    }
                }
            }
        }
    }

    /// The number that the next record to be appended gets, once [`next`](Recovery::next) has returned `None`.
    pub fn next_sequence(&self) -> u64 {
        self.next
    }

    /// Where the journal breaks off, if it does not end cleanly; known once [`next`](Recovery::next) has returned `None`.
    pub fn torn(&self) -> Option<&TornTail> {
        self.torn.as_ref()
    }

    /// Where, in the last segment, a good record stands behind the end of the journal, if one does: its first byte. Reads the records
    /// that are left first.
    ///
    /// Such a record was written, and cannot be reached: what stood before it is damaged. A write that was
    /// interrupted leaves one only where a disk has written the later part of it, and not the earlier one. So whoever
    /// waits for each batch ([`append_all`](Journal::append_all)) before he appends the next, and ends each with a record that says so, can
    /// tell records that were never acknowledged from those that were and are damaged.
    ///
    /// Dropping this future loses nothing.
    ///
    /// # Errors
    ///
    /// As [`next`](Recovery::next).
    pub async fn stray(&mut self) -> io::Result<Option<u64>> {
        while self.next().await?.is_some() {}
        match &self.reader {
            Some(reader) => reader.stray(self.next).await,
            None => Ok(None),
        }
    }

    /// Skips the records that are left and opens the journal for appending. Unless the journal was closed before, the records of its
    /// last segment are first written again and synced: after a sync that failed, the kernel may show records that are not on the disk.
    ///
    /// Dropping this future leaves the journal on the disk as it was, closed.
    ///
    /// # Errors
    ///
    /// As [`next`](Recovery::next).
    pub async fn finish(mut self) -> io::Result<Journal> {
        while self.next().await?.is_some() {}
        let segment = match self.reader.take() {
            Some(reader) => {
                let mark = Mark::new(&reader.segment.header, reader.at);
                let is_clean = mark.take(&self.folder).await? && self.torn.is_none();
                // The mark is to be gone before anything is written; and the name of the segment may be one that a failed sync
                // has left in memory only.
                segment::sync_folder(&self.folder).await?;
                reader.into_clean_segment(is_clean).await?
            }
            None => {
                let file = segment::prepare(self.folder.clone(), self.options.segment_size).await?;
                let header = self.options.header(self.next);
                self.firsts.push(self.next);
                segment::install(file, &self.folder, header).await?
            }
        };
        Ok(Journal::start(
            self.folder,
            self.options,
            self.lock,
            self.firsts,
            segment,
            self.next,
        ))
    }
}

fn damaged(
    path: &Path,
    offset: u64,
    wanted: u64,
    next_first: u64,
    flaw: Option<format::Flaw>,
) -> io::Error {
    let why = flaw.map_or_else(|| "it ends there".to_owned(), |flaw| flaw.to_string());
    let text = format!(
        "the journal is damaged: {}, byte {offset}, should hold record {wanted} ({why}), but the next segment \
         begins with record {next_first}; restore it from a copy, or move the later segments away to do without them",
        path.display()
    );
    io::Error::new(io::ErrorKind::InvalidData, text)
}

enum Read {
    Record(Vec<u8>),
    /// No more records here, and why if that is not the clean end.
    End(Option<format::Flaw>),
}

/// Reads the records of one segment.
#[derive(Debug)]
struct Reader {
    segment: Segment,
    /// Where the next record is.
    at: u64,
    /// What was read from `block_at` on. Empty while a read is in flight, and after one that was dropped.
    block: Vec<u8>,
    block_at: u64,
}

impl Reader {
    fn new(segment: Segment) -> Reader {
        Reader {
            segment,
            at: HEADER_SIZE as u64,
            block: Vec::new(),
            block_at: HEADER_SIZE as u64,
        }
    }

    async fn next(&mut self, sequence: u64) -> io::Result<Read> {
        let Header { size, salt, .. } = self.segment.header;
        let seal = Seal { salt, sequence };
        loop {
            let left = size.saturating_sub(self.at);
            let place = (self.at - self.block_at) as usize;
            let bytes = self.block.get(place..).unwrap_or_default();
            match format::find(bytes, left, seal) {
                Found::Record { payload, size } => {
                    let payload = payload.to_vec();
                    self.at += size as u64;
                    return Ok(Read::Record(payload));
                }
                Found::Needs(count) => self.fill(count, left).await?,
                Found::End => return Ok(Read::End(None)),
                Found::Torn(flaw) => return Ok(Read::End(Some(flaw))),
            }
        }
    }

    /// Reads on until `count` bytes from `at` on are in the block; `left` is how many the segment has.
    async fn fill(&mut self, count: usize, left: u64) -> io::Result<()> {
        let mut block = std::mem::take(&mut self.block);
        let used = ((self.at - self.block_at) as usize).min(block.len());
        block.drain(..used);
        self.block_at = self.at;
        let wanted = (count.max(READ_SIZE) as u64).min(left.max(count as u64)) as usize;
        block.reserve(wanted.saturating_sub(block.len()));
        while block.len() < count {
            let have = block.len();
            let offset = self.block_at + have as u64;
            let (read, slice) = self
                .segment
                .file
                .read_at(block.slice(have..wanted), offset)
                .await;
            block = slice.into_inner();
            if read? == 0 {
                // The file is shorter than its header says: what is missing was never written.
                block.resize(count, 0);
            }
        }
        self.block = block;
        Ok(())
    }

    /// Where a good record stands that is not the one of number `sequence`, which is missing, but any later one.
    async fn stray(&self, sequence: u64) -> io::Result<Option<u64>> {
        let Header { size, salt, .. } = self.segment.header;
        let wanted = size.saturating_sub(self.at) as usize;
        let mut rest = Vec::with_capacity(wanted);
        while rest.len() < wanted {
            let have = rest.len();
            let offset = self.at + have as u64;
            let (read, slice) = self
                .segment
                .file
                .read_at(rest.slice(have..wanted), offset)
                .await;
            rest = slice.into_inner();
            if read? == 0 {
                // The file is shorter than its header says.
                break;
            }
        }
        let place = format::stray(&rest, Seal { salt, sequence });
        Ok(place.map(|place| self.at + place as u64))
    }

    /// The segment, ready for the next record. After an end that was not clean its records are written again, because the kernel may
    /// show bytes that it could not write when a sync failed, and would never write by itself; and what an
    /// interrupted write has left behind them is covered, because it could look like good records once more.
    async fn into_clean_segment(mut self, is_clean: bool) -> io::Result<Segment> {
        if !is_clean {
            self.write_records_again().await?;
            self.cover_the_rest().await?;
            self.segment.file.sync_all().await?;
        }
        self.segment.end = self.at;
        Ok(self.segment)
    }

    async fn write_records_again(&self) -> io::Result<()> {
        let file = &self.segment.file;
        let mut block = Vec::with_capacity(READ_SIZE);
        let mut at = 0;
        while at < self.at {
            let wanted = (self.at - at).min(READ_SIZE as u64) as usize;
            let (read, slice) = file.read_at(block.slice(..wanted), at).await;
            let count = read? as u64;
            if count == 0 {
                // The file is shorter than its header says, and the last record ends with zeros that are missing.
                return segment::fill(file, at, self.at, [0; 8]).await;
            }
            let (written, slice) = file.write_all_at(slice, at).await;
            written?;
            block = slice.into_inner();
            block.clear();
            at += count;
        }
        Ok(())
    }

    /// Covers all that is no zero behind the records. Zeros that the kernel shows are on the disk: they were synced before the segment
    /// had its name, and are never written again.
    async fn cover_the_rest(&self) -> io::Result<()> {
        let size = self.segment.header.size;
        let file = &self.segment.file;
        let mut block = Vec::with_capacity(READ_SIZE);
        let (mut at, mut end) = (self.at, self.at);
        while at < size {
            let wanted = (size - at).min(READ_SIZE as u64) as usize;
            let (read, slice) = file.read_at(block.slice(..wanted), at).await;
            block = slice.into_inner();
            let count = read?;
            if count == 0 {
                break;
            }
            if let Some(last) = block[..count].iter().rposition(|byte| *byte != 0) {
                end = at + last as u64 + 1;
            }
            at += count as u64;
            block.clear();
        }
        // Of a file that is shorter than its header says, the rest was never written.
        segment::fill(file, at, size, [0; 8]).await?;
        segment::fill(file, self.at, end.next_multiple_of(8), format::COVER).await
    }
}
