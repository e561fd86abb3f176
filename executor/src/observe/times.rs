//! [`Times`]: when a turn began, and how long the core was busy, by the few looks at the clock that a turn takes.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// A tick is 2²⁴ ns, 17 ms: 32 bits of them are two years.
const TICK_BITS: u32 = 24;

/// The clock of a core as it stood at the last look, and where the time has gone between looks.
#[derive(Debug)]
pub(crate) struct Times {
    began: Instant,
    /// At the last look.
    looked: Cell<Instant>,
    /// The same, in nanoseconds since the beginning.
    nanos: Cell<u64>,
    /// From when on the time has not been accounted for; [`NOT_RUNNING`]: not at all.
    since: Cell<u64>,
    /// This turn has looked.
    is_known: Cell<bool>,
    /// It has been asleep since the last look.
    is_parked: Cell<bool>,
    /// In nanoseconds, as the next one.
    busy: Cell<u64>,
    parked: Cell<u64>,
}

const NOT_RUNNING: u64 = u64::MAX;

impl Times {
    pub(crate) fn new(now: Instant) -> Times {
        Times {
            began: now,
            looked: Cell::new(now),
            nanos: Cell::new(0),
            since: Cell::new(NOT_RUNNING),
            is_known: Cell::new(false),
            is_parked: Cell::new(false),
            busy: Cell::new(0),
            parked: Cell::new(0),
        }
    }

    /// The core runs from now on; what was before counts for nothing.
    pub(crate) fn begin_to_run(&self) {
        self.since.set(NOT_RUNNING);
        self.is_known.set(false);
        self.is_parked.set(false);
    }

    /// The next one to ask for the time has it read anew. True if it is far from the last look: the core was parked.
    #[inline]
    pub(crate) fn begin_turn(&self) -> bool {
        self.is_known.set(false);
        self.is_parked.get()
    }

    /// The time of this turn: `read` if nobody has asked yet.
    #[inline]
    pub(crate) fn of_turn(&self, read: impl FnOnce() -> Instant) -> Instant {
        match self.is_known.get() {
            true => self.looked.get(),
            false => self.look(read()),
        }
    }

    /// The core may sleep from now on, until the next turn looks.
    #[inline]
    pub(crate) fn park(&self, now: Instant) {
        self.look(now);
        self.is_parked.set(true);
    }

    #[inline]
    fn look(&self, now: Instant) -> Instant {
        self.is_known.set(true);
        self.looked.set(now);
        let age = now.saturating_duration_since(self.began);
        let nanos = age.as_secs() * 1_000_000_000 + u64::from(age.subsec_nanos());
        self.nanos.set(nanos);
        let passed = nanos.saturating_sub(self.since.replace(nanos));
        let account = match self.is_parked.replace(false) {
            true => &self.parked,
            false => &self.busy,
        };
        account.set(account.get() + passed);
        now
    }

    /// At the last look, in nanoseconds since the beginning.
    #[inline]
    pub(crate) fn nanos(&self) -> u64 {
        self.nanos.get()
    }

    /// At the last look, in ticks since the beginning.
    #[inline]
    pub(crate) fn ticks(&self) -> u32 {
        (self.nanos() >> TICK_BITS) as u32
    }

    /// How long ago that tick was at the last look.
    pub(crate) fn since_tick(&self, tick: u32) -> Duration {
        let ticks = u64::from(self.ticks().wrapping_sub(tick));
        Duration::from_nanos(ticks << TICK_BITS)
    }

    /// How long the core has worked.
    pub(crate) fn busy(&self) -> Duration {
        Duration::from_nanos(self.busy.get())
    }

    /// How long it had nothing to do.
    pub(crate) fn parked(&self) -> Duration {
        Duration::from_nanos(self.parked.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock that shows what the test sets.
    struct Hand(Cell<Instant>);

    impl Hand {
        fn advance(&self, millis: u64) -> Instant {
            self.0.set(self.0.get() + Duration::from_millis(millis));
            self.0.get()
        }
    }

    fn at_zero() -> (Hand, Times) {
        let now = Instant::now();
        (Hand(Cell::new(now)), Times::new(now))
    }

    fn accounts(times: &Times) -> (u128, u128) {
        (times.busy().as_millis(), times.parked().as_millis())
    }

    #[test]
    fn a_turn_looks_once_and_the_next_one_anew() {
        let (hand, times) = at_zero();
        let first = times.of_turn(|| hand.advance(1));
        assert_eq!(times.of_turn(|| unreachable!("it has looked")), first);
        times.begin_turn();
        assert_eq!(times.of_turn(|| hand.advance(2)), hand.0.get());
        assert_eq!(times.nanos(), 3_000_000);
    }

    #[test]
    fn time_asleep_is_parked_and_the_rest_is_busy() {
        let (hand, times) = at_zero();
        times.of_turn(|| hand.advance(0));
        times.park(hand.advance(3));
        assert!(times.begin_turn());
        times.of_turn(|| hand.advance(50));
        assert!(!times.begin_turn());
        times.of_turn(|| hand.advance(7));
        assert_eq!(accounts(&times), (10, 50));
    }

    #[test]
    fn a_core_that_does_not_run_is_neither() {
        let (hand, times) = at_zero();
        times.begin_to_run();
        times.of_turn(|| hand.advance(100));
        times.park(hand.advance(1));
        times.begin_to_run();
        times.of_turn(|| hand.advance(100));
        assert_eq!(accounts(&times), (1, 0));
    }

    #[test]
    fn an_age_in_ticks_goes_on_beyond_the_last_tick() {
        let (hand, times) = at_zero();
        times.of_turn(|| hand.advance(1000));
        let long_ago = times.ticks().wrapping_sub(60);
        let age = Duration::from_nanos(60 << TICK_BITS);
        assert_eq!(times.since_tick(long_ago), age);
    }
}
