//! [`Disk`]: the file system of a host, as its programs see it and as it would be after a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::inode::{Change, Content, Inode, InodeId, Lock};
use super::luck::Luck;
use super::paths::{Found, Last};

/// What a disk does wrong. See the public type of the simulation's settings.
#[derive(Clone, Debug)]
pub(crate) struct Flaws {
    /// What was written and not synced may be lost in a crash.
    pub(crate) loses_unsynced: bool,
    /// Of what was written and not synced, the first sectors may remain.
    pub(crate) tears_writes: bool,
    /// Shares of the writes that go to another place, or have one bit wrong: seen after a crash.
    pub(crate) misdirects: f64,
    pub(crate) flips_bits: f64,
    /// Share of the syncs that fail with EIO, and of those that say they are done and are not.
    pub(crate) sync_errors: f64,
    pub(crate) lying_syncs: f64,
    /// Bytes.
    pub(crate) capacity: u64,
}

impl Default for Flaws {
    fn default() -> Flaws {
        Flaws {
            loses_unsynced: true,
            tears_writes: true,
            misdirects: 0.0,
            flips_bits: 0.0,
            sync_errors: 0.0,
            lying_syncs: 0.0,
            capacity: u64::MAX,
        }
    }
}

/// What reaches the disk in one piece, or not at all.
pub(super) const SECTOR: u64 = 512;

/// A change of names that becomes durable as a whole: what each name in a directory means from then on.
type Renaming = Vec<(InodeId, Vec<u8>, Option<InodeId>)>;

pub(super) struct Disk {
    pub(super) flaws: Flaws,
    pub(super) inodes: BTreeMap<InodeId, Inode>,
    made: u64,
    /// Changes of names that are not durable.
    renamings: Vec<Renaming>,
}

pub(super) const ROOT: InodeId = InodeId(1);

impl Disk {
    pub(super) fn new() -> Disk {
        let mut disk = Disk {
            flaws: Flaws::default(),
            inodes: BTreeMap::new(),
            made: 0,
            renamings: Vec::new(),
        };
        let root = disk.add(Content::directory(), 0o755, Duration::ZERO);
        assert_eq!(root, ROOT);
        // Where programs expect one that they may use.
        let temporary = disk.add(Content::directory(), 0o1777, Duration::ZERO);
        disk.set_name(ROOT, b"tmp", Some(temporary));
        disk.sync_names(ROOT);
        disk
    }

    fn add(&mut self, content: Content, mode: u32, now: Duration) -> InodeId {
        self.made += 1;
        let id = InodeId(self.made);
        self.inodes.insert(id, Inode::new(content, mode, now));
        id
    }

    pub(super) fn inode(&self, id: InodeId) -> Result<&Inode, i32> {
        self.inodes.get(&id).ok_or(libc::EIO)
    }

    pub(super) fn inode_mut(&mut self, id: InodeId) -> Result<&mut Inode, i32> {
        self.inodes.get_mut(&id).ok_or(libc::EIO)
    }

    pub(super) fn names(&self, directory: InodeId) -> Result<&BTreeMap<Vec<u8>, InodeId>, i32> {
        match &self.inode(directory)?.content {
            Content::Directory { names, .. } => Ok(names),
            Content::File { .. } | Content::Link(_) | Content::Socket => Err(libc::ENOTDIR),
        }
    }

    /// A new thing under a name.
    pub(super) fn create(
        &mut self,
        found: &Found,
        content: Content,
        mode: u32,
        now: Duration,
    ) -> Result<InodeId, i32> {
        let is_directory = matches!(content, Content::Directory { .. });
        found.check_new(is_directory)?;
        let id = self.add(content, mode, now);
        self.set_name(found.directory, &found.name, Some(id));
        Ok(id)
    }

    fn set_name(&mut self, directory: InodeId, name: &[u8], inode: Option<InodeId>) {
        self.rename_all(vec![(directory, name.to_vec(), inode)]);
    }

