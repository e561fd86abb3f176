//! The system calls of the models that read from many pipes. The unsafe code of these models stands here.

use std::ffi::c_int;
use std::io::{self, PipeReader, PipeWriter};
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

use super::record::RECORD;

fn checked(status: c_int) -> io::Result<c_int> {
    if status < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(status)
}

/// As `checked`; a signal is no error, but nothing has come.
fn checked_wait(status: c_int) -> io::Result<c_int> {
    match checked(status) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
        other => other,
    }
}

/// From now on a read of this end does not wait.
pub(super) fn make_nonblocking(pipe: &PipeReader) -> io::Result<()> {
    // SAFETY: these calls take numbers only.
    let flags = checked(unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_GETFL) })?;
    let wanted = flags | libc::O_NONBLOCK;
    // SAFETY: as above.
    checked(unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETFL, wanted) })?;
    Ok(())
}

/// How long the children that were waited for were on processors.
pub(super) fn children_time() -> io::Result<Duration> {
    // SAFETY: an account is plain numbers, for which all zeros are valid.
    let mut usage: libc::rusage = unsafe { mem::zeroed() };
    // SAFETY: the kernel writes into `usage`, which lives on.
    checked(unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) })?;
    let time = |time: libc::timeval| {
        let (seconds, micros) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_usec));
        Duration::from_secs(seconds.unwrap_or(0)) + Duration::from_micros(micros.unwrap_or(0))
    };
    Ok(time(usage.ru_utime) + time(usage.ru_stime))
}

/// The descriptors that `select` looks at, and after it those that are ready.
pub(super) struct DescriptorSet {
    set: libc::fd_set,
    end: RawFd,
}

impl DescriptorSet {
    pub(super) const SIZE: RawFd = libc::FD_SETSIZE as RawFd;

    pub(super) fn new() -> DescriptorSet {
        // SAFETY: a set is plain bits, for which all zeros are valid: it is empty.
        let set = unsafe { mem::zeroed() };
        DescriptorSet { set, end: 0 }
    }

    pub(super) fn has_room_for(descriptor: RawFd) -> bool {
        (0..DescriptorSet::SIZE).contains(&descriptor)
    }

    /// # Panics
    ///
    /// If it has no room for this descriptor.
    pub(super) fn add(&mut self, descriptor: RawFd) {
        assert!(DescriptorSet::has_room_for(descriptor), "{descriptor}");
        // SAFETY: the bit lies within the set, as was just made sure of.
        unsafe { libc::FD_SET(descriptor, &raw mut self.set) };
        self.end = self.end.max(descriptor + 1);
    }

    pub(super) fn contains(&self, descriptor: RawFd) -> bool {
        // SAFETY: the bit lies within the set, as is made sure of first.
        DescriptorSet::has_room_for(descriptor)
            && unsafe { libc::FD_ISSET(descriptor, &raw const self.set) }
    }
}

/// Waits until one of the descriptors can be read from; leaves those that can in the set.
pub(super) fn select(set: &mut DescriptorSet) -> io::Result<()> {
    let none = ptr::null_mut();
    // SAFETY: the kernel reads and writes the set, whose bits reach up to `end`, and which lives on.
    let status = unsafe { libc::select(set.end, &raw mut set.set, none, none, ptr::null_mut()) };
    if checked_wait(status)? == 0 {
        *set = DescriptorSet::new();
    }
    Ok(())
}

/// A descriptor that `poll` looks at, and whether it can be read from.
#[repr(transparent)]
pub(super) struct Polled(libc::pollfd);

impl Polled {
    pub(super) fn new(descriptor: RawFd) -> Polled {
        Polled(libc::pollfd {
            fd: descriptor,
            events: libc::POLLIN,
            revents: 0,
        })
    }

    /// There is something to read, or the end of it, or an error that a read tells.
    pub(super) fn is_ready(&self) -> bool {
        self.0.revents != 0
    }
}

/// Waits until one of the descriptors can be read from.
pub(super) fn poll(list: &mut [Polled]) -> io::Result<()> {
    let count = list.len() as libc::nfds_t;
    // SAFETY: the kernel reads and writes the list, of the stated length, which lives on; each entry is a
    // `pollfd`, as the type is transparent.
    let status = unsafe { libc::poll(list.as_mut_ptr().cast(), count, -1) };
    if checked_wait(status)? == 0 {
        list.iter_mut().for_each(|entry| entry.0.revents = 0);
    }
    Ok(())
}

