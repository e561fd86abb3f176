//! What is asked of a disk, and done to it, in one go: by tests, and by the threads that a simulated core would have.

use super::disk::Flaws;
use super::files::Pace;
use super::inode::{Change, Content, InodeId};
use super::objects::Kind;
use super::world::World;
use crate::driver::Descriptor;

/// A name, its inode's number, and its kind (`S_IF…`).
type Named = (Vec<u8>, u64, u32);

fn kind(content: &Content) -> u32 {
    match content {
        Content::File { .. } => libc::S_IFREG,
        Content::Directory { .. } => libc::S_IFDIR,
        Content::Link(_) => libc::S_IFLNK,
        Content::Socket => libc::S_IFSOCK,
    }
}

// Errors are numbers of the system's.
impl World {
    pub(crate) fn flaws_and_pace(&self, host: usize) -> (Flaws, Pace) {
        let machine = &self.machines[host];
        (machine.disk.flaws.clone(), machine.pace.clone())
    }

    pub(crate) fn set_flaws_and_pace(&mut self, host: usize, flaws: Flaws, pace: Pace) {
        let machine = &mut self.machines[host];
        machine.disk.flaws = flaws;
        machine.pace = pace;
    }

    fn inode_at(&self, host: usize, path: &[u8], follows_last: bool) -> Result<InodeId, i32> {
        let found = self.machines[host].disk.find(path, follows_last)?;
        found.inode.ok_or(libc::ENOENT)
    }

    /// What a file holds, as the programs of the host see it.
    pub(crate) fn contents(&self, host: usize, path: &[u8]) -> Result<Vec<u8>, i32> {
        let inode = self.inode_at(host, path, true)?;
        let inode = self.machines[host].disk.inode(inode)?;
        match inode.content {
            Content::Directory { .. } => Err(libc::EISDIR),
            Content::Socket => Err(libc::ENXIO),
            Content::File { .. } | Content::Link(_) => Ok(inode.read(0, usize::MAX)),
        }
    }

    /// Replaces what a file holds, or makes it.
    fn fill(&mut self, host: usize, path: &[u8], bytes: &[u8], mode: u32) -> Result<InodeId, i32> {
        let now = self.elapsed();
        let disk = &mut self.machines[host].disk;
        let found = disk.find_to_create(path, true)?;
        let inode = match found.inode {
            Some(inode) => inode,
            None => disk.create(&found, Content::file(), mode, now)?,
        };
        disk.inode_mut(inode)?.change(Change::Resize(0))?;
        disk.write(inode, 0, bytes, now)?;
        Ok(inode)
    }

    /// As the above, durable at once, with its name.
    pub(crate) fn put(&mut self, host: usize, path: &[u8], bytes: &[u8]) -> Result<(), i32> {
        let inode = self.fill(host, path, bytes, 0o644)?;
        let disk = &mut self.machines[host].disk;
        let directory = disk.find(path, true)?.directory;
        let flaws = std::mem::take(&mut disk.flaws);
        let synced = disk.sync(inode, &self.disk_luck);
        let synced = synced.and(disk.sync(directory, &self.disk_luck));
        disk.flaws = flaws;
        synced.map(drop)
    }

    /// Makes a directory, and all above it that are missing.
    pub(crate) fn make_directories(&mut self, host: usize, path: &[u8]) -> Result<(), i32> {
        let now = self.elapsed();
        let disk = &mut self.machines[host].disk;
        let borders =
            (1..=path.len()).filter(|end| path.get(*end).is_none_or(|byte| *byte == b'/'));
        for end in borders {
            let found = disk.find(&path[..end], true)?;
            if found.inode.is_none() {
                disk.create(&found, Content::directory(), 0o755, now)?;
            }
        }
        Ok(())
    }

