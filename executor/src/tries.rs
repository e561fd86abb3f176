//! [`Tries`]: how often something is tried that pays only if it succeeds.

use std::cell::Cell;

/// How many chances pass at most between two tries.
const PASSED_MAX: u32 = 255;

/// Tries whatever it is at each chance as long as that succeeds; each failure lets about twice as many chances pass
/// before the next try, up to [`PASSED_MAX`]. What never succeeds thus costs next to nothing, and one success is enough to begin anew.
#[derive(Debug, Default)]
pub(crate) struct Tries {
    /// How many chances are to pass before the next try.
    to_pass: Cell<u32>,
    /// How many passed before the last one; 0 if that succeeded.
    passed: Cell<u32>,
}

impl Tries {
    /// Asked at each chance.
    #[inline]
    pub(crate) fn is_due(&self) -> bool {
        let to_pass = self.to_pass.get();
        self.to_pass.set(to_pass.saturating_sub(1));
        to_pass == 0
    }

    /// What the try has come to.
    #[inline]
    pub(crate) fn learn(&self, has_succeeded: bool) {
        let passed = match has_succeeded {
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

    /// How many of so many chances are taken, if each try ends so.
    fn taken(tries: &Tries, chances: usize, succeeds: bool) -> usize {
        (0..chances)
            .filter(|_| {
                let is_due = tries.is_due();
                if is_due {
                    tries.learn(succeeds);
                }
                is_due
            })
            .count()
    }

    #[test]
    fn what_succeeds_is_tried_at_each_chance() {
        assert_eq!(taken(&Tries::default(), 1000, true), 1000);
    }

    #[test]
    fn what_fails_is_tried_more_and_more_rarely() {
        let tries = Tries::default();
        // After 0, 1, 3, 7 … chances that have passed.
        assert_eq!(taken(&tries, 1 + 2 + 4 + 8, false), 4);
        taken(&tries, 10_000, false);
        assert_eq!(taken(&tries, 256_000, false), 1000);
    }

    #[test]
    fn one_success_after_a_long_time_is_enough() {
        let tries = Tries::default();
        taken(&tries, 10_000, false);
        while !tries.is_due() {}
        tries.learn(true);
        assert_eq!(taken(&tries, 100, true), 100);
    }
}
