//! [`Metadata`]: what a file says about itself.

use std::fmt;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::driver;

/// What a file says about itself: kind, size, permissions, times; as [`std::fs::Metadata`] with its Unix extension.
#[derive(Clone)]
pub struct Metadata(Box<driver::Status>);

impl Metadata {
    pub(super) fn new(status: Box<driver::Status>) -> Metadata {
        Metadata(status)
    }

    pub(super) fn status(&self) -> &libc::statx {
        &self.0.0
    }

    /// File, directory, symbolic link or something else.
    pub fn file_type(&self) -> FileType {
        FileType {
            mode: u32::from(self.status().stx_mode),
        }
    }

    /// True for a directory.
    pub fn is_dir(&self) -> bool {
        self.file_type().is_dir()
    }

    /// True for a regular file.
    pub fn is_file(&self) -> bool {
        self.file_type().is_file()
    }

    /// True for a symbolic link: only from [`symlink_metadata`](super::symlink_metadata).
    pub fn is_symlink(&self) -> bool {
        self.file_type().is_symlink()
    }

    /// The size in bytes.
    #[expect(clippy::len_without_is_empty, reason = "as in the standard library")]
    pub fn len(&self) -> u64 {
        self.status().stx_size
    }

    /// Who may do what.
    pub fn permissions(&self) -> Permissions {
        Permissions::from_mode(self.mode())
    }

    /// Kind and permissions, as the kernel combines them.
    pub fn mode(&self) -> u32 {
        u32::from(self.status().stx_mode)
    }

    /// The user to whom it belongs.
    pub fn uid(&self) -> u32 {
        self.status().stx_uid
    }

    /// The group to which it belongs.
    pub fn gid(&self) -> u32 {
        self.status().stx_gid
    }

    /// How many names it has.
    pub fn nlink(&self) -> u64 {
        u64::from(self.status().stx_nlink)
    }

    /// Its number in its file system.
    pub fn ino(&self) -> u64 {
        self.status().stx_ino
    }

    /// The number of its file system.
    pub fn dev(&self) -> u64 {
        libc::makedev(self.status().stx_dev_major, self.status().stx_dev_minor)
    }

    /// How many blocks of 512 bytes it takes: less than its size if it has holes.
    pub fn blocks(&self) -> u64 {
        self.status().stx_blocks
    }

    /// The size of block that its file system prefers.
    pub fn blksize(&self) -> u64 {
        u64::from(self.status().stx_blksize)
    }

    /// When its content was last changed.
    ///
    /// # Errors
    ///
    /// None on Linux; a `Result` as in the standard library.
    pub fn modified(&self) -> io::Result<SystemTime> {
        self.time(libc::STATX_MTIME, &self.status().stx_mtime)
    }

    /// When it was last read, as far as the file system keeps that.
    ///
    /// # Errors
    ///
    /// None on Linux; a `Result` as in the standard library.
    pub fn accessed(&self) -> io::Result<SystemTime> {
        self.time(libc::STATX_ATIME, &self.status().stx_atime)
    }

    /// When it was made.
    ///
    /// # Errors
    ///
    /// `Unsupported`, if the file system does not keep that.
    pub fn created(&self) -> io::Result<SystemTime> {
        self.time(libc::STATX_BTIME, &self.status().stx_btime)
    }

    fn time(&self, mask: u32, time: &libc::statx_timestamp) -> io::Result<SystemTime> {
        if self.status().stx_mask & mask == 0 {
            let message = "this file system does not keep that time";
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
        let seconds = Duration::from_secs(time.tv_sec.unsigned_abs());
        let whole = match time.tv_sec {
            0.. => UNIX_EPOCH.checked_add(seconds),
            _ => UNIX_EPOCH.checked_sub(seconds),
        };
        let nanos = Duration::from_nanos(u64::from(time.tv_nsec));
        let exact = whole.and_then(|whole| whole.checked_add(nanos));
        exact.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metadata")
            .field("file_type", &self.file_type())
            .field("len", &self.len())
            .field("permissions", &self.permissions())
            .finish_non_exhaustive()
    }
}

/// What kind of thing a path names.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileType {
    /// With or without the permissions.
    mode: u32,
}

impl FileType {
    /// `S_IF…`.
    pub(super) fn of_mode(mode: u32) -> FileType {
        FileType { mode }
    }

    fn is(self, kind: u32) -> bool {
        self.mode & libc::S_IFMT == kind
    }

    /// A directory.
    pub fn is_dir(&self) -> bool {
        self.is(libc::S_IFDIR)
    }

    /// A regular file.
    pub fn is_file(&self) -> bool {
        self.is(libc::S_IFREG)
    }

    /// A symbolic link.
    pub fn is_symlink(&self) -> bool {
        self.is(libc::S_IFLNK)
    }

    /// A FIFO, which has a name and else is a [`pipe`](crate::pipe).
    pub fn is_fifo(&self) -> bool {
        self.is(libc::S_IFIFO)
    }

    /// A socket.
    pub fn is_socket(&self) -> bool {
        self.is(libc::S_IFSOCK)
    }

    /// A block device.
    pub fn is_block_device(&self) -> bool {
        self.is(libc::S_IFBLK)
    }

    /// A character device, a terminal for example.
    pub fn is_char_device(&self) -> bool {
        self.is(libc::S_IFCHR)
    }
}

impl fmt::Debug for FileType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.mode & libc::S_IFMT {
            libc::S_IFDIR => "directory",
            libc::S_IFREG => "file",
            libc::S_IFLNK => "symbolic link",
            libc::S_IFIFO => "FIFO",
            libc::S_IFSOCK => "socket",
            libc::S_IFBLK => "block device",
            libc::S_IFCHR => "character device",
            _ => "unknown",
        };
        write!(f, "FileType({name})")
    }
}

/// Who may read, write and execute: nine bits and three special ones.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Permissions {
    mode: u32,
}

impl Permissions {
    /// Of the lowest twelve bits of `mode`, `0o644` for example.
    pub fn from_mode(mode: u32) -> Permissions {
        Permissions {
            mode: mode & 0o7777,
        }
    }

    /// The twelve bits.
    pub fn mode(&self) -> u32 {
        self.mode
    }

    /// True if nobody may write.
    pub fn readonly(&self) -> bool {
        self.mode & 0o222 == 0
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permissions({:o})", self.mode)
    }
}