/// A list of descriptors that the kernel keeps.
pub(super) struct Epoll {
    epoll: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Epoll {
    pub(super) fn new() -> io::Result<Epoll> {
        // SAFETY: this call takes a number only.
        let number = checked(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        Ok(Epoll {
            // SAFETY: the kernel has just made this descriptor, which nobody else knows.
            epoll: unsafe { OwnedFd::from_raw_fd(number) },
            events: vec![libc::epoll_event { events: 0, u64: 0 }; 256],
        })
    }

    /// From now on `wait` tells this index when the descriptor can be read from, until it is closed.
    pub(super) fn add(&self, descriptor: RawFd, index: usize) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: libc::EPOLLIN as u32,
            u64: index as u64,
        };
        let epoll = self.epoll.as_raw_fd();
        // SAFETY: the kernel reads `event`, which lives on.
        checked(unsafe {
            libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, descriptor, &raw mut event)
        })?;
        Ok(())
    }

    /// Waits until there is a descriptor that can be read from.
    pub(super) fn wait(&mut self, ready: &mut Vec<usize>) -> io::Result<()> {
        let room = c_int::try_from(self.events.len()).expect("few events");
        let events = self.events.as_mut_ptr();
        // SAFETY: the kernel writes at most `room` events into the list, which lives on.
        let status = unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), events, room, -1) };
        let count = usize::try_from(checked_wait(status)?).expect("not negative");
        let indices = self.events[..count].iter().map(|event| event.u64);
        ready.extend(indices.map(|index| usize::try_from(index).expect("made from a usize")));
        Ok(())
    }
}

/// A process that passes the records of one pipe on to another. It is killed if it is dropped.
pub(super) struct Relay {
    process: libc::pid_t,
}

impl Relay {
    pub(super) fn start(from: &PipeReader, to: &PipeWriter) -> io::Result<Relay> {
        let (from, to) = (from.as_raw_fd(), to.as_raw_fd());
        // SAFETY: the child has one thread, and whatever locks others held stay held in it: `relay` makes
        // system calls only, takes no memory, does not panic and does not return.
        match checked(unsafe { libc::fork() })? {
            // SAFETY: this is the child.
            0 => unsafe { relay(from, to) },
            process => Ok(Relay { process }),
        }
    }

    /// Waits for its end, which must be a good one.
    pub(super) fn join(self) -> io::Result<()> {
        let status = wait_for(self.process);
        mem::forget(self);
        match status? {
            status if libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0 => Ok(()),
            status => Err(io::Error::other(format!(
                "a process that passes records on has failed: status {status:#x}"
            ))),
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // SAFETY: these are numbers only, and the process is ours: nobody has waited for it yet.
        unsafe { libc::kill(self.process, libc::SIGKILL) };
        // What it was like does not matter any more.
        let _ = wait_for(self.process);
    }
}

fn wait_for(process: libc::pid_t) -> io::Result<c_int> {
    let mut status = 0;
    loop {
        // SAFETY: the kernel writes a number into `status`, which lives on.
        match checked(unsafe { libc::waitpid(process, &raw mut status, 0) }) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other.map(|_| status),
        }
    }
}

/// What the process does: reads, and writes what whole records it has. Its status says where it failed.
///
/// # Safety
///
/// Only in a process that nobody else shares, which ends with it.
unsafe fn relay(from: RawFd, to: RawFd) -> ! {
    const ROOM: usize = 4096;
    let mut room = [0_u8; ROOM];
    let mut length = 0;
    // SAFETY: plain numbers, and `room`, of which the kernel reads and writes what lies within its length. As nobody
    // shares the process, the descriptors that are closed, among them the ends that others write to, are nobody's.
    unsafe {
        if libc::dup2(from, 0) < 0 || libc::dup2(to, 1) < 0 || libc::close_range(2, u32::MAX, 0) < 0
        {
            libc::_exit(2);
        }
        loop {
            match libc::read(0, room.as_mut_ptr().add(length).cast(), ROOM - length) {
                0 => libc::_exit(if length == 0 { 0 } else { 3 }),
                count if count > 0 => length += count.cast_unsigned(),
                _ if *libc::__errno_location() == libc::EINTR => continue,
                _ => libc::_exit(4),
            }
            let whole = length - length % RECORD;
            // At most 4096 bytes: all of it at once, or, after a signal, nothing.
            if whole > 0 {
                while libc::write(1, room.as_ptr().cast(), whole).cast_unsigned() != whole {
                    if *libc::__errno_location() != libc::EINTR {
                        libc::_exit(5);
                    }
                }
            }
            room.copy_within(whole..length, 0);
            length -= whole;
        }
    }
}
