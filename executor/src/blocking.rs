//! [`spawn_blocking`]: work that would block the core, on a thread of its own.

use std::any::Any;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::context;
use crate::driver::{Queue, Work};
use crate::inflight::outside_error;
use crate::task::JoinError;

/// Runs `work` on another thread, so that this core goes on meanwhile; the answer resolves to what it returns.
///
/// For what computes long, or calls what blocks. There are at most
/// [`Builder::blocking_threads`](crate::Builder::blocking_threads) threads a core; what comes beyond waits its turn.
///
/// Dropping the answer does not stop the work: its result is dropped, on its thread.
///
/// ```
/// # krug::Runtime::new().unwrap().block_on(async {
/// let sum = krug::spawn_blocking(|| (1..=100_000u64).sum::<u64>()).await;
/// assert_eq!(sum.unwrap(), 5_000_050_000);
/// # });
/// ```
///
/// # Errors
///
/// The answer resolves to the panic of `work`; to "refused" if too much work waits for a thread
/// ([`Builder::blocking_queue`](crate::Builder::blocking_queue)); to "cancelled" if the work has not begun when the runtime ends, if this was
/// called outside a runtime, or if no thread can be started.
#[track_caller]
pub fn spawn_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Blocking<T> {
    let spawned_at = Location::caller();
    let meeting = Arc::new(Meeting::default());
    // If it cannot be run, the work is dropped, which its guard tells the answer.
    let started = start(meeting.clone(), work, Queue::Bounded);
    let is_refused = started.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
    Blocking {
        meeting,
        spawned_at,
        is_refused,
    }
}

/// As [`spawn_blocking`], for our own work: an error says why it could not be done, a panic goes on here.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let meeting = Arc::new(Meeting::default());
    start(meeting.clone(), work, Queue::Unbounded)?;
    match std::future::poll_fn(|cx| meeting.poll(cx)).await {
        Some(Ok(result)) => result,
        Some(Err(panic)) => resume_unwind(panic),
        None => Err(crate::inflight::stopping_error()),
    }
}

fn start<T: Send + 'static>(
    meeting: Arc<Meeting<T>>,
    work: impl FnOnce() -> T + Send + 'static,
    queue: Queue,
) -> io::Result<()> {
    let guard = Guard(meeting);
    let call = Box::new(move || {
        let result = catch_unwind(AssertUnwindSafe(work));
        guard.arrive(result);
    });
    let work = Work::Call { call, queue };
    match context::with(|core| core.stopping.get()) {
        Some(false) => {}
        Some(true) => return Err(crate::inflight::stopping_error()),
        None => return Err(outside_error()),
    }
    context::with(|core| core.driver.borrow().blocking(work))
        .unwrap_or_else(|| Err(outside_error()))
}

/// What [`spawn_blocking`] answers with: a future of the work's result. It may be awaited on any thread.
#[must_use = "dropping it does not stop the work, but its result is lost"]
pub struct Blocking<T> {
    meeting: Arc<Meeting<T>>,
    spawned_at: &'static Location<'static>,
    is_refused: bool,
}

impl<T> Future for Blocking<T> {
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (spawned_at, is_refused) = (self.spawned_at, self.is_refused);
        self.meeting.poll(cx).map(|result| match result {
            Some(Ok(value)) => Ok(value),
            Some(Err(panic)) => Err(JoinError::panicked(panic, spawned_at)),
            None if is_refused => Err(JoinError::refused(spawned_at)),
            None => Err(JoinError::cancelled(spawned_at)),
        })
    }
}

impl<T> fmt::Debug for Blocking<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocking")
            .field("spawned_at", &format_args!("{}", self.spawned_at))
            .finish_non_exhaustive()
    }
}

/// What came of the work: its result, or its panic.
type Outcome<T> = Result<T, Box<dyn Any + Send>>;

/// Where the result meets the future.
struct Meeting<T>(Mutex<Place<T>>);

struct Place<T> {
    /// `Some(None)` if it will never come.
    arrived: Option<Option<Outcome<T>>>,
    waker: Option<Waker>,
}

impl<T> Default for Meeting<T> {
    fn default() -> Meeting<T> {
        Meeting(Mutex::new(Place {
            arrived: None,
            waker: None,
        }))
    }
}

impl<T> Meeting<T> {
    fn lock(&self) -> MutexGuard<'_, Place<T>> {
        // No code of the user runs under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arrive(&self, outcome: Option<Outcome<T>>) {
        let mut place = self.lock();
        if place.arrived.is_some() {
            return;
        }
        place.arrived = Some(outcome);
        let waker = place.waker.take();
        drop(place);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<Option<Outcome<T>>> {
        let waker = cx.waker().clone();
        let mut place = self.lock();
        if let Some(outcome) = place.arrived.take() {
            // Polled once more, it would wait for ever.
            place.arrived = Some(None);
            drop(place);
            drop(waker);
            return Poll::Ready(outcome);
        }
        let before = place.waker.replace(waker);
        drop(place);
        drop(before);
        Poll::Pending
    }
}

/// Goes with the work: tells the future if that is dropped undone.
struct Guard<T>(Arc<Meeting<T>>);

impl<T> Guard<T> {
    fn arrive(self, outcome: Outcome<T>) {
        self.0.arrive(Some(outcome));
    }
}

impl<T> Drop for Guard<T> {
    fn drop(&mut self) {
        self.0.arrive(None);
    }
}
