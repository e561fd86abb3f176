//! The clock that never goes back.

/// `clock_gettime(2)` with `CLOCK_MONOTONIC`, in nanoseconds: what `Instant::now` asks, without what an `Instant` costs to reckon with.
#[inline]
pub(crate) fn monotonic_nanos() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the call fills `now`, which lives until it returns. It cannot fail: every Linux has this clock, and if it did, 0 is a time, too.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn it_goes_as_an_instant_does() {
        let (first, before) = (monotonic_nanos(), Instant::now());
        std::thread::sleep(Duration::from_millis(2));
        let (after, second) = (Instant::now(), monotonic_nanos());
        assert!(Duration::from_nanos(second - first) >= after - before);
    }
}
