//! Calls on files.

use std::fmt;
use std::io;

use super::check;

/// What `statx(2)` fills: everything a file says about itself.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Status(pub(crate) libc::statx);

impl Status {
    /// Not filled yet.
    pub(crate) fn empty() -> Status {
        // SAFETY: numbers only, for which all zeros are a value.
        Status(unsafe { std::mem::zeroed() })
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Status")
            .field("mode", &self.0.stx_mode)
            .field("size", &self.0.stx_size)
            .finish_non_exhaustive()
    }
}

/// `ftruncate(2)`.
pub(crate) fn truncate(fd: i32, length: u64) -> io::Result<()> {
    // SAFETY: takes no memory.
    check(unsafe { libc::ftruncate(fd, length.cast_signed()) }).map(drop)
}

/// `fsync(2)`, or `fdatasync(2)`.
pub(crate) fn sync(fd: i32, data_only: bool) -> io::Result<()> {
    // SAFETY: takes no memory.
    let result = unsafe {
        match data_only {
            true => libc::fdatasync(fd),
            false => libc::fsync(fd),
        }
    };
    check(result).map(drop)
}

/// `fallocate(2)`.
pub(crate) fn allocate(fd: i32, mode: i32, offset: u64, length: u64) -> io::Result<()> {
    let (offset, length) = (offset.cast_signed(), length.cast_signed());
    // SAFETY: takes no memory.
    check(unsafe { libc::fallocate(fd, mode, offset, length) }).map(drop)
}

/// `lseek(2)` to where it is.
pub(crate) fn position(fd: i32) -> io::Result<u64> {
    seek(fd, 0, libc::SEEK_CUR)
}

/// `lseek(2)` to `offset`.
pub(crate) fn set_position(fd: i32, offset: u64) -> io::Result<u64> {
    seek(fd, offset.cast_signed(), libc::SEEK_SET)
}

fn seek(fd: i32, offset: i64, whence: i32) -> io::Result<u64> {
    // SAFETY: takes no memory.
    let position = unsafe { libc::lseek(fd, offset, whence) };
    u64::try_from(position).map_err(|_| io::Error::last_os_error())
}

/// How long a regular file is (`fstat(2)`); `None` if it is something else.
pub(crate) fn length(fd: i32) -> io::Result<Option<u64>> {
    // SAFETY: numbers only, for which all zeros are a value.
    let mut status: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the call fills the status, which lives until it returns.
    check(unsafe { libc::fstat(fd, &raw mut status) })?;
    let is_regular = status.st_mode & libc::S_IFMT == libc::S_IFREG;
    Ok(is_regular.then_some(status.st_size.cast_unsigned()))
}

/// `fcntl(2)` with `F_GETFL`.
pub(crate) fn status_flags(fd: i32) -> io::Result<i32> {
    // SAFETY: takes no memory.
    check(unsafe { libc::fcntl(fd, libc::F_GETFL) })
}

/// `fcntl(2)` with `F_DUPFD_CLOEXEC`.
pub(crate) fn duplicate(fd: i32) -> io::Result<i32> {
    // SAFETY: takes no memory.
    check(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) })
}

/// `flock(2)`, without waiting.
pub(crate) fn try_lock(fd: i32, exclusive: bool) -> io::Result<()> {
    let mode = match exclusive {
        true => libc::LOCK_EX,
        false => libc::LOCK_SH,
    };
    // SAFETY: takes no memory.
    check(unsafe { libc::flock(fd, mode | libc::LOCK_NB) }).map(drop)
}

/// `flock(2)` with `LOCK_UN`.
pub(crate) fn unlock(fd: i32) -> io::Result<()> {
    // SAFETY: takes no memory.
    check(unsafe { libc::flock(fd, libc::LOCK_UN) }).map(drop)
}
