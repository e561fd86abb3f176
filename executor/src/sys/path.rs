//! Calls on names of files. Relative ones begin in the current directory.
//!
//! All are unsafe for the same reason: each path must be a C string.

use std::ffi::c_char;
use std::io;

use super::check;

const HERE: i32 = libc::AT_FDCWD;

/// `openat(2)`.
///
/// # Safety
///
/// `path` must be a C string.
pub(crate) unsafe fn open(path: *const c_char, flags: i32, mode: u32) -> io::Result<i32> {
    // SAFETY: the caller's promise is the one that the call asks for.
    check(unsafe { libc::openat(HERE, path, flags, mode) })
}

/// `statx(2)`.
///
/// # Safety
///
/// `path` must be a C string, and `status` writable.
pub(crate) unsafe fn status(
    fd: i32,
    path: *const c_char,
    flags: i32,
    mask: u32,
    status: *mut libc::statx,
) -> io::Result<()> {
    // SAFETY: the caller's promise is the one that the call asks for.
    check(unsafe { libc::statx(fd, path, flags, mask, status) }).map(drop)
}

/// `renameat(2)`.
///
/// # Safety
///
/// Both must be C strings.
pub(crate) unsafe fn rename(from: *const c_char, to: *const c_char) -> io::Result<()> {
    // SAFETY: the caller's promise is the one that the call asks for.
    check(unsafe { libc::renameat(HERE, from, HERE, to) }).map(drop)
}

/// `unlinkat(2)`.
///
/// # Safety
///
/// `path` must be a C string.
pub(crate) unsafe fn remove(path: *const c_char, flags: i32) -> io::Result<()> {
    // SAFETY: the caller's promise is the one that the call asks for.
    check(unsafe { libc::unlinkat(HERE, path, flags) }).map(drop)
}

/// `mkdirat(2)`.
///
/// # Safety
///
/// `path` must be a C string.
pub(crate) unsafe fn make_directory(path: *const c_char, mode: u32) -> io::Result<()> {
    // SAFETY: the caller's promise is the one that the call asks for.
    check(unsafe { libc::mkdirat(HERE, path, mode) }).map(drop)
}

/// `linkat(2)`.
///
/// # Safety
///
/// Both must be C strings.
pub(crate) unsafe fn hard_link(from: *const c_char, to: *const c_char) -> io::Result<()> {
    // SAFETY: the caller's promise is the one that the call asks for.
    check(unsafe { libc::linkat(HERE, from, HERE, to, 0) }).map(drop)
}

/// `symlinkat(2)`.
///
/// # Safety
///
/// Both must be C strings.
pub(crate) unsafe fn symbolic_link(target: *const c_char, link: *const c_char) -> io::Result<()> {
    // SAFETY: the caller's promise is the one that the call asks for.
    check(unsafe { libc::symlinkat(target, HERE, link) }).map(drop)
}
