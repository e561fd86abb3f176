//! Calls that make, change and close descriptors of any kind.

use std::io;

use super::check;
use super::simulated::{self, is_simulated};

/// `close(2)`. The descriptor is gone whatever the answer is, so it must not be repeated.
pub(crate) fn close(fd: i32) -> io::Result<()> {
    if is_simulated(fd) {
        simulated::has_been_closed(fd);
        return Ok(());
    }
    // SAFETY: takes no memory. That `fd` is nobody else's is the caller's promise,
    // as it is for every operation on a descriptor.
    check(unsafe { libc::close(fd) }).map(drop)
}

/// `pipe2(2)`: the reading end, then the writing end.
pub(crate) fn pipe(flags: i32) -> io::Result<[i32; 2]> {
    let mut ends = [-1; 2];
    // SAFETY: `ends` is an array of two for the call to fill.
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), flags) })?;
    Ok(ends)
}

/// `ioctl(2)` with `FIONBIO`: sets or clears `O_NONBLOCK`, for all who share the open file.
pub(crate) fn set_nonblocking(fd: i32, on: bool) -> io::Result<()> {
    let mut on = i32::from(on);
    // SAFETY: the call reads the number, which lives until it returns.
    check(unsafe { libc::ioctl(fd, libc::FIONBIO, &raw mut on) }).map(drop)
}

/// `eventfd(2)`, non-blocking and closed on exec.
pub(crate) fn event_descriptor() -> io::Result<i32> {
    // SAFETY: takes no memory.
    check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })
}

/// Adds one to an event descriptor. EAGAIN means that its count is at the top:
/// its reader has more than enough reason to wake up.
pub(crate) fn ring_event(fd: i32) -> io::Result<()> {
    let one = 1u64.to_ne_bytes();
    // SAFETY: `one` holds the eight bytes that are written.
    let written = unsafe { libc::write(fd, one.as_ptr().cast(), one.len()) };
    if written == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Takes whatever was added to an event descriptor. EAGAIN means that nothing was.
pub(crate) fn hush_event(fd: i32) -> io::Result<()> {
    let mut count = [0; 8];
    // SAFETY: `count` has room for the eight bytes that are read.
    let read = unsafe { libc::read(fd, count.as_mut_ptr().cast(), count.len()) };
    if read == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
