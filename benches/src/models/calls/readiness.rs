//! The three ways to be told which descriptors are ready.

use std::ffi::c_int;
use std::io;
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

pub(crate) use crate::models::connection::Interest;

/// Descriptors for `select`: of numbers below [`Set::LIMIT`] only.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Set {
    set: libc::fd_set,
}

impl Set {
    pub(crate) const LIMIT: usize = libc::FD_SETSIZE;

    pub(crate) fn new() -> Set {
        let mut set = MaybeUninit::uninit();
        // SAFETY: it writes the whole set, which is plain numbers.
        let set = unsafe {
            libc::FD_ZERO(set.as_mut_ptr());
            set.assume_init()
        };
        Set { set }
    }

    pub(crate) fn has_place_for(descriptor: RawFd) -> bool {
        usize::try_from(descriptor).is_ok_and(|number| number < Set::LIMIT)
    }

    /// # Panics
    ///
    /// If there is no place for it.
    pub(crate) fn insert(&mut self, descriptor: RawFd) {
        assert!(Set::has_place_for(descriptor), "no place for {descriptor}");
        // SAFETY: the place lies within the set, as asserted.
        unsafe { libc::FD_SET(descriptor, &raw mut self.set) };
    }

    pub(crate) fn contains(&self, descriptor: RawFd) -> bool {
        // SAFETY: the place lies within the set, as is asked first.
        Set::has_place_for(descriptor) && unsafe { libc::FD_ISSET(descriptor, &raw const self.set) }
    }
}

/// Waits until some of the descriptors, none of which is above `last`, are ready; leaves these in the sets. After a signal there may be none.
pub(crate) fn select(last: RawFd, readable: &mut Set, writable: &mut Set) -> io::Result<()> {
    // SAFETY: the kernel reads and writes both sets, which live on; nothing else is pointed to.
    let status = unsafe {
        libc::select(
            last + 1,
            &raw mut readable.set,
            &raw mut writable.set,
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    if count(status)?.is_none() {
        (*readable, *writable) = (Set::new(), Set::new());
    }
    Ok(())
}

/// One descriptor for `poll`.
pub(crate) fn entry(descriptor: RawFd, interest: Interest) -> libc::pollfd {
    libc::pollfd {
        fd: descriptor,
        events: match interest {
            Interest::Readable => libc::POLLIN,
            Interest::Writable => libc::POLLOUT,
        },
        revents: 0,
    }
}

/// Waits until some of the entries are ready. After a signal there may be none.
pub(crate) fn poll(entries: &mut [libc::pollfd]) -> io::Result<()> {
    let length = entries.len() as libc::nfds_t;
    // SAFETY: the kernel reads and writes so many entries, which live on.
    let status = unsafe { libc::poll(entries.as_mut_ptr(), length, -1) };
    if count(status)?.is_none() {
        entries.iter_mut().for_each(|entry| entry.revents = 0);
    }
    Ok(())
}

/// An epoll instance.
#[derive(Debug)]
pub(crate) struct Epoll {
    descriptor: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Epoll {
    /// `events_max`: how many it tells at once.
    pub(crate) fn new(events_max: usize) -> io::Result<Epoll> {
        // SAFETY: it touches no memory.
        let descriptor = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Epoll {
            // SAFETY: the kernel has just made it for us alone.
            descriptor: unsafe { OwnedFd::from_raw_fd(descriptor) },
            events: vec![libc::epoll_event { events: 0, u64: 0 }; events_max],
        })
    }

    /// Watches a descriptor until it is closed, and tells of it by `token` as long as it is ready.
    pub(crate) fn watch(&self, of: &impl AsFd, interest: Interest, token: u64) -> io::Result<()> {
        let number = of.as_fd().as_raw_fd();
        self.control(libc::EPOLL_CTL_ADD, number, flags(interest), token)
    }

    pub(crate) fn change(&self, of: &impl AsFd, interest: Interest, token: u64) -> io::Result<()> {
        let number = of.as_fd().as_raw_fd();
        self.control(libc::EPOLL_CTL_MOD, number, flags(interest), token)
    }

    /// Watches a descriptor for both, and tells whenever it has become ready anew.
    pub(crate) fn watch_edges(&self, of: &impl AsFd, token: u64) -> io::Result<()> {
        let edges = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET;
        self.control(libc::EPOLL_CTL_ADD, of.as_fd().as_raw_fd(), edges, token)
    }

    fn control(&self, what: c_int, number: RawFd, events: c_int, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: events as u32,
            u64: token,
        };
        let epoll = self.descriptor.as_raw_fd();
        // SAFETY: the kernel reads `event`, which lives on.
        let status = unsafe { libc::epoll_ctl(epoll, what, number, &raw mut event) };
        match status {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Waits until something is ready, at most so long, and puts its tokens into `ready`. After a signal there may be none.
    pub(crate) fn wait(
        &mut self,
        timeout: Option<Duration>,
        ready: &mut Vec<u64>,
    ) -> io::Result<()> {
        ready.clear();
        let milliseconds = timeout.map_or(-1, |timeout| {
            c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX)
        });
        let room = c_int::try_from(self.events.len()).unwrap_or(c_int::MAX);
        let epoll = self.descriptor.as_raw_fd();
        // SAFETY: the kernel writes at most so many events, which live on.
        let status =
            unsafe { libc::epoll_wait(epoll, self.events.as_mut_ptr(), room, milliseconds) };
        let told = count(status)?.unwrap_or(0);
        ready.extend(self.events[..told].iter().map(|event| event.u64));
        Ok(())
    }
}

fn flags(interest: Interest) -> c_int {
    match interest {
        Interest::Readable => libc::EPOLLIN,
        Interest::Writable => libc::EPOLLOUT,
    }
}

/// How many are ready; nothing after a signal.
fn count(status: c_int) -> io::Result<Option<usize>> {
    if let Ok(count) = usize::try_from(status) {
        return Ok(Some(count));
    }
    let error = io::Error::last_os_error();
    match error.kind() {
        io::ErrorKind::Interrupted => Ok(None),
        _ => Err(error),
    }
}

// What is handed to `FD_SET` as a number of bits is an array of words of this size.
const _: () = assert!(mem::size_of::<libc::fd_set>() * 8 == libc::FD_SETSIZE);
