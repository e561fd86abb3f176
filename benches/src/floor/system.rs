//! Where threads run, what they cost, and the congestion control of sockets.

use std::ffi::{c_int, c_void};
use std::fs;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

/// The cores that this process may use.
pub(crate) fn allowed_cores() -> Vec<usize> {
    // SAFETY: a set of cores is plain numbers, for which all zeros are valid.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: the kernel writes at most the stated size into `set`, which lives on.
    let status = unsafe { libc::sched_getaffinity(0, mem::size_of_val(&set), &raw mut set) };
    if status != 0 {
        return Vec::new();
    }
    let is_set = |core: &usize| {
        // SAFETY: the range below stays within the set.
        unsafe { libc::CPU_ISSET(*core, &set) }
    };
    (0..libc::CPU_SETSIZE as usize).filter(is_set).collect()
}

/// Keeps the calling thread on one core.
pub(crate) fn pin_to(core: usize) -> io::Result<()> {
    stay_on(&[core])
}

/// Keeps the calling thread, and those that it begins, on some cores.
pub(crate) fn stay_on(cores: &[usize]) -> io::Result<()> {
    // SAFETY: as in `allowed_cores`.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    for core in cores {
        // SAFETY: `core` came from `allowed_cores`, so it lies within the set.
        unsafe { libc::CPU_SET(*core, &mut set) };
    }
    // SAFETY: the kernel reads `set`, which lives on.
    let status = unsafe { libc::sched_setaffinity(0, mem::size_of_val(&set), &raw const set) };
    if status == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// A name of the calling thread for [`busy_time`], valid on all threads of this process.
pub(crate) fn current_thread() -> String {
    let link = fs::read_link("/proc/thread-self").unwrap_or_default();
    format!("/proc/{}", link.display())
}

