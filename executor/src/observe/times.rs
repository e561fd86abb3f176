//! [`Times`]: when a turn began, and how long the core was busy, by the few looks at the clock that a turn takes.

use std::cell::Cell;
use std::time::Duration;

/// A tick is 2²⁴ ns, 17 ms: 32 bits of them are two years.
const TICK_BITS: u32 = 24;

/// One in so many turns that end with sleep looks at the clock before.
const PARKS_PER_LOOK: u32 = 16;

/// The clock of a core as it stood at the last look, in nanoseconds from whenever on, and where the time has gone between looks.
#[derive(Debug)]
pub(crate) struct Times {
    /// At the first look.
    began: u64,
    /// At the last one.
    now: Cell<u64>,
    /// This turn has looked.
    is_known: Cell<bool>,
    /// It may have been asleep since the last look.
    is_parked: Cell<bool>,
    /// How often it was told that it may sleep.
    parks: Cell<u32>,
    /// How long the turn had worked that looked before it slept; the others are taken to be like it.
    work: Cell<u64>,
    /// This is such a turn.
    is_measured: Cell<bool>,
    /// How long it had nothing to do.
    parked: Cell<u64>,
    /// How long it has looked on instead of sleeping.
    spun: Cell<u64>,
    /// How long nobody ran it.
    idle: Cell<u64>,
}

impl Times {
    pub(crate) fn new(now: u64) -> Times {
        Times {
            began: now,
            now: Cell::new(now),
            is_known: Cell::new(true),
            is_parked: Cell::new(false),
            parks: Cell::new(0),
            work: Cell::new(0),
            is_measured: Cell::new(false),
            parked: Cell::new(0),
            spun: Cell::new(0),
            idle: Cell::new(0),
        }
    }

    /// The core runs from now on; what was before counts for nothing.
    pub(crate) fn begin_to_run(&self, now: u64) {
        self.is_parked.set(false);
        self.is_measured.set(false);
        let passed = self.look(now);
        self.idle.set(self.idle.get() + passed);
    }

    /// The next one to ask for the time has it read anew. True if it may have slept since the last look: to be told by `unpark`.
    #[inline]
    pub(crate) fn begin_turn(&self) -> bool {
        self.is_known.set(false);
        self.is_parked.get()
    }

    /// The time of this turn: `read` if nobody has asked yet.
    #[inline]
    pub(crate) fn of_turn(&self, read: impl FnOnce() -> u64) -> u64 {
        if !self.is_known.get() {
            self.look(read());
        }
        self.now.get()
    }

    /// It has looked on between these moments, and goes on with its work if something has come; else it sleeps.
    pub(crate) fn spin(&self, began: u64, now: u64, has_come: bool) {
        self.look(began);
        let passed = self.look(now);
        self.spun.set(self.spun.get() + passed);
        self.is_measured.set(!has_come);
    }

    /// The core may sleep from now on, until the next turn begins. `read` is asked now and then only: how long the last turns have worked
    /// says how long this one has.
    #[inline]
    pub(crate) fn park(&self, read: impl FnOnce() -> u64) {
        self.is_parked.set(true);
        let parks = self.parks.get();
        self.parks.set(parks.wrapping_add(1));
        if !self.is_measured.get() && parks.is_multiple_of(PARKS_PER_LOOK) {
            self.work.set(self.look(read()));
            self.is_measured.set(true);
        }
    }

    /// It sleeps no longer. Returns how long it has, as far as that is known.
    #[inline]
    pub(crate) fn unpark(&self, now: u64) -> Duration {
        self.is_parked.set(false);
        let passed = self.look(now);
        let work = if self.is_measured.take() {
            0
        } else {
            self.work.get()
        };
        let slept = passed.saturating_sub(work);
        self.parked.set(self.parked.get() + slept);
        Duration::from_nanos(slept)
    }

    /// Returns what has passed since the last look.
    #[inline]
    fn look(&self, now: u64) -> u64 {
        self.is_known.set(true);
        now.saturating_sub(self.now.replace(now))
    }

