//! How much of something this process may use.

use std::io;

use super::check;

/// Something that the system bounds for each process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    /// Bytes of memory that may not be swapped out.
    LockedMemory,
    Descriptors,
}

/// `getrlimit(2)`: the soft bound and the hard one; the highest number means none.
pub(crate) fn limit(resource: Resource) -> io::Result<(u64, u64)> {
    let resource = match resource {
        Resource::LockedMemory => libc::RLIMIT_MEMLOCK,
        Resource::Descriptors => libc::RLIMIT_NOFILE,
    };
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the call fills `limit`, which lives until it returns.
    check(unsafe { libc::getrlimit(resource, &raw mut limit) })?;
    Ok((limit.rlim_cur, limit.rlim_max))
}