/// How long a thread was on a processor so far; zero if the kernel does not say.
pub(crate) fn busy_time(thread: &str) -> Duration {
    let text = fs::read_to_string(format!("{thread}/schedstat")).unwrap_or_default();
    let nanoseconds = text
        .split_whitespace()
        .next()
        .and_then(|word| word.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

/// How long all threads of this process, also those that have ended, were on processors so far.
pub(crate) fn process_time() -> Duration {
    time_of(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// How long the calling thread was on a processor so far.
pub(crate) fn thread_time() -> Duration {
    time_of(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// The same of another process; nothing if there is none with this number.
pub(crate) fn time_of_process(process: u32) -> Option<Duration> {
    let process = libc::pid_t::try_from(process).ok()?;
    let mut clock = 0;
    // SAFETY: a number is written into `clock`, which lives on.
    let status = unsafe { libc::clock_getcpuclockid(process, &raw mut clock) };
    if status == 0 { read_clock(clock) } else { None }
}

/// How many of its ticks the system counts in a second.
pub(crate) fn ticks_in_a_second() -> u64 {
    // SAFETY: a plain number.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    u64::try_from(ticks).expect("Linux has ticks")
}

fn time_of(clock: libc::clockid_t) -> Duration {
    read_clock(clock).expect("Linux has these clocks")
}

fn read_clock(clock: libc::clockid_t) -> Option<Duration> {
    // SAFETY: a time is plain numbers, for which all zeros are valid.
    let mut time: libc::timespec = unsafe { mem::zeroed() };
    // SAFETY: the kernel writes into `time`, which lives on.
    let status = unsafe { libc::clock_gettime(clock, &raw mut time) };
    let (seconds, nanoseconds) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    (status == 0).then(|| {
        Duration::new(
            seconds.expect("time that has passed"),
            nanoseconds.expect("less than a second"),
        )
    })
}

/// How many threads there are in the process of a thread, itself among them; those that the kernel
/// has made for a ring, too.
pub(crate) fn threads_beside(thread: &str) -> usize {
    fs::read_dir(format!("{thread}/..")).map_or(0, Iterator::count)
}

/// Gives a socket the congestion control that all are measured with, whatever the machine's default.
pub(crate) fn use_cubic(socket: &impl AsFd) -> io::Result<()> {
    let name = b"cubic";
    // SAFETY: the kernel reads `name`, of the stated length.
    let status = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_CONGESTION,
            name.as_ptr().cast::<c_void>(),
            name.len() as libc::socklen_t,
        )
    };
    if status == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Makes a listener of this process the same for all servers: its connections inherit that congestion control, and as many as the
/// kernel allows may wait to be accepted, else of many thousands some are dropped and try again after a second. The listener is found
/// by its address, so that no server needs a way to give it out.
pub(crate) fn prepare_listener(address: SocketAddr) -> io::Result<()> {
    for entry in fs::read_dir("/proc/self/fd")? {
        let Some(number) = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<c_int>().ok())
        else {
            continue;
        };
        if !is_listener(number) || port_of(number) != Some(address.port()) {
            continue;
        }
        // SAFETY: the descriptor belongs to a server that waits for connections from this process, of
        // which there are none yet: it stays open until the call is over.
        use_cubic(&unsafe { BorrowedFd::borrow_raw(number) })?;
        // SAFETY: plain numbers.
        return match unsafe { libc::listen(number, c_int::from(u16::MAX)) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        };
    }
    Err(io::Error::other(format!(
        "nobody here listens on {address}"
    )))
}

fn is_listener(descriptor: c_int) -> bool {
    let mut value: c_int = 0;
    let mut length = mem::size_of_val(&value) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes into `value`; both live on. A number that is no
    // socket is answered with an error.
    let status = unsafe {
        libc::getsockopt(
            descriptor,
            libc::SOL_SOCKET,
            libc::SO_ACCEPTCONN,
            (&raw mut value).cast::<c_void>(),
            &raw mut length,
        )
    };
    status == 0 && value == 1
}

fn port_of(descriptor: c_int) -> Option<u16> {
    // SAFETY: an address is plain numbers, for which all zeros are valid.
    let mut address: libc::sockaddr_in = unsafe { mem::zeroed() };
    let mut length = mem::size_of_val(&address) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes into `address`; both live on.
    let status =
        unsafe { libc::getsockname(descriptor, (&raw mut address).cast(), &raw mut length) };
    (status == 0 && c_int::from(address.sin_family) == libc::AF_INET)
        .then(|| u16::from_be(address.sin_port))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_thread_that_works_is_busy() {
        let thread = current_thread();
        let before = busy_time(&thread);
        let begin = std::time::Instant::now();
        while begin.elapsed() < Duration::from_millis(30) {
            std::hint::spin_loop();
        }
        assert!(busy_time(&thread) > before, "{thread}: {before:?}");
    }

    #[test]
    fn a_thread_that_sleeps_costs_nothing_and_one_that_works_does() {
        let worked = std::thread::spawn(|| {
            let before = thread_time();
            while thread_time() - before < Duration::from_millis(3) {
                std::hint::spin_loop();
            }
            let (begin, before) = (std::time::Instant::now(), thread_time());
            std::thread::sleep(Duration::from_millis(50));
            (begin.elapsed(), thread_time() - before)
        });
        let (slept, cost) = worked.join().unwrap();
        assert!(cost < slept, "{cost:?} of {slept:?}");
    }

    #[test]
    fn what_a_thread_has_worked_counts_for_its_process_also_when_it_has_ended() {
        let before = process_time();
        let worked = std::thread::spawn(|| {
            let before = thread_time();
            while thread_time() - before < Duration::from_millis(20) {
                std::hint::spin_loop();
            }
            thread_time() - before
        });
        let worked = worked.join().unwrap();
        assert!(process_time() - before >= worked);
    }

    #[test]
    fn a_thread_that_runs_is_one_of_its_process() {
        let (done, wait) = std::sync::mpsc::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            tell.send(current_thread()).unwrap();
            wait.recv().unwrap();
        });
        assert!(threads_beside(&told.recv().unwrap()) >= 2);
        done.send(()).unwrap();
        thread.join().unwrap();
        assert_eq!(threads_beside("/proc/self/task/0"), 0);
    }

    #[test]
    fn the_cores_of_this_process_are_known_and_one_can_be_kept() {
        let cores = allowed_cores();
        assert!(!cores.is_empty());
        let last = cores[cores.len() - 1];
        let kept = std::thread::spawn(move || pin_to(last).map(|()| allowed_cores()))
            .join()
            .unwrap();
        assert_eq!(kept.unwrap(), [last]);
    }

    #[test]
    fn a_listener_of_this_process_is_found_by_its_address() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        prepare_listener(address).unwrap();
        drop(listener);
        assert!(prepare_listener(address).is_err());
    }
}
