//! [`Found`]: where the paths of a disk lead.

use super::disk::{Disk, ROOT};
use super::inode::{Content, Inode, InodeId};

/// How many symbolic links one path may lead through, as in Linux.
const LINKS_MAX: usize = 40;
/// The longest name in a directory (`NAME_MAX`).
const NAME_LENGTH_MAX: usize = 255;

/// Where a path leads.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) directory: InodeId,
    pub(super) name: Vec<u8>,
    pub(super) inode: Option<InodeId>,
    /// It ends with a slash: it can only be a directory.
    pub(super) is_directory_wanted: bool,
    pub(super) last: Last,
}

/// Whether the last part of a path is followed if it is a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Follow {
    Always,
    /// If a slash comes behind it.
    IfSlash,
    Never,
}

/// What a path ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    Name,
    Dot,
    Parent,
    Root,
}

impl Found {
    /// # Errors
    ///
    /// EEXIST; ENOENT for what has a slash behind it and is no directory.
    pub(super) fn check_new(&self, is_directory: bool) -> Result<(), i32> {
        match self.inode.is_some() || self.last != Last::Name {
            true => Err(libc::EEXIST),
            false if self.is_directory_wanted && !is_directory => Err(libc::ENOENT),
            false => Ok(()),
        }
    }
}

fn last_of(path: &[u8]) -> Last {
    let parts = path.split(|byte| *byte == b'/');
    match parts.rev().find(|part| !part.is_empty()) {
        None => Last::Root,
        Some(b".") => Last::Dot,
        Some(b"..") => Last::Parent,
        Some(_) => Last::Name,
    }
}

impl Disk {
    /// # Errors
    ///
    /// ENOENT, ENOTDIR, ELOOP, ENAMETOOLONG.
    pub(super) fn find(&self, path: &[u8], follows_last: bool) -> Result<Found, i32> {
        if path.is_empty() {
            return Err(libc::ENOENT);
        }
        let follow = match follows_last {
            true => Follow::Always,
            false => Follow::IfSlash,
        };
        let found = self.find_from(ROOT, path, follow, LINKS_MAX)?;
        if let (Some(inode), true) = (found.inode, found.is_directory_wanted) {
            self.names(inode)?;
        }
        Ok(found)
    }

    /// As the above, for a file that is made if it is not there.
    pub(super) fn find_to_create(&self, path: &[u8], follows_last: bool) -> Result<Found, i32> {
        if path.last() == Some(&b'/') || last_of(path) != Last::Name {
            // The way there has to exist all the same.
            self.find_name(path)?;
            return Err(libc::EISDIR);
        }
        self.find(path, follows_last)
    }

    /// As [`find`](Disk::find), for what is to be done to a name: whatever it ends with, what it names stays as it is.
    pub(super) fn find_name(&self, path: &[u8]) -> Result<Found, i32> {
        if path.is_empty() {
            return Err(libc::ENOENT);
        }
        self.find_from(ROOT, path, Follow::Never, LINKS_MAX)
    }

    fn find_from(
        &self,
        start: InodeId,
        path: &[u8],
        follow: Follow,
        links_left: usize,
    ) -> Result<Found, i32> {
        let mut directory = if path.first() == Some(&b'/') {
            ROOT
        } else {
            start
        };
        let parts: Vec<&[u8]> = path
            .split(|byte| *byte == b'/')
            .filter(|part| !part.is_empty() && *part != b".")
            .collect();
        let is_directory_wanted = path.last() == Some(&b'/');
        let kind = last_of(path);
        let before = match kind {
            Last::Name => &parts[..parts.len() - 1],
            Last::Dot | Last::Parent | Last::Root => &parts[..],
        };
        for part in before {
            let next = self.child(directory, part)?.ok_or(libc::ENOENT)?;
            directory = self.through_links(directory, next, links_left)?;
            self.names(directory)?;
        }
        let Some(last) = parts.last().filter(|_| kind == Last::Name) else {
            return Ok(Found {
                directory,
                name: Vec::new(),
                inode: Some(directory),
                is_directory_wanted: true,
                last: kind,
            });
        };
        let inode = self.child(directory, last)?;
        let follows = match follow {
            Follow::Always => true,
            Follow::IfSlash => is_directory_wanted,
            Follow::Never => false,
        };
        if let (Some(inode), true) = (inode, follows)
            && let Content::Link(target) = &self.inode(inode)?.content
        {
            let left = links_left.checked_sub(1).ok_or(libc::ELOOP)?;
            let found = self.find_from(directory, target, Follow::Always, left)?;
            return Ok(Found {
                is_directory_wanted: is_directory_wanted || found.is_directory_wanted,
                ..found
            });
        }
        Ok(Found {
            directory,
            name: last.to_vec(),
            inode,
            is_directory_wanted,
            last: Last::Name,
        })
    }

    pub(super) fn child(&self, directory: InodeId, name: &[u8]) -> Result<Option<InodeId>, i32> {
        if name.len() > NAME_LENGTH_MAX {
            return Err(libc::ENAMETOOLONG);
        }
        let names = self.names(directory)?;
        if name == b".." {
            let is_parent = |(_, inode): &(&InodeId, &Inode)| match &inode.content {
                Content::Directory { names, .. } => names.values().any(|id| *id == directory),
                _ => false,
            };
            let parent = self.inodes.iter().find(is_parent).map(|(id, _)| *id);
            return Ok(parent.or(Some(ROOT)));
        }
        Ok(names.get(name).copied())
    }

    fn through_links(
        &self,
        directory: InodeId,
        inode: InodeId,
        links_left: usize,
    ) -> Result<InodeId, i32> {
        let Content::Link(target) = &self.inode(inode)?.content else {
            return Ok(inode);
        };
        let left = links_left.checked_sub(1).ok_or(libc::ELOOP)?;
        let found = self.find_from(directory, target, Follow::Always, left)?;
        found.inode.ok_or(libc::ENOENT)
    }
}