    /// What is in a directory, sorted by name.
    pub(crate) fn entries(&self, host: usize, folder: &[u8]) -> Result<Vec<Named>, i32> {
        let disk = &self.machines[host].disk;
        let inode = self.inode_at(host, folder, true)?;
        let Content::Directory { names, .. } = &disk.inode(inode)?.content else {
            return Err(libc::ENOTDIR);
        };
        let describe = |(name, id): (&Vec<u8>, &InodeId)| {
            let kind = disk.inode(*id).map_or(0, |inode| kind(&inode.content));
            (name.clone(), id.0, kind)
        };
        Ok(names.iter().map(describe).collect())
    }

    pub(crate) fn link_target(&self, host: usize, link: &[u8]) -> Result<Vec<u8>, i32> {
        let inode = self.inode_at(host, link, false)?;
        match &self.machines[host].disk.inode(inode)?.content {
            Content::Link(target) => Ok(target.clone()),
            Content::File { .. } | Content::Directory { .. } | Content::Socket => Err(libc::EINVAL),
        }
    }

    /// The path from the root, without links, `.` and `..`.
    pub(crate) fn canonical(&self, host: usize, of: &[u8]) -> Result<Vec<u8>, i32> {
        let disk = &self.machines[host].disk;
        let found = disk.find(of, true)?;
        let inode = found.inode.ok_or(libc::ENOENT)?;
        if found.name.is_empty() {
            return disk.path_of(inode).ok_or(libc::ENOENT);
        }
        // Of several names it is the one that was asked for.
        let mut path = disk.path_of(found.directory).ok_or(libc::ENOENT)?;
        if path != b"/" {
            path.push(b'/');
        }
        path.extend_from_slice(&found.name);
        Ok(path)
    }

    pub(crate) fn set_mode(&mut self, host: usize, of: &[u8], mode: u32) -> Result<(), i32> {
        let inode = self.inode_at(host, of, true)?;
        self.machines[host].disk.inode_mut(inode)?.mode = mode & 0o7777;
        Ok(())
    }

    pub(crate) fn set_mode_of_open(&mut self, fd: Descriptor, mode: u32) -> Result<(), i32> {
        let object = self.objects.named(fd).and_then(|id| self.objects.get(id));
        let object = object.ok_or(libc::EBADF)?;
        let (host, Kind::File(file)) = (object.host, &object.kind) else {
            return Err(libc::EINVAL);
        };
        let inode = file.inode;
        self.machines[host].disk.inode_mut(inode)?.mode = mode & 0o7777;
        Ok(())
    }

    pub(crate) fn copy(&mut self, host: usize, from: &[u8], to: &[u8]) -> Result<u64, i32> {
        let inode = self.inode_at(host, from, true)?;
        let source = self.machines[host].disk.inode(inode)?;
        let mode = source.mode;
        if !matches!(source.content, Content::File { .. }) {
            return Err(libc::EINVAL);
        }
        // The target is emptied before anything is read, also if it is the source.
        let copy = self.fill(host, to, &[], mode)?;
        let bytes = self.contents(host, from)?;
        self.fill(host, to, &bytes, mode)?;
        self.machines[host].disk.inode_mut(copy)?.mode = mode;
        Ok(bytes.len() as u64)
    }

    pub(crate) fn remove_name(&mut self, host: usize, path: &[u8]) -> Result<(), i32> {
        let disk = &mut self.machines[host].disk;
        let found = disk.find_name(path)?;
        disk.remove(&found, false).map(drop)
    }

    /// A link is removed, and not what it leads to.
    pub(crate) fn remove_tree(&mut self, host: usize, folder: &[u8]) -> Result<(), i32> {
        let disk = &mut self.machines[host].disk;
        let there = disk.find(folder, false)?.inode.ok_or(libc::ENOENT)?;
        if matches!(disk.inode(there)?.content, Content::Link(_)) {
            let link = disk.find_name(folder)?;
            return disk.remove(&link, false).map(drop);
        }
        disk.empty(there)?;
        let found = disk.find_name(folder)?;
        disk.remove(&found, true).map(drop)
    }
}
