//! [`Spin`]: whether a core that has nothing to do looks on for a moment before it sleeps.
//!
//! To wake a sleeping core takes tens of microseconds; one that looks on has what comes at once. What it costs is the time of its
//! processor, so it learns: whenever nothing has come, it lets twice as many sleeps pass before it tries again, and when something has come, it
//! looks on before each. It sleeps at once after a turn in which much has completed: of a core that is busy each sleep gathers a batch, and one that
//! looks on would take it in pieces, with a system call for each. What comes rarely thus costs a try in [`PASSED_MAX`] sleeps, and who sleeps does not wake up to try.

use std::cell::Cell;
use std::time::Duration;

/// For how long at most, where it pays. Measured on loopback: a reply to a message takes 10 to 20 µs with both sides awake, so that half of this catches nothing.
pub(crate) const SPIN_DEFAULT: Duration = Duration::from_micros(20);
/// Longer than any sleep costs.
pub(crate) const SPIN_MAX: Duration = Duration::from_millis(1);

/// How many completions a turn has at most that is no busy one. Measured with 50 connections: without this bound 0.24 system calls for each message, instead of 0.04.
const COMPLETED_MAX: usize = 2;

/// How many sleeps pass at most between two tries.
const PASSED_MAX: u32 = 255;

#[derive(Debug)]
pub(super) struct Spin {
    /// Zero: never.
    longest: Duration,
    /// How many sleeps are to pass before the next try.
    to_pass: Cell<u32>,
    /// How many passed before the last one; 0 if that caught something.
    passed: Cell<u32>,
}

impl Spin {
    pub(super) fn new(longest: Duration) -> Spin {
        Spin {
            longest,
            to_pass: Cell::new(0),
            passed: Cell::new(0),
        }
    }

    /// Asked whenever the core is about to sleep, after a turn in which so much has completed.
    #[inline]
    pub(super) fn is_due(&self, completed: usize) -> bool {
        if self.longest.is_zero() || completed > COMPLETED_MAX {
            return false;
        }
        let to_pass = self.to_pass.get();
        self.to_pass.set(to_pass.saturating_sub(1));
        to_pass == 0
    }

    /// How long this try may take, if something is to be done after `left` in any case.
    pub(super) fn time(&self, left: Option<Duration>) -> Duration {
        left.map_or(self.longest, |left| left.min(self.longest))
    }

    /// What the try has come to.
    pub(super) fn learn(&self, has_caught: bool) {
        let passed = match has_caught {
            true => 0,
            false => (self.passed.get() * 2 + 1).min(PASSED_MAX),
        };
        self.passed.set(passed);
        self.to_pass.set(passed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of so many sleeps are preceded by a try, if each of these ends so.
    fn tries(spin: &Spin, sleeps: usize, caught: bool) -> usize {
        (0..sleeps)
            .filter(|_| {
                let is_due = spin.is_due(1);
                if is_due {
                    spin.learn(caught);
                }
                is_due
            })
            .count()
    }

    #[test]
    fn what_catches_is_done_before_each_sleep() {
        let spin = Spin::new(SPIN_DEFAULT);
        assert_eq!(tries(&spin, 1000, true), 1000);
    }

    #[test]
    fn what_catches_nothing_is_tried_more_and_more_rarely() {
        let spin = Spin::new(SPIN_DEFAULT);
        // After 0, 1, 3, 7 … sleeps that have passed.
        assert_eq!(tries(&spin, 1 + 2 + 4 + 8, false), 4);
        tries(&spin, 10_000, false);
        assert_eq!(tries(&spin, 256_000, false), 1000);
    }

    #[test]
    fn one_success_after_a_long_time_is_enough() {
        let spin = Spin::new(SPIN_DEFAULT);
        tries(&spin, 10_000, false);
        while !spin.is_due(0) {}
        spin.learn(true);
        assert_eq!(tries(&spin, 100, true), 100);
    }

    #[test]
    fn a_busy_turn_is_followed_by_sleep_and_teaches_nothing() {
        let spin = Spin::new(SPIN_DEFAULT);
        assert!(!spin.is_due(COMPLETED_MAX + 1));
        assert!(spin.is_due(COMPLETED_MAX));
    }

    #[test]
    fn without_time_it_is_never_done() {
        assert_eq!(tries(&Spin::new(Duration::ZERO), 1000, true), 0);
    }

    #[test]
    fn the_moment_of_a_timer_ends_it() {
        let spin = Spin::new(SPIN_DEFAULT);
        let soon = Duration::from_micros(3);
        assert_eq!(spin.time(Some(soon)), soon);
        assert_eq!(spin.time(Some(Duration::from_secs(1))), SPIN_DEFAULT);
        assert_eq!(spin.time(None), SPIN_DEFAULT);
    }
}
