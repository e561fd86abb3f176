//! [`Spin`]: whether a core that has nothing to do looks on for a moment before it sleeps, and for how long.
//!
//! To wake a sleeping core takes tens of microseconds; one that looks on has what comes at once. What it costs is the time of its
//! processor, so it learns two things, as the poll of a virtual processor does before that halts.
//!
//! *How often*: whenever nothing has come, it lets twice as many sleeps pass before it tries again, and when something has come, it
//! looks on before each. What comes rarely thus costs a try in [`PASSED_MAX`] sleeps, and who sleeps does not wake up to try.
//!
//! *For how long*: a sleep that ended later than the limit but soon enough doubles it, so that the next such one is caught, and one that was long halves
//! it. All sleeps teach this, also those that were not preceded by a try, and whatever ended them.
//!
//! It sleeps at once after a turn in which much has completed: of a core that is busy each sleep gathers a batch, and one that
//! looks on would take it in pieces, with a system call for each. Such a sleep teaches nothing.

use std::cell::Cell;
use std::time::Duration;

/// For how long at most, where it pays.
pub(crate) const SPIN_DEFAULT: Duration = Duration::from_micros(100);
/// Longer than any sleep costs.
pub(crate) const SPIN_MAX: Duration = Duration::from_millis(1);

/// For how long before anything is known. Measured on loopback: a reply to a message takes 10 to 20 µs with both sides awake, so that half of this catches nothing.
const LIMIT_MIN: Duration = Duration::from_micros(20);

/// How many completions a turn has at most that is no busy one. Measured with 50 connections: without this bound 0.24 system calls for each message, instead of 0.04.
const COMPLETED_MAX: usize = 2;

/// How many sleeps pass at most between two tries.
const PASSED_MAX: u32 = 255;

#[derive(Debug)]
pub(super) struct Spin {
    /// Zero: never.
    longest: Duration,
    /// For how long now: [`LIMIT_MIN`] or more, [`longest`](Spin::longest) or less.
    limit: Cell<Duration>,
    /// How many sleeps are to pass before the next try.
    to_pass: Cell<u32>,
    /// How many passed before the last one; 0 if that caught something.
    passed: Cell<u32>,
    /// How long the core has looked on already before the sleep that comes. `None`: that one teaches nothing.
    looked_on: Cell<Option<Duration>>,
}

impl Spin {
    pub(super) fn new(longest: Duration) -> Spin {
        Spin {
            longest,
            limit: Cell::new(longest.min(LIMIT_MIN)),
            to_pass: Cell::new(0),
            passed: Cell::new(0),
            looked_on: Cell::new(None),
        }
    }

    /// Asked whenever the core is about to sleep, after a turn in which so much has completed.
    #[inline]
    pub(super) fn is_due(&self, completed: usize) -> bool {
        if self.longest.is_zero() || completed > COMPLETED_MAX {
            self.looked_on.set(None);
            return false;
        }
        self.looked_on.set(Some(Duration::ZERO));
        let to_pass = self.to_pass.get();
        self.to_pass.set(to_pass.saturating_sub(1));
        to_pass == 0
    }

    /// How long this try may take, if something is to be done after `left` in any case.
    pub(super) fn time(&self, left: Option<Duration>) -> Duration {
        let limit = self.limit.get();
        left.map_or(limit, |left| left.min(limit))
    }

    /// What the try has come to, which took so long.
    pub(super) fn learn(&self, has_caught: bool, took: Duration) {
        let passed = match has_caught {
            true => 0,
            false => (self.passed.get() * 2 + 1).min(PASSED_MAX),
        };
        self.passed.set(passed);
        self.to_pass.set(passed);
        self.looked_on.set(Some(took));
    }

    /// The core has slept for so long.
    #[inline]
    pub(super) fn slept(&self, time: Duration) {
        let Some(looked_on) = self.looked_on.take() else {
            return;
        };
        let idle = looked_on + time;
        let limit = self.limit.get();
        if idle > self.longest {
            self.limit.set((limit / 2).max(self.longest.min(LIMIT_MIN)));
        } else if idle > limit {
            self.limit.set((limit * 2).min(self.longest));
        }
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
                    spin.learn(caught, Duration::ZERO);
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
        spin.learn(true, Duration::ZERO);
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
        let soon = micros(3);
        assert_eq!(spin.time(Some(soon)), soon);
        assert_eq!(spin.time(Some(Duration::from_secs(1))), LIMIT_MIN);
        assert_eq!(spin.time(None), LIMIT_MIN);
    }

