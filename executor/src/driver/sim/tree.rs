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
            Content::File { .. } | Content::Link(_) => Ok(inode.read(0, usize::MAX)),
        }
    }

    /// Replaces what a file holds, or makes it.
    fn fill(&mut self, host: usize, path: &[u8], bytes: &[u8], mode: u32) -> Result<InodeId, i32> {
        let now = self.elapsed();
        let disk = &mut self.machines[host].disk;
        let found = disk.find(path, true)?;
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
            Content::File { .. } | Content::Directory { .. } => Err(libc::EINVAL),
        }
    }

    /// The path from the root, without links, `.` and `..`.
    pub(crate) fn canonical(&self, host: usize, of: &[u8]) -> Result<Vec<u8>, i32> {
        let inode = self.inode_at(host, of, true)?;
        let path = self.machines[host].disk.path_of(inode);
        path.ok_or(libc::ENOENT)
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
        let bytes = self.contents(host, from)?;
        let inode = self.inode_at(host, from, true)?;
        let mode = self.machines[host].disk.inode(inode)?.mode;
        let copy = self.fill(host, to, &bytes, mode)?;
        self.machines[host].disk.inode_mut(copy)?.mode = mode;
        Ok(bytes.len() as u64)
    }

    pub(crate) fn remove_tree(&mut self, host: usize, folder: &[u8]) -> Result<(), i32> {
        let entries = match self.machines[host].disk.find(folder, false)?.inode {
            None => return Err(libc::ENOENT),
            Some(_) => self.entries(host, folder)?,
        };
        for (name, _, kind) in entries {
            let path = [folder, b"/", &name].concat();
            match kind {
                libc::S_IFDIR => self.remove_tree(host, &path)?,
                _ => {
                    let found = self.machines[host].disk.find(&path, false)?;
                    self.machines[host].disk.remove(&found, false)?;
                }
            }
        }
        let found = self.machines[host].disk.find(folder, false)?;
        self.machines[host].disk.remove(&found, true).map(drop)
    }
}
