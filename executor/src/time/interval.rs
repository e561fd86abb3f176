//! Waiting again and again.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;

use super::timer::Timer;
use super::{Instant, after, now};
use crate::task::budget;

/// Ticks every `period`, for the first time at once.
///
/// # Panics
///
/// If `period` is zero.
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    interval_at(now(), period)
}

/// Ticks every `period`, for the first time at `start`.
///
/// # Panics
///
/// If `period` is zero.
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    assert!(!period.is_zero(), "an interval needs a period above zero");
    Interval {
        timer: Timer::at(start),
        period,
        missed: MissedTickBehavior::Burst,
    }
}

/// What an [`Interval`] does about ticks that nobody was there to see.
///
/// Say the period is 10 ms and the task was busy from tick 1 to 35 ms after the start. Tick 2
/// (due at 20 ms) then comes at 35 ms, and after it:
///
/// | behaviour | ticks come at |
/// |---|---|
/// | `Burst` | 35, 40, 50, 60 ms: tick 3 at once, then as planned |
/// | `Delay` | 45, 55, 65 ms: a whole period after the late one |
/// | `Skip` | 40, 50, 60 ms: tick 3 is left out, the others are as planned |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissedTickBehavior {
    /// Ticks as fast as it is asked until it has caught up: no tick is lost.
    #[default]
    Burst,
    /// Counts on from the late tick: ticks are never closer than the period. A tick is late from
    /// 5 ms on, or from a whole period if that is shorter, so that the plan does not creep away
    /// by the microseconds every wake-up takes.
    Delay,
    /// Leaves out what was missed and keeps to the plan.
    Skip,
}

/// Ticks of [`interval`] and [`interval_at`]; an endless [`Stream`] of them, too.
#[derive(Debug)]
pub struct Interval {
    /// Set to the next tick.
    timer: Timer,
    period: Duration,
    missed: MissedTickBehavior,
}

impl Interval {
    /// Waits for the next tick and returns when it was due.
    ///
    /// # Cancellation
    ///
    /// Dropping this future loses no tick.
    ///
    /// # Panics
    ///
    /// When polled outside a runtime.
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// [`tick`](Interval::tick) for futures written by hand; wakes the task that polled last.
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        ready!(self.timer.poll(cx));
        ready!(budget::consume(cx));
        let due = self.timer.deadline();
        let next = self.missed.next(due, self.period, now());
        self.timer.reset(next);
        Poll::Ready(due)
    }

    /// The next tick comes one period from now.
    pub fn reset(&mut self) {
        self.timer.reset(after(now(), self.period));
    }

    /// The time between ticks.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// What happens to missed ticks.
    pub fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.missed
    }

    /// Sets what happens to missed ticks; [`Burst`](MissedTickBehavior::Burst) at first.
    pub fn set_missed_tick_behavior(&mut self, behavior: MissedTickBehavior) {
        self.missed = behavior;
    }
}

impl Stream for Interval {
    type Item = Instant;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Instant>> {
        self.get_mut().poll_tick(cx).map(Some)
    }
}

impl MissedTickBehavior {
    /// The tick after the one that was due at `due` and came `now`.
    pub(super) fn next(self, due: Instant, period: Duration, now: Instant) -> Instant {
        const TOLERANCE: Duration = Duration::from_millis(5);
        let planned = after(due, period);
        let late = now.saturating_duration_since(due);
        match self {
            MissedTickBehavior::Delay if late >= TOLERANCE.min(period) => after(now, period),
            MissedTickBehavior::Skip if now >= planned => {
                let since_tick = late.as_nanos() % period.as_nanos();
                // Less than the period, which is a `Duration`, so its nanoseconds fit twice.
                let until_tick = period.as_nanos() - since_tick;
                let seconds = (until_tick / 1_000_000_000) as u64;
                let nanos = (until_tick % 1_000_000_000) as u32;
                after(now, Duration::new(seconds, nanos))
            }
            _ => planned,
        }
    }
}