    const fn micros(count: u64) -> Duration {
        Duration::from_micros(count)
    }

    /// The limits after sleeps of so many microseconds that no try preceded.
    fn limits<const SLEEPS: usize>(spin: &Spin, sleeps: [u64; SLEEPS]) -> [u64; SLEEPS] {
        sleeps.map(|sleep| {
            spin.is_due(0);
            spin.slept(micros(sleep));
            spin.limit.get().as_micros() as u64
        })
    }

    #[test]
    fn sleeps_longer_than_the_limit_but_not_long_double_it_and_long_ones_halve_it() {
        let spin = Spin::new(micros(100));
        let grown = limits(&spin, [20, 21, 40, 90, 90, 100, 3]);
        assert_eq!(grown, [20, 40, 40, 80, 100, 100, 100]);
        let shrunk = limits(&spin, [101, 20, 1_000_000, 5000, 5000, 5000]);
        assert_eq!(shrunk, [50, 50, 25, 20, 20, 20]);
    }

    #[test]
    fn a_limit_is_never_above_what_is_allowed() {
        assert_eq!(limits(&Spin::new(micros(5)), [4, 5, 6, 90]), [5; 4]);
        assert_eq!(limits(&Spin::new(micros(30)), [25, 29, 31]), [30, 30, 20]);
        assert_eq!(limits(&Spin::new(Duration::ZERO), [0, 1, 90]), [0; 3]);
    }

    #[test]
    fn a_try_in_vain_and_the_sleep_after_it_are_one_time() {
        let spin = Spin::new(micros(100));
        for (sleep, limit) in [(70, 40), (70, 20), (0, 20)] {
            spin.is_due(0);
            spin.learn(false, spin.time(None));
            spin.slept(micros(sleep));
            assert_eq!(spin.limit.get(), micros(limit));
        }
        // What was caught is no part of the sleep after the next turn.
        spin.learn(true, micros(20));
        assert_eq!(limits(&spin, [15]), [20]);
    }

    #[test]
    fn the_sleep_after_a_busy_turn_and_what_was_no_sleep_teach_nothing() {
        let spin = Spin::new(micros(100));
        spin.is_due(COMPLETED_MAX + 1);
        spin.slept(micros(90));
        assert_eq!(spin.limit.get(), LIMIT_MIN);
        assert_eq!(limits(&spin, [90]), [40]);
        spin.slept(micros(90));
        assert_eq!(spin.limit.get(), micros(40));
    }

    /// To wake up takes so long.
    const WAKING: Duration = micros(35);

    /// Something comes so often, each time so long after the turn before. How often it was caught, and for how long the core has looked on.
    fn catches(spin: &Spin, times: u32, after: Duration) -> (u32, Duration) {
        let mut caught = 0;
        let mut looked_on = Duration::ZERO;
        for _ in 0..times {
            let mut tried = Duration::ZERO;
            if spin.is_due(1) {
                tried = spin.time(None).min(after);
                looked_on += tried;
                spin.learn(tried == after, tried);
                if tried == after {
                    caught += 1;
                    continue;
                }
            }
            spin.slept(after - tried + WAKING);
        }
        (caught, looked_on)
    }

    #[test]
    fn an_answer_that_comes_later_than_the_first_limit_is_soon_caught_each_time() {
        let spin = Spin::new(SPIN_DEFAULT);
        let (caught, _) = catches(&spin, 100, micros(60));
        assert!(caught >= 95, "{caught}");
        // Also after a time in which nothing was caught.
        catches(&spin, 10_000, micros(5000));
        let (caught, _) = catches(&spin, 1000, micros(60));
        assert!(caught >= 1000 - PASSED_MAX - 1, "{caught}");
    }

    #[test]
    fn what_comes_too_late_costs_the_first_limit_in_the_end() {
        let spin = Spin::new(SPIN_DEFAULT);
        catches(&spin, 1000, micros(60));
        let (caught, looked_on) = catches(&spin, 256_000, micros(500));
        assert_eq!(caught, 0);
        // The tries in which it learns, then the 1000 others.
        assert!(looked_on <= 1010 * LIMIT_MIN, "{looked_on:?}");
    }
}