    fn rename_all(&mut self, renaming: Renaming) {
        for (directory, name, inode) in &renaming {
            let names = match self
                .inodes
                .get_mut(directory)
                .map(|inode| &mut inode.content)
            {
                Some(Content::Directory { names, .. }) => names,
                _ => continue,
            };
            match inode {
                Some(inode) => _ = names.insert(name.clone(), *inode),
                None => _ = names.remove(name),
            }
        }
        self.renamings.push(renaming);
    }

    pub(super) fn hard_link(&mut self, from: &Found, to: &Found) -> Result<i32, i32> {
        let inode = from.inode.ok_or(libc::ENOENT)?;
        to.check_new(false)?;
        if matches!(self.inode(inode)?.content, Content::Directory { .. }) {
            return Err(libc::EPERM);
        }
        self.set_name(to.directory, &to.name, Some(inode));
        Ok(0)
    }

    pub(super) fn rename(&mut self, from: &Found, to: &Found) -> Result<i32, i32> {
        if from.last != Last::Name || to.last != Last::Name {
            return Err(libc::EBUSY);
        }
        let moved = from.inode.ok_or(libc::ENOENT)?;
        let is_directory = |id| -> Result<bool, i32> {
            Ok(matches!(self.inode(id)?.content, Content::Directory { .. }))
        };
        if !is_directory(moved)? && (from.is_directory_wanted || to.is_directory_wanted) {
            return Err(libc::ENOTDIR);
        }
        if is_directory(moved)? && self.is_below(to.directory, moved)? {
            return Err(libc::EINVAL);
        }
        if let Some(replaced) = to.inode {
            if is_directory(replaced)? && self.is_below(from.directory, replaced)? {
                return Err(libc::ENOTEMPTY);
            }
            match (is_directory(moved)?, is_directory(replaced)?) {
                _ if moved == replaced => return Ok(0),
                (true, false) => return Err(libc::ENOTDIR),
                (false, true) => return Err(libc::EISDIR),
                (true, true) if !self.names(replaced)?.is_empty() => return Err(libc::ENOTEMPTY),
                _ => {}
            }
        }
        self.rename_all(vec![
            (from.directory, from.name.clone(), None),
            (to.directory, to.name.clone(), Some(moved)),
        ]);
        Ok(0)
    }

    /// Whether a directory is `above` or lies below it.
    fn is_below(&self, directory: InodeId, above: InodeId) -> Result<bool, i32> {
        let mut current = directory;
        while current != ROOT && current != above {
            current = self.child(current, b"..")?.ok_or(libc::ENOENT)?;
        }
        Ok(current == above)
    }

    pub(super) fn remove(&mut self, found: &Found, directory: bool) -> Result<i32, i32> {
        let inode = found.inode.ok_or(libc::ENOENT)?;
        match (found.last, directory) {
            (Last::Name, _) => {}
            (_, false) => return Err(libc::EISDIR),
            (Last::Dot, true) => return Err(libc::EINVAL),
            (Last::Parent, true) => return Err(libc::ENOTEMPTY),
            (Last::Root, true) => return Err(libc::EBUSY),
        }
        match (&self.inode(inode)?.content, directory) {
            (Content::Directory { .. }, false) => return Err(libc::EISDIR),
            (Content::Directory { names, .. }, true) if !names.is_empty() => {
                return Err(libc::ENOTEMPTY);
            }
            (Content::Directory { .. }, true) => {}
            (_, true) => return Err(libc::ENOTDIR),
            (_, false) if found.is_directory_wanted => return Err(libc::ENOTDIR),
            (_, false) => {}
        }
        self.set_name(found.directory, &found.name, None);
        Ok(0)
    }

    /// Removes everything that is in a directory.
    pub(super) fn empty(&mut self, directory: InodeId) -> Result<(), i32> {
        for (name, inode) in self.names(directory)?.clone() {
            let is_directory = matches!(self.inode(inode)?.content, Content::Directory { .. });
            if is_directory {
                self.empty(inode)?;
            }
            let found = Found {
                directory,
                name,
                inode: Some(inode),
                is_directory_wanted: false,
                last: Last::Name,
            };
            self.remove(&found, is_directory)?;
        }
        Ok(())
    }

