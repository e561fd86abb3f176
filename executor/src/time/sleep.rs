//! Waiting for a moment.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::timer::Timer;
use super::{Instant, after, now};
use crate::task::budget;

/// Waits for `duration` from now. "Now" is when this function is called, not when the
/// future is first polled.
///
/// # Cancellation
///
/// Dropping the future stops the timer.
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(after(now(), duration))
}

/// Waits until `deadline`; not at all if that has passed.
///
/// # Cancellation
///
/// Dropping the future stops the timer.
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep {
        timer: Timer::at(deadline),
    }
}

/// The future of [`sleep`] and [`sleep_until`].
///
/// `Unpin`, so it can be awaited by reference and go on later: `(&mut sleep).await`.
///
/// # Panics
///
/// When polled outside a runtime.
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep {
    timer: Timer,
}

impl Sleep {
    /// When it resolves.
    pub fn deadline(&self) -> Instant {
        self.timer.deadline()
    }

    /// True if the deadline has passed on this core's clock.
    pub fn is_elapsed(&self) -> bool {
        now() >= self.deadline()
    }

    /// Waits for another moment instead, from the next poll on. A sleep that has resolved can
    /// be used again that way.
    pub fn reset(&mut self, deadline: Instant) {
        self.timer.reset(deadline);
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.get_mut().timer.poll(cx));
        budget::consume(cx)
    }
}
