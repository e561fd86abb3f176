//! [`Inode`]: a file, a directory or a link: what its programs see, and what is durable of it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::disk::{Flaws, SECTOR};
use super::luck::Luck;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct InodeId(pub(super) u64);

/// Who has the advisory lock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lock {
    pub(super) shared_by: Vec<u64>,
    pub(super) held_by: Option<u64>,
}

pub(super) struct Inode {
    pub(super) content: Content,
    /// Permissions.
    pub(super) mode: u32,
    /// So many bytes have a place on the disk, if that is more than there are.
    pub(super) reserved: u64,
    /// On the clock of the world.
    pub(super) born: Duration,
    pub(super) modified: Duration,
    pub(super) lock: Lock,
}

pub(super) enum Content {
    File {
        bytes: Vec<u8>,
        durable: Vec<u8>,
        /// What leads from the one to the other.
        changes: Vec<Change>,
    },
    Directory {
        names: BTreeMap<Vec<u8>, InodeId>,
        durable: BTreeMap<Vec<u8>, InodeId>,
    },
    Link(Vec<u8>),
    /// The name of a Unix socket, or what is left of one.
    Socket,
}

impl Content {
    pub(super) fn file() -> Content {
        Content::File {
            bytes: Vec::new(),
            durable: Vec::new(),
            changes: Vec::new(),
        }
    }

    pub(super) fn directory() -> Content {
        Content::Directory {
            names: BTreeMap::new(),
            durable: BTreeMap::new(),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    Resize(u64),
}

impl Inode {
    pub(super) fn new(content: Content, mode: u32, now: Duration) -> Inode {
        Inode {
            content,
            mode,
            reserved: 0,
            born: now,
            modified: now,
            lock: Lock::default(),
        }
    }

    pub(super) fn length(&self) -> u64 {
        match &self.content {
            Content::File { bytes, .. } => bytes.len() as u64,
            Content::Link(target) => target.len() as u64,
            Content::Directory { .. } | Content::Socket => 0,
        }
    }

    pub(super) fn read(&self, offset: u64, length: usize) -> Vec<u8> {
        let Content::File { bytes, .. } = &self.content else {
            return Vec::new();
        };
        let start = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let end = start.saturating_add(length).min(bytes.len());
        bytes[start..end].to_vec()
    }

    /// # Errors
    ///
    /// EISDIR or EINVAL if it is no file.
    pub(super) fn change(&mut self, change: Change) -> Result<(), i32> {
        match &mut self.content {
            Content::File { bytes, changes, .. } => {
                apply(bytes, &change);
                changes.push(change);
                Ok(())
            }
            Content::Directory { .. } => Err(libc::EISDIR),
            Content::Link(_) | Content::Socket => Err(libc::EINVAL),
        }
    }

    /// What was changed is durable, but for the flaws of the disk.
    pub(super) fn sync(&mut self, flaws: &Flaws, luck: &Luck) {
        if let Content::File {
            durable, changes, ..
        } = &mut self.content
        {
            for change in std::mem::take(changes) {
                write_through(durable, change, flaws, luck);
            }
        }
    }

    /// What was changed will not become durable.
    pub(super) fn forget_changes(&mut self) {
        if let Content::File { changes, .. } = &mut self.content {
            changes.clear();
        }
    }

    pub(super) fn crash(&mut self, flaws: &Flaws, luck: &Luck) {
        match &mut self.content {
            Content::File {
                bytes,
                durable,
                changes,
            } => {
                for change in std::mem::take(changes) {
                    if let Some(rest) = what_remains(change, flaws, luck) {
                        write_through(durable, rest, flaws, luck);
                    }
                }
                bytes.clone_from(durable);
            }
            Content::Directory { names, durable } => names.clone_from(durable),
            Content::Link(_) | Content::Socket => {}
        }
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Resize(length) => bytes.resize(*length as usize, 0),
        Change::Write {
            offset,
            bytes: written,
        } => {
            let start = *offset as usize;
            let end = start + written.len();
            if end > bytes.len() {
                bytes.resize(end, 0);
            }
            bytes[start..end].copy_from_slice(written);
        }
    }
}

/// A change reaches the disk, which may do it wrong.
fn write_through(durable: &mut Vec<u8>, change: Change, flaws: &Flaws, luck: &Luck) {
    let Change::Write { offset, mut bytes } = change else {
        return apply(durable, &change);
    };
    let is_misdirected = luck.strikes(flaws.misdirects, "a write reaches another sector");
    let has_wrong_bit = !bytes.is_empty() && luck.strikes(flaws.flips_bits, "a bit is flipped");
    if has_wrong_bit {
        let bit = luck.below_wide(bytes.len() as u64 * 8);
        bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
    }
    let offset = match is_misdirected {
        false => offset,
        // Another sector of the same file.
        true => {
            let sectors = (durable.len() as u64 / SECTOR).max(1);
            luck.below_wide(sectors) * SECTOR + offset % SECTOR
        }
    };
    apply(durable, &Change::Write { offset, bytes });
}

/// What the disk had got to of a change that was not synced.
fn what_remains(change: Change, flaws: &Flaws, luck: &Luck) -> Option<Change> {
    let fate = luck.below(3);
    let is_harmed = fate != 0 && luck.befalls("a write that was not synced is lost or torn");
    let fate = if is_harmed { fate } else { 0 };
    match (fate, change) {
        (_, change) if !flaws.loses_unsynced && !flaws.tears_writes => Some(change),
        (0, change) => Some(change),
        (1, change) if !flaws.loses_unsynced => Some(change),
        (1, _) => None,
        (_, Change::Write { offset, bytes }) if flaws.tears_writes => {
            let first = offset / SECTOR * SECTOR;
            let sectors = (offset + bytes.len() as u64 - first).div_ceil(SECTOR);
            let end = first + luck.below_wide(sectors.max(1)) * SECTOR;
            let count = end.saturating_sub(offset) as usize;
            let bytes = bytes.get(..count).map(<[u8]>::to_vec).unwrap_or(bytes);
            (!bytes.is_empty()).then_some(Change::Write { offset, bytes })
        }
        (_, change) => Some(change),
    }
}