    /// The path from the root to something; `None` if no name leads there any more.
    pub(super) fn path_of(&self, id: InodeId) -> Option<Vec<u8>> {
        if id == ROOT {
            return Some(b"/".to_vec());
        }
        let (parent, name) = self.inodes.iter().find_map(|(parent, inode)| {
            let Content::Directory { names, .. } = &inode.content else {
                return None;
            };
            let named = names.iter().find(|(_, named)| **named == id);
            named.map(|(name, _)| (*parent, name))
        })?;
        let mut path = self.path_of(parent)?;
        if path != b"/" {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        Some(path)
    }

    /// How many names something has.
    pub(super) fn links(&self, id: InodeId) -> usize {
        let named = |inode: &Inode| match &inode.content {
            Content::Directory { names, .. } => {
                names.values().filter(|named| **named == id).count()
            }
            Content::File { .. } | Content::Link(_) | Content::Socket => 0,
        };
        self.inodes.values().map(named).sum()
    }

    /// Writes, as much as there is room for.
    ///
    /// # Errors
    ///
    /// ENOSPC if there is none, EFBIG.
    pub(super) fn write(
        &mut self,
        id: InodeId,
        offset: u64,
        bytes: &[u8],
        now: Duration,
    ) -> Result<usize, i32> {
        /// Nobody simulates larger files: it would be a mistake.
        const LENGTH_MAX: u64 = 1 << 32;
        let end = offset.saturating_add(bytes.len() as u64);
        if end > LENGTH_MAX {
            return Err(libc::EFBIG);
        }
        let grows = end.saturating_sub(self.inode(id)?.length());
        let lacking = grows.saturating_sub(self.free());
        let count = (bytes.len() as u64).saturating_sub(lacking) as usize;
        if count == 0 && !bytes.is_empty() {
            return Err(libc::ENOSPC);
        }
        let inode = self.inode_mut(id)?;
        inode.change(Change::Write {
            offset,
            bytes: bytes[..count].to_vec(),
        })?;
        inode.modified = now;
        Ok(count)
    }

    fn free(&self) -> u64 {
        let used: u64 = self.inodes.values().map(Inode::length).sum();
        self.flaws.capacity.saturating_sub(used)
    }

    /// Makes durable what a file holds, or the names of a directory.
    ///
    /// # Errors
    ///
    /// EIO: what was to be made durable is as if it had never been written, as in Linux, and the next sync says nothing of it.
    pub(super) fn sync(&mut self, id: InodeId, luck: &Luck) -> Result<i32, i32> {
        let fails = luck.strikes(self.flaws.sync_errors, "a sync fails");
        let lies = luck.strikes(self.flaws.lying_syncs, "a sync lies");
        if lies {
            return Ok(0);
        }
        if matches!(self.inode(id)?.content, Content::Directory { .. }) {
            if fails {
                return Err(libc::EIO);
            }
            self.sync_names(id);
            return Ok(0);
        }
        let flaws = self.flaws.clone();
        let inode = self.inode_mut(id)?;
        match fails {
            true => {
                inode.forget_changes();
                Err(libc::EIO)
            }
            false => {
                inode.sync(&flaws, luck);
                Ok(0)
            }
        }
    }

    fn sync_names(&mut self, directory: InodeId) {
        let (durable, rest) = std::mem::take(&mut self.renamings)
            .into_iter()
            .partition(|renaming: &Renaming| renaming.iter().any(|(of, ..)| *of == directory));
        self.renamings = rest;
        for renaming in durable {
            self.make_durable(renaming);
        }
    }

    fn make_durable(&mut self, renaming: Renaming) {
        for (directory, name, inode) in renaming {
            if let Some(Content::Directory { durable, .. }) = self
                .inodes
                .get_mut(&directory)
                .map(|inode| &mut inode.content)
            {
                match inode {
                    Some(inode) => _ = durable.insert(name, inode),
                    None => _ = durable.remove(&name),
                }
            }
        }
    }

    /// The power fails: what was durable remains, and of the rest whatever the disk had got to.
    pub(super) fn crash(&mut self, luck: &Luck) {
        let share = if self.flaws.loses_unsynced { 0.5 } else { 0.0 };
        for renaming in std::mem::take(&mut self.renamings) {
            if !luck.strikes(share, "a name that was not synced is lost") {
                self.make_durable(renaming);
            }
        }
        let flaws = self.flaws.clone();
        for inode in self.inodes.values_mut() {
            inode.lock = Lock::default();
            inode.crash(&flaws, luck);
        }
        let mut reachable = BTreeSet::from([ROOT]);
        let mut new = vec![ROOT];
        while let Some(directory) = new.pop() {
            let below: Vec<InodeId> = self
                .names(directory)
                .map(|names| names.values().copied().collect())
                .unwrap_or_default();
            new.extend(below.into_iter().filter(|id| reachable.insert(*id)));
        }
        self.inodes.retain(|id, _| reachable.contains(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    fn file(disk: &mut Disk, path: &str) -> InodeId {
        let found = disk.find(path.as_bytes(), true).unwrap();
        disk.create(&found, Content::file(), 0o644, NOW).unwrap()
    }

    fn read(disk: &Disk, path: &str) -> Option<Vec<u8>> {
        let inode = disk.find(path.as_bytes(), true).ok()?.inode?;
        Some(disk.inode(inode).unwrap().read(0, 1 << 20))
    }

    #[test]
    fn what_is_synced_with_its_directory_survives_every_crash() {
        for seed in 0..200 {
            let luck = Luck::of_test(seed);
            let mut disk = Disk::new();
            let id = file(&mut disk, "/tmp/kept");
            disk.write(id, 0, b"safe", NOW).unwrap();
            disk.sync(id, &luck).unwrap();
            let directory = disk.find(b"/tmp", true).unwrap().inode.unwrap();
            disk.sync(directory, &luck).unwrap();
            disk.crash(&luck);
            assert_eq!(read(&disk, "/tmp/kept").as_deref(), Some(&b"safe"[..]));
        }
    }

    #[test]
    fn what_is_not_synced_may_be_there_torn_or_gone() {
        let (mut whole, mut torn, mut empty, mut gone) = (0, 0, 0, 0);
        for seed in 0..400 {
            let luck = Luck::of_test(seed);
            let mut disk = Disk::new();
            let id = file(&mut disk, "/file");
            disk.write(id, 0, &[7; 2000], NOW).unwrap();
            disk.crash(&luck);
            match read(&disk, "/file").map(|bytes| bytes.len()) {
                None => gone += 1,
                Some(0) => empty += 1,
                Some(2000) => whole += 1,
                Some(length) => {
                    assert_eq!(length % SECTOR as usize, 0);
                    torn += 1;
                }
            }
        }
        assert!(
            [whole, torn, empty, gone]
                .into_iter()
                .all(|count| count > 20)
        );
    }

    #[test]
    fn a_rename_is_there_or_not_but_never_half() {
        let mut outcomes = BTreeSet::new();
        for seed in 0..200 {
            let luck = Luck::of_test(seed);
            let mut disk = Disk::new();
            for (path, text) in [("/old", "new text"), ("/name", "old text")] {
                let id = file(&mut disk, path);
                disk.write(id, 0, text.as_bytes(), NOW).unwrap();
                disk.sync(id, &luck).unwrap();
            }
            disk.sync(ROOT, &luck).unwrap();
            let (from, to) = (disk.find(b"/old", true), disk.find(b"/name", true));
            disk.rename(&from.unwrap(), &to.unwrap()).unwrap();
            disk.crash(&luck);
            let seen = (read(&disk, "/old").is_some(), read(&disk, "/name").unwrap());
            outcomes.insert(seen);
        }
        let expected = [(false, b"new text".to_vec()), (true, b"old text".to_vec())];
        assert_eq!(outcomes, BTreeSet::from(expected));
    }

    #[test]
    fn paths_lead_through_links_and_parents_and_end_somewhere() {
        let mut disk = Disk::new();
        let id = file(&mut disk, "/tmp/file");
        let found = disk.find(b"/link", false).unwrap();
        let link = Content::Link(b"tmp/../tmp/./file".to_vec());
        disk.create(&found, link, 0o777, NOW).unwrap();
        assert_eq!(disk.find(b"/link", true).unwrap().inode, Some(id));
        assert_ne!(disk.find(b"link", false).unwrap().inode, Some(id));
        let found = disk.find(b"/loop", false).unwrap();
        disk.create(&found, Content::Link(b"/loop".to_vec()), 0o777, NOW)
            .unwrap();
        assert_eq!(disk.find(b"/loop", true).unwrap_err(), libc::ELOOP);
        assert_eq!(disk.find(b"/tmp/file/x", true).unwrap_err(), libc::ENOTDIR);
        assert_eq!(disk.find(b"/none/x", true).unwrap_err(), libc::ENOENT);
        assert_eq!(disk.find(b"", true).unwrap_err(), libc::ENOENT);
        let long = [b'x'; 300];
        assert_eq!(disk.find(&long, true).unwrap_err(), libc::ENAMETOOLONG);
    }

    #[test]
    fn a_full_disk_takes_what_fits_and_then_nothing() {
        let mut disk = Disk::new();
        disk.flaws.capacity = 10;
        let id = file(&mut disk, "/file");
        assert_eq!(disk.write(id, 0, &[1; 8], NOW), Ok(8));
        assert_eq!(disk.write(id, 8, &[2; 8], NOW), Ok(2));
        assert_eq!(disk.write(id, 10, &[3; 8], NOW), Err(libc::ENOSPC));
        assert_eq!(
            disk.write(id, 0, &[4; 8], NOW),
            Ok(8),
            "it is there already"
        );
    }

    #[test]
    fn a_sync_that_fails_loses_what_it_was_for_and_one_that_lies_says_nothing() {
        let luck = Luck::of_test(1);
        let mut disk = Disk::new();
        let id = file(&mut disk, "/file");
        disk.sync(ROOT, &luck).unwrap();
        disk.write(id, 0, b"first", NOW).unwrap();
        disk.flaws.sync_errors = 1.0;
        assert_eq!(disk.sync(id, &luck), Err(libc::EIO));
        disk.flaws.sync_errors = 0.0;
        assert_eq!(disk.sync(id, &luck), Ok(0));
        assert_eq!(read(&disk, "/file").unwrap(), b"first", "still in memory");
        disk.crash(&luck);
        assert_eq!(read(&disk, "/file").unwrap(), b"");

        let mut was_lost = false;
        for seed in 0..50 {
            let luck = Luck::of_test(seed);
            let mut disk = Disk::new();
            disk.flaws.lying_syncs = 1.0;
            let id = file(&mut disk, "/file");
            disk.write(id, 0, b"first", NOW).unwrap();
            assert_eq!(disk.sync(id, &luck), Ok(0));
            disk.crash(&luck);
            was_lost |= read(&disk, "/file").is_none_or(|bytes| bytes.is_empty());
        }
        assert!(was_lost);
    }

    #[test]
    fn directories_are_not_removed_with_what_is_in_them_nor_moved_into_themselves() {
        let mut disk = Disk::new();
        let found = disk.find(b"/a", false).unwrap();
        disk.create(&found, Content::directory(), 0o755, NOW)
            .unwrap();
        let found = disk.find(b"/a/b/", false).unwrap();
        disk.create(&found, Content::directory(), 0o755, NOW)
            .unwrap();
        let (a, below) = (disk.find(b"/a", false), disk.find(b"/a/b/c", false));
        let (a, below) = (a.unwrap(), below.unwrap());
        assert_eq!(disk.remove(&a, true), Err(libc::ENOTEMPTY));
        assert_eq!(disk.remove(&a, false), Err(libc::EISDIR));
        assert_eq!(disk.rename(&a, &below), Err(libc::EINVAL));
        let b = disk.find(b"/a/b", false).unwrap();
        assert_eq!(disk.remove(&b, true), Ok(0));
        assert_eq!(disk.remove(&a, true), Ok(0));
        assert_eq!(disk.find(b"/a", false).unwrap().inode, None);
    }
}
