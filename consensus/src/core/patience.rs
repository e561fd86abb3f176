//! How long to wait before trying again.

use super::{Micros, Random};

/// How often a deadline is missed at its bound before that doubles.
const PATIENT_TIMES: u32 = 6;
/// How often the bound doubles.
const DOUBLINGS_MAX: u32 = 4;

/// A deadline that moves further away each time it is missed, with jitter, so that peers who were cut off together do
/// not come back together.
///
/// It does so up to a bound; but if nothing comes of it at the bound either, the bound itself doubles now and then. A machine that
/// is too slow for all that is asked would else be asked the same, at the same rate, for ever, and never come to an answer.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    at: Micros,
    delay: Micros,
    delay_max: Micros,
    attempts: u32,
}

impl Backoff {
    /// Armed: due after one to two times `delay`.
    pub(super) fn new(
        now: Micros,
        delay: Micros,
        delay_max: Micros,
        random: &mut Random,
    ) -> Backoff {
        let delay = delay.max(1);
        let mut backoff = Backoff {
            at: now,
            delay,
            delay_max: delay_max.max(delay),
            attempts: 0,
        };
        backoff.arm(now, random);
        backoff
    }

    pub(super) fn at(&self) -> Micros {
        self.at
    }

    /// How often it was due.
    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Makes it due at `at` at the latest.
    pub(super) fn hasten(&mut self, at: Micros) {
        self.at = self.at.min(at);
    }

    /// If it is due: arms it anew, further away, and says so.
    pub(super) fn is_due(&mut self, now: Micros, random: &mut Random) -> bool {
        if now < self.at {
            return false;
        }
        self.attempts = self.attempts.saturating_add(1);
        let bound = self.delay_max << self.doublings();
        self.delay = (self.delay * 2).min(bound);
        self.arm(now, random);
        true
    }

    fn doublings(&self) -> u32 {
        (self.attempts / PATIENT_TIMES).min(DOUBLINGS_MAX)
    }

    /// How long it waits now, at most.
    pub(super) fn wait_max(&self) -> Micros {
        2 * self.delay
    }

    fn arm(&mut self, now: Micros, random: &mut Random) {
        self.at = now + self.delay + random.draw_below(self.delay);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_that_is_missed_moves_further_away_but_not_for_ever() {
        let mut random = Random::new(1, 0);
        let mut backoff = Backoff::new(0, 100, 800, &mut random);
        let mut now = 0;
        let mut waits = Vec::new();
        for _ in 0..40 {
            waits.push(backoff.at() - now);
            now = backoff.at();
            assert!(backoff.is_due(now, &mut random));
            assert!(!backoff.is_due(now, &mut random));
        }
        let delays = [100, 200, 400].into_iter().chain([800; 3]);
        let slower = [1_600; 6].into_iter().chain([3_200; 6]).chain([6_400; 6]);
        let slowest = std::iter::repeat(12_800);
        for (wait, delay) in waits.iter().zip(delays.chain(slower).chain(slowest)) {
            assert!((delay..2 * delay).contains(wait), "waits: {waits:?}");
        }
        assert_eq!(backoff.attempts(), 40);
    }
}
