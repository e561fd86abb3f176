//! Calls that move data through descriptors of any kind, and accept or make connections.
//!
//! A count fits into `i32`: the kernel moves at most 2 GiB − 4 KiB at once.

use std::io;

use super::check;

fn count(result: isize) -> io::Result<i32> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(i32::try_from(result).unwrap_or(i32::MAX))
}

/// `accept4(2)`.
///
/// # Safety
///
/// `address` and `length` must be null, or `length` must say for how many bytes `address` is writable.
pub(crate) unsafe fn accept(
    fd: i32,
    address: *mut libc::sockaddr,
    length: *mut libc::socklen_t,
    flags: i32,
) -> io::Result<i32> {
    // SAFETY: the caller's promise is the one that the call asks for.
    check(unsafe { libc::accept4(fd, address, length, flags) })
}

/// `connect(2)`.
///
/// # Safety
///
/// `address` must be readable for `length` bytes.
pub(crate) unsafe fn connect(
    fd: i32,
    address: *const libc::sockaddr,
    length: u32,
) -> io::Result<()> {
    // SAFETY: the caller's promise is the one that the call asks for.
    check(unsafe { libc::connect(fd, address, length) }).map(drop)
}

/// `recv(2)`.
///
/// # Safety
///
/// `address` must be writable for `length` bytes.
pub(crate) unsafe fn receive(
    fd: i32,
    address: *mut libc::c_void,
    length: u32,
    flags: i32,
) -> io::Result<i32> {
    // SAFETY: the caller's promise is the one that the call asks for.
    count(unsafe { libc::recv(fd, address, length as usize, flags) })
}

/// `send(2)`.
///
/// # Safety
///
/// `address` must be readable for `length` bytes.
pub(crate) unsafe fn send(
    fd: i32,
    address: *const libc::c_void,
    length: u32,
    flags: i32,
) -> io::Result<i32> {
    // SAFETY: the caller's promise is the one that the call asks for.
    count(unsafe { libc::send(fd, address, length as usize, flags) })
}

/// `recvmsg(2)`.
///
/// # Safety
///
/// `header` must be null or a valid `msghdr`, and what it names writable.
pub(crate) unsafe fn receive_message(
    fd: i32,
    header: *mut libc::msghdr,
    flags: i32,
) -> io::Result<i32> {
    // SAFETY: the caller's promise is the one that the call asks for.
    count(unsafe { libc::recvmsg(fd, header, flags) })
}

/// `sendmsg(2)`.
///
/// # Safety
///
/// `header` must be null or a valid `msghdr`, and what it names readable.
pub(crate) unsafe fn send_message(
    fd: i32,
    header: *const libc::msghdr,
    flags: i32,
) -> io::Result<i32> {
    // SAFETY: the caller's promise is the one that the call asks for.
    count(unsafe { libc::sendmsg(fd, header, flags) })
}

/// `preadv2(2)`; an offset of −1 is the file's own cursor.
///
/// # Safety
///
/// `vectors` must be an array of `vector_count` whose memory is writable.
pub(crate) unsafe fn read(
    fd: i32,
    vectors: *const libc::iovec,
    vector_count: u32,
    offset: i64,
    flags: i32,
) -> io::Result<i32> {
    let vector_count = i32::try_from(vector_count).unwrap_or(i32::MAX);
    // SAFETY: the caller's promise is the one that the call asks for.
    count(unsafe { libc::preadv2(fd, vectors, vector_count, offset, flags) })
}

/// `pwritev2(2)`; an offset of −1 is the file's own cursor.
///
/// # Safety
///
/// `vectors` must be an array of `vector_count` whose memory is readable.
pub(crate) unsafe fn write(
    fd: i32,
    vectors: *const libc::iovec,
    vector_count: u32,
    offset: i64,
    flags: i32,
) -> io::Result<i32> {
    let vector_count = i32::try_from(vector_count).unwrap_or(i32::MAX);
    // SAFETY: the caller's promise is the one that the call asks for.
    count(unsafe { libc::pwritev2(fd, vectors, vector_count, offset, flags) })
}