    /// At the last look.
    #[inline]
    pub(crate) fn nanos(&self) -> u64 {
        self.now.get()
    }

    /// The same in ticks.
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
        let all = self.now.get().saturating_sub(self.began);
        let other = self.parked.get() + self.spun.get() + self.idle.get();
        Duration::from_nanos(all.saturating_sub(other))
    }

    /// How long it has looked on.
    pub(crate) fn spun(&self) -> Duration {
        Duration::from_nanos(self.spun.get())
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
    struct Hand(Cell<u64>);

    impl Hand {
        fn advance(&self, millis: u64) -> u64 {
            self.0.set(self.0.get() + millis * 1_000_000);
            self.0.get()
        }
    }

    fn at_zero() -> (Hand, Times) {
        let now = 77;
        (Hand(Cell::new(now)), Times::new(now))
    }

    fn accounts(times: &Times) -> (u128, u128) {
        (times.busy().as_millis(), times.parked().as_millis())
    }

    #[test]
    fn a_turn_looks_once_and_the_next_one_anew() {
        let (hand, times) = at_zero();
        times.begin_turn();
        let first = times.of_turn(|| hand.advance(1));
        assert_eq!(times.of_turn(|| unreachable!("it has looked")), first);
        times.begin_turn();
        assert_eq!(times.of_turn(|| hand.advance(2)), hand.0.get());
        assert_eq!(times.nanos(), 3_000_077);
    }

    #[test]
    fn time_asleep_is_parked_and_the_rest_is_busy() {
        let (hand, times) = at_zero();
        times.park(|| hand.advance(3));
        assert!(times.begin_turn());
        times.unpark(hand.advance(50));
        assert!(!times.begin_turn());
        times.of_turn(|| hand.advance(7));
        assert_eq!(accounts(&times), (10, 50));
    }

    #[test]
    fn most_turns_are_taken_to_be_like_the_one_that_was_measured() {
        let (hand, times) = at_zero();
        let looks = Cell::new(0);
        for _ in 0..PARKS_PER_LOOK * 2 {
            // It works for 3 ms, and sleeps for 50.
            times.begin_turn();
            times.of_turn(|| hand.0.get());
            hand.advance(3);
            times.park(|| {
                looks.set(looks.get() + 1);
                hand.0.get()
            });
            times.unpark(hand.advance(50));
        }
        let turns = u128::from(PARKS_PER_LOOK * 2);
        assert_eq!(accounts(&times), (turns * 3, turns * 50));
        assert_eq!(looks.get(), 2);
    }

    #[test]
    fn time_for_which_it_looks_on_is_neither() {
        for has_come in [true, false] {
            let (hand, times) = at_zero();
            let began = hand.advance(3);
            times.spin(began, hand.advance(20), has_come);
            let mut parked = 0;
            if !has_come {
                times.park(|| unreachable!("it has looked"));
                assert!(times.begin_turn());
                times.unpark(hand.advance(50));
                parked = 50;
            }
            assert!(!times.begin_turn());
            times.of_turn(|| hand.advance(7));
            assert_eq!(accounts(&times), (10, parked));
            assert_eq!(times.spun().as_millis(), 20);
            // The next sleep is like any.
            times.park(|| hand.0.get());
            times.unpark(hand.advance(40));
            assert_eq!(accounts(&times), (10, parked + 40));
        }
    }

    #[test]
    fn a_core_that_does_not_run_is_neither() {
        let (hand, times) = at_zero();
        times.begin_to_run(hand.advance(100));
        times.park(|| hand.advance(1));
        times.begin_to_run(hand.advance(100));
        assert!(!times.begin_turn());
        assert_eq!(accounts(&times), (1, 0));
    }

    #[test]
    fn an_age_in_ticks_goes_on_beyond_the_last_tick() {
        let (hand, times) = at_zero();
        times.park(|| hand.advance(1000));
        let long_ago = times.ticks().wrapping_sub(60);
        let age = Duration::from_nanos(60 << TICK_BITS);
        assert_eq!(times.since_tick(long_ago), age);
    }
}
