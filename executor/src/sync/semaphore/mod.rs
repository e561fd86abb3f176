//! [`Semaphore`]: a number of permits, handed out in the order of the requests.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::waiting::{Removed, WaitQueue, poll_wait_for};

mod permit;

pub use permit::{OwnedSemaphorePermit, SemaphorePermit};

/// Limits how many tasks do something at the same time: each takes a permit before, and
/// gives it back by dropping it.
///
/// ```
/// # krug::Runtime::new().unwrap().block_on(async {
/// let connections = krug::sync::Semaphore::new(2);
/// let first = connections.acquire().await.unwrap();
/// let second = connections.acquire().await.unwrap();
/// assert!(connections.try_acquire().is_err());
/// drop(first);
/// let third = connections.acquire().await.unwrap();
/// # drop((second, third));
/// # });
/// ```
///
/// # Fairness
///
/// First come, first served, whatever the sizes: while a big request waits at the head of
/// the line, permits that come back are kept for it, and smaller requests behind it wait,
/// [`try_acquire`](Semaphore::try_acquire) included.
///
/// # Leaks
///
/// A permit that is leaked with `mem::forget` is never given back; nor are those that were
/// granted to a future that is leaked while it waits.
pub struct Semaphore {
    state: RefCell<State>,
}

/// The semaphore was [closed](Semaphore::close).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcquireError;

/// Why there is no permit now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryAcquireError {
    /// The semaphore was [closed](Semaphore::close).
    Closed,
    /// There are not enough permits, or others have waited longer for them.
    NoPermits,
}

struct State {
    /// Permits that nobody has. Who is first in line wants more than these.
    free: usize,
    /// All permits there are: free, held, or granted to a future that has not collected them.
    existing: usize,
    closed: bool,
    waiting: WaitQueue<Grant, usize>,
}

#[derive(Clone, Copy)]
enum Grant {
    /// As many as were asked for: they are not free any more.
    Permits,
    Closed,
}

/// Waits in line for permits. Once it has resolved without error they are the caller's,
/// who has to [`release`](Semaphore::release) them.
struct Request<'a> {
    semaphore: &'a Semaphore,
    count: usize,
    entry: Option<usize>,
}

impl Semaphore {
    /// The most permits a semaphore can have.
    pub const MAX_PERMITS: usize = usize::MAX >> 3;

    /// A semaphore with `permits` permits.
    ///
    /// # Panics
    ///
    /// If that is more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS).
    #[track_caller]
    pub const fn new(permits: usize) -> Semaphore {
        assert!(
            permits <= Semaphore::MAX_PERMITS,
            "a semaphore cannot have that many permits"
        );
        Semaphore {
            state: RefCell::new(State {
                free: permits,
                existing: permits,
                closed: false,
                waiting: WaitQueue::new(),
            }),
        }
    }

    /// Waits for a permit. The place in line is taken when the future is first polled.
    ///
    /// # Errors
    ///
    /// [`AcquireError`] if the semaphore is closed, before or while this waits.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up its place in line; a permit it had just been given
    /// passes to the next.
    pub async fn acquire(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.acquire_many(1).await
    }

