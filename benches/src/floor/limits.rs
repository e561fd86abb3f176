//! What this process may have, and with whom it ends.

use std::io;

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
    use super::*;

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
