//! What this process may have, and what this thread has cost.

use std::io;
use std::time::Duration;

/// How long the calling thread was on a processor so far, to the moment.
pub(crate) fn time_of_thread() -> io::Result<Duration> {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel writes one `timespec` into `time`, which lives on.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    if status == 0 {
        // Neither is ever negative, and there are fewer than 10⁹ nanoseconds.
        Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Lets this process have as many descriptors as the system grants it; says how many.
pub(crate) fn raise_descriptor_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the kernel writes one `rlimit` into `limit`, which lives on.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let soft = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the kernel reads one `rlimit`.
    let is_raised = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } == 0;
    // Refused only where a sandbox forbids the call.
    Ok(if is_raised { limit.rlim_max } else { soft })
}

/// This process ends when the thread that has started it does, however that ends.
pub(crate) fn end_with_parent() -> io::Result<()> {
    prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong)
}

/// From now on this process gets memory page by page, so that what it holds can be told in pages.
pub(crate) fn forbid_huge_pages() -> io::Result<()> {
    prctl(libc::PR_SET_THP_DISABLE, 1)
}

/// One of the requests that take a number.
fn prctl(request: libc::c_int, number: libc::c_ulong) -> io::Result<()> {
    const NONE: libc::c_ulong = 0;
    // SAFETY: the requests made above take numbers and touch no memory.
    let status = unsafe { libc::prctl(request, number, NONE, NONE, NONE) };
    if status == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_thread_that_sleeps_costs_nothing_and_one_that_works_does() {
        let worked = thread::spawn(|| {
            let before = time_of_thread().unwrap();
            while time_of_thread().unwrap() - before < Duration::from_millis(3) {
                std::hint::spin_loop();
            }
            let (begin, before) = (Instant::now(), time_of_thread().unwrap());
            thread::sleep(Duration::from_millis(50));
            (begin.elapsed(), time_of_thread().unwrap() - before)
        });
        let (slept, cost) = worked.join().unwrap();
        assert!(cost < slept, "{cost:?} of {slept:?}");
    }

    #[test]
    fn the_limit_of_descriptors_is_known_and_stays_where_it_was_raised_to() {
        let limit = raise_descriptor_limit().unwrap();
        assert!(limit > 3);
        assert_eq!(raise_descriptor_limit().unwrap(), limit);
    }

    #[test]
    fn huge_pages_can_be_forbidden() {
        forbid_huge_pages().unwrap();
    }
}