    /// Waits for `count` permits, which come all at once. Also a request for none waits for
    /// its turn. A request for more than there are waits until
    /// [`add_permits`](Semaphore::add_permits) made enough, and so do all behind it.
    ///
    /// # Errors
    ///
    /// [`AcquireError`] if the semaphore is closed, before or while this waits.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up its place in line; permits it had just been given, or
    /// that were kept for it, pass to the next.
    ///
    /// ```
    /// # krug::Runtime::new().unwrap().block_on(async {
    /// let memory = krug::sync::Semaphore::new(100);
    /// let permits = memory.acquire_many(60).await.unwrap();
    /// assert_eq!((permits.num_permits(), memory.available_permits()), (60, 40));
    /// # });
    /// ```
    pub async fn acquire_many(&self, count: u32) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.request(count as usize).await?;
        Ok(SemaphorePermit::new(self, count as usize))
    }

    /// As [`acquire`](Semaphore::acquire), for a permit that can be moved into another task.
    ///
    /// # Errors
    ///
    /// [`AcquireError`] if the semaphore is closed, before or while this waits.
    ///
    /// # Cancellation
    ///
    /// Dropping the future is as with [`acquire`](Semaphore::acquire); it also drops this
    /// reference to the semaphore.
    ///
    /// ```
    /// # use std::rc::Rc;
    /// # krug::Runtime::new().unwrap().block_on(async {
    /// let slots = Rc::new(krug::sync::Semaphore::new(1));
    /// let permit = slots.clone().acquire_owned().await.unwrap();
    /// let task = krug::spawn(async move { drop(permit) });
    /// slots.acquire().await.unwrap();
    /// # task.await.unwrap();
    /// # });
    /// ```
    pub async fn acquire_owned(self: Rc<Self>) -> Result<OwnedSemaphorePermit, AcquireError> {
        self.acquire_many_owned(1).await
    }

    /// As [`acquire_many`](Semaphore::acquire_many), for permits that can be moved into
    /// another task.
    ///
    /// # Errors
    ///
    /// [`AcquireError`] if the semaphore is closed, before or while this waits.
    ///
    /// # Cancellation
    ///
    /// Dropping the future is as with [`acquire_many`](Semaphore::acquire_many); it also drops
    /// this reference to the semaphore.
    pub async fn acquire_many_owned(
        self: Rc<Self>,
        count: u32,
    ) -> Result<OwnedSemaphorePermit, AcquireError> {
        self.request(count as usize).await?;
        Ok(OwnedSemaphorePermit::new(self, count as usize))
    }

    /// Takes a permit if there is one that nobody waits for.
    ///
    /// # Errors
    ///
    /// Says whether waiting would help.
    pub fn try_acquire(&self) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.try_acquire_many(1)
    }

    /// Takes `count` permits if there are as many that nobody waits for.
    ///
    /// # Errors
    ///
    /// Says whether waiting would help.
    pub fn try_acquire_many(&self, count: u32) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.try_take(count as usize)?;
        Ok(SemaphorePermit::new(self, count as usize))
    }

    /// As [`try_acquire`](Semaphore::try_acquire), for a permit that can be moved into
    /// another task.
    ///
    /// # Errors
    ///
    /// Says whether waiting would help.
    pub fn try_acquire_owned(self: Rc<Self>) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        self.try_acquire_many_owned(1)
    }

    /// As [`try_acquire_many`](Semaphore::try_acquire_many), for permits that can be moved
    /// into another task.
    ///
    /// # Errors
    ///
    /// Says whether waiting would help.
    pub fn try_acquire_many_owned(
        self: Rc<Self>,
        count: u32,
    ) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        self.try_take(count as usize)?;
        Ok(OwnedSemaphorePermit::new(self, count as usize))
    }

    /// Makes `count` new permits and gives them to those who wait.
    ///
    /// # Panics
    ///
    /// If there would be more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS), held ones
    /// included; then none is made.
    #[track_caller]
    pub fn add_permits(&self, count: usize) {
        let existing = self.state.borrow().existing.checked_add(count);
        let existing = existing.filter(|existing| *existing <= Semaphore::MAX_PERMITS);
        let existing = existing.expect("a semaphore cannot have that many permits");
        self.state.borrow_mut().existing = existing;
        self.release(count);
    }

    /// Does away with up to `count` of the permits that nobody has, also those kept for the
    /// first in line, and returns how many those were.
    pub fn forget_permits(&self, count: usize) -> usize {
        let mut state = self.state.borrow_mut();
        let forgotten = count.min(state.free);
        state.free -= forgotten;
        state.existing -= forgotten;
        forgotten
    }

    /// How many permits nobody has. While somebody waits for more than these, they are kept
    /// for that request.
    pub fn available_permits(&self) -> usize {
        self.state.borrow().free
    }

    /// No more permits are given out: all who wait, and all who ask later, get an error.
    /// Permits that are held stay valid.
    ///
    /// ```
    /// # krug::Runtime::new().unwrap().block_on(async {
    /// let semaphore = krug::sync::Semaphore::new(0);
    /// let (result, ()) = krug::join!(semaphore.acquire(), async { semaphore.close() });
    /// assert!(result.is_err());
    /// # });
    /// ```
    pub fn close(&self) {
        self.state.borrow_mut().closed = true;
        let next = || self.state.borrow_mut().waiting.grant_first(Grant::Closed);
        while let Some(waiter) = next() {
            // A waker that panics must not keep the others from hearing of it.
            waiter.wake_quietly();
        }
    }

    /// True if [`close`](Semaphore::close) was called.
    pub fn is_closed(&self) -> bool {
        self.state.borrow().closed
    }

    fn request(&self, count: usize) -> Request<'_> {
        Request {
            semaphore: self,
            count,
            entry: None,
        }
    }

    /// Waits for permits of a semaphore that is never closed; the caller has to
    /// [`release`](Semaphore::release) them.
    pub(super) async fn take(&self, count: usize) {
        let taken = self.request(count).await;
        taken.expect("this semaphore is never closed");
    }

    /// As [`take`](Semaphore::take), if that does not have to wait.
    pub(super) fn try_take(&self, count: usize) -> Result<(), TryAcquireError> {
        let mut state = self.state.borrow_mut();
        if state.closed {
            return Err(TryAcquireError::Closed);
        }
        if !state.can_serve(count) {
            return Err(TryAcquireError::NoPermits);
        }
        state.free -= count;
        Ok(())
    }

    /// Gives permits back.
    pub(super) fn release(&self, count: usize) {
        self.state.borrow_mut().free += count;
        self.serve();
    }

    /// Grants what is free to those who wait, in order.
    fn serve(&self) {
        let next = || self.state.borrow_mut().serve_first();
        while let Some(waiter) = next() {
            // It may be a destructor that gives a permit back, which must not panic.
            waiter.wake_quietly();
        }
    }

    /// Permits are gone for good.
    fn forget(&self, count: usize) {
        self.state.borrow_mut().existing -= count;
    }

    /// All permits there are, whoever has them.
    #[cfg(test)]
    pub(super) fn existing(&self) -> usize {
        self.state.borrow().existing
    }
}

