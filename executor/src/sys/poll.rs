//! Calls that wait until descriptors are ready, or look whether they are.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::check;

/// One answer of [`wait_for_events`], and what a descriptor is registered with.
pub(crate) type Event = libc::epoll_event;

/// `epoll_create1(2)`, closed on exec.
pub(crate) fn event_set() -> io::Result<i32> {
    // SAFETY: takes no memory.
    check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })
}

/// `epoll_ctl(2)` with `EPOLL_CTL_ADD` or `EPOLL_CTL_MOD`.
pub(crate) fn watch(set: i32, how: i32, fd: i32, events: i32, data: u64) -> io::Result<()> {
    let mut event = Event {
        events: events.cast_unsigned(),
        u64: data,
    };
    // SAFETY: the call reads `event`, which lives until it returns.
    check(unsafe { libc::epoll_ctl(set, how, fd, &raw mut event) }).map(drop)
}

/// `epoll_ctl(2)` with `EPOLL_CTL_DEL`.
pub(crate) fn unwatch(set: i32, fd: i32) -> io::Result<()> {
    // SAFETY: takes no memory: the last argument is not looked at since Linux 2.6.9.
    check(unsafe { libc::epoll_ctl(set, libc::EPOLL_CTL_DEL, fd, std::ptr::null_mut()) }).map(drop)
}

/// The kernel has no `epoll_pwait2` (Linux 5.11), or something hides it.
static ONLY_MILLISECONDS: AtomicBool = AtomicBool::new(false);

/// `epoll_pwait2(2)`: waits until something is ready, at most for `timeout`, or for ever; tells how many events it
/// has put into `events`. Where the kernel lacks it, `epoll_wait(2)`, whose timeout has whole milliseconds: it is
/// rounded up.
pub(crate) fn wait_for_events(
    set: i32,
    events: &mut [Event],
    timeout: Option<Duration>,
) -> io::Result<usize> {
    if !ONLY_MILLISECONDS.load(Ordering::Relaxed) {
        match wait_precisely(set, events, timeout) {
            Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => {
                ONLY_MILLISECONDS.store(true, Ordering::Relaxed);
            }
            result => return result,
        }
    }
    let milliseconds = timeout.map_or(-1, milliseconds);
    let (room, count) = (events.as_mut_ptr(), at_most_i32(events.len()));
    // SAFETY: `room` has room for `count` events.
    let count = check(unsafe { libc::epoll_wait(set, room, count, milliseconds) })?;
    Ok(count as usize)
}

fn wait_precisely(set: i32, events: &mut [Event], timeout: Option<Duration>) -> io::Result<usize> {
    let timeout = timeout.map(|timeout| libc::timespec {
        tv_sec: timeout.as_secs().min(i64::MAX as u64) as i64,
        tv_nsec: i64::from(timeout.subsec_nanos()),
    });
    let timeout = timeout
        .as_ref()
        .map_or(std::ptr::null(), std::ptr::from_ref);
    let (room, count) = (events.as_mut_ptr(), at_most_i32(events.len()));
    let no_signals: *const libc::sigset_t = std::ptr::null();
    // SAFETY: `room` has room for `count` events, the timeout lives until the call returns, and no signal mask is given.
    let count = unsafe {
        libc::syscall(
            libc::SYS_epoll_pwait2,
            set,
            room,
            count,
            timeout,
            no_signals,
            0_usize,
        )
    };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// Rounded up, so that no wait ends early.
fn milliseconds(timeout: Duration) -> i32 {
    i32::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
}

fn at_most_i32(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// `poll(2)` of one descriptor, without waiting: which of `events` are there, or an error or end (`POLL…`).
pub(crate) fn ready_now(fd: i32, events: i16) -> io::Result<i16> {
    let mut entry = libc::pollfd {
        fd,
        events,
        revents: 0,
    };
    // SAFETY: the call reads and writes one entry, which lives until it returns.
    check(unsafe { libc::poll(&raw mut entry, 1, 0) })?;
    Ok(entry.revents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_in_milliseconds_is_never_too_short() {
        for (nanos, expected) in [(0, 0), (1, 1), (1_000_000, 1), (1_000_001, 2)] {
            assert_eq!(milliseconds(Duration::from_nanos(nanos)), expected);
        }
        assert_eq!(milliseconds(Duration::MAX), i32::MAX);
    }
}
