//! Waiting for a future, but not for ever.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::timer::Timer;
use super::{Instant, after, now};
use crate::task::{budget, poll_beside};

/// Waits for `future`, at most for `duration` from now. "Now" is when this function is
/// called, not when its future is first polled.
///
/// The future is polled first: if it is ready when the time is over, its output wins.
///
/// ```
/// # use std::time::Duration;
/// # krug::Runtime::new().unwrap().block_on(async {
/// use krug::time::timeout;
///
/// let (sender, receiver) = krug::sync::oneshot::channel::<u8>();
/// let waiting = timeout(Duration::from_millis(1), receiver).await;
/// assert!(waiting.is_err());
/// assert_eq!(sender.send(1), Err(1)); // the receiver is gone
/// # });
/// ```
///
/// # Errors
///
/// [`Elapsed`] if the time is over first. The future is dropped together with this one; what
/// that means for an operation is said in its documentation.
///
/// # Cancellation
///
/// Dropping this drops the future and stops the timer.
///
/// # Panics
///
/// When it has to wait outside a runtime.
pub fn timeout<F: IntoFuture>(
    duration: Duration,
    future: F,
) -> impl Future<Output = Result<F::Output, Elapsed>> + use<F> {
    timeout_at(after(now(), duration), future)
}

/// Waits for `future`, at most until `deadline`; otherwise like [`timeout`].
/// Dropping this drops the future and stops the timer.
///
/// # Errors
///
/// [`Elapsed`] if the deadline passes first.
pub fn timeout_at<F: IntoFuture>(
    deadline: Instant,
    future: F,
) -> impl Future<Output = Result<F::Output, Elapsed>> + use<F> {
    let limit = Limit {
        timer: Timer::at(deadline),
        gave_way: false,
    };
    poll_beside(future.into_future(), limit, Limit::poll)
}

/// The time was over first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed(pub(super) ());

struct Limit {
    timer: Timer,
    gave_way: bool,
}

impl Limit {
    fn poll<F: Future>(
        future: Pin<&mut F>,
        limit: &mut Limit,
        cx: &mut Context<'_>,
    ) -> Poll<Result<F::Output, Elapsed>> {
        if let Poll::Ready(output) = future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        if limit.timer.poll(cx).is_pending() {
            return Poll::Pending;
        }
        // Once, a used-up budget makes it wait, so that a loop of timeouts lets others run;
        // not again, so that a future that uses up every budget cannot outlive its time.
        if !limit.gave_way && budget::consume(cx).is_pending() {
            limit.gave_way = true;
            return Poll::Pending;
        }
        Poll::Ready(Err(Elapsed(())))
    }
}

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time is over")
    }
}

impl std::error::Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(elapsed: Elapsed) -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, elapsed)
    }
}