impl State {
    /// True if who asks now, and is not in line, need not wait.
    fn can_serve(&self, count: usize) -> bool {
        self.waiting.is_empty() && count <= self.free
    }

    /// Grants the first in line what it wants, if that is free, and returns whom to wake.
    fn serve_first(&mut self) -> Option<super::Waiter> {
        let count = self.waiting.first_request()?;
        self.free = self.free.checked_sub(count)?;
        self.waiting.grant_first(Grant::Permits)
    }
}

impl Future for Request<'_> {
    type Output = Result<(), AcquireError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let (cell, count) = (&this.semaphore.state, this.count);
        let granted = ready!(poll_wait_for(
            cell,
            |state| &mut state.waiting,
            count,
            &mut this.entry,
            cx,
            |state, granted, in_line| {
                granted.is_some() || (!in_line && (state.closed || state.can_serve(count)))
            },
        ));
        let mut state = cell.borrow_mut();
        match granted {
            Some(Grant::Permits) => {}
            Some(Grant::Closed) => return Poll::Ready(Err(AcquireError)),
            None if state.closed => return Poll::Ready(Err(AcquireError)),
            None => state.free -= count,
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        let Some(entry) = self.entry.take() else {
            return;
        };
        let removed = self.semaphore.state.borrow_mut().waiting.remove(entry);
        if let Removed::Granted(Grant::Permits) = removed {
            self.semaphore.state.borrow_mut().free += self.count;
        }
        // Also who waited behind a request that was too big may have its turn now.
        self.semaphore.serve();
        drop(removed);
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.borrow();
        f.debug_struct("Semaphore")
            .field("free", &state.free)
            .field("existing", &state.existing)
            .field("waiting", &!state.waiting.is_empty())
            .field("closed", &state.closed)
            .finish()
    }
}

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the semaphore is closed")
    }
}

impl std::error::Error for AcquireError {}

impl fmt::Display for TryAcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TryAcquireError::Closed => "the semaphore is closed",
            TryAcquireError::NoPermits => "there are not enough free permits",
        })
    }
}

impl std::error::Error for TryAcquireError {}
