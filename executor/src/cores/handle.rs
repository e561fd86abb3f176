//! [`CoreHandle`]: a core as other threads see it.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::CoreId;
use crate::task::{self, JoinError, JoinHandle};

/// A core of a runtime: starts tasks there, from any thread. Cheap to copy; does not keep the runtime alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CoreHandle {
    home: CoreId,
}

impl CoreHandle {
    pub(crate) fn new(home: CoreId) -> CoreHandle {
        CoreHandle { home }
    }

    pub(crate) fn id(self) -> CoreId {
        self.home
    }

    /// Spawns a task on the core. Never blocks. The join handle can be awaited on any thread, by any
    /// executor.
    ///
    /// # Errors
    ///
    /// The future comes back if the core has ended, or if as many tasks as
    /// [allowed](crate::runtime::Builder::spawn_backlog) are on their way there: it takes them in with its next turn.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> Result<JoinHandle<F::Output>, SpawnError<F>>
    where
        F: Future + Send + 'static,
        F::Output: Send,
    {
        task::spawn_from_afar(self.home, future)
    }

    /// Runs on the core what `make` makes, and brings its result back. `make` is sent there and called there; the future that it makes stays
    /// there, and need not be `Send`. Waits while too many tasks are on their way to the core, first come, first
    /// served. The core may be the one that this is called on.
    ///
    /// ```
    /// use std::cell::Cell;
    ///
    /// thread_local! {
    ///     static REQUESTS: Cell<u32> = const { Cell::new(0) };
    /// }
    ///
    /// let runtime = krug::Runtime::builder().cores(2).build()?;
    /// let other = runtime.core(1).expect("there are two");
    /// let count = runtime.block_on(other.call(|| async {
    ///     REQUESTS.set(REQUESTS.get() + 1);
    ///     REQUESTS.get()
    /// }));
    /// assert_eq!(count.unwrap(), 1);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// A panic there, of `make` or its future, is an error for which [`JoinError::is_panic`] is true, and can be
    /// [resumed](JoinError::into_panic) here. If the core has ended, or ends before there is a result, the error
    /// [is that of a cancelled task](JoinError::is_cancelled).
    ///
    /// # Cancellation
    ///
    /// Dropping this future cancels the work: while it waits for room, nothing was sent; after that the core is told, and drops the
    /// future there, or `make`, with its next turn. This does not wait until it has.
    #[track_caller]
    pub fn call<M, F>(
        &self,
        make: M,
    ) -> impl Future<Output = Result<F::Output, JoinError>> + Send + use<M, F>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future<Output: Send> + 'static,
    {
        let (core, called_at) = (*self, Location::caller());
        async move {
            match core.spawn_in_time(make, called_at).await {
                Ok(task) => AbortOnDrop(task).await,
                Err(_) => Err(JoinError::cancelled(called_at)),
            }
        }
    }

    /// As [`spawn_on`], but waits for room.
    ///
    /// # Errors
    ///
    /// Hands `make` back if the core has ended.
    pub(crate) async fn spawn_in_time<M, F>(
        self,
        make: M,
        spawned_at: &'static Location<'static>,
    ) -> Result<JoinHandle<F::Output>, M>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future<Output: Send> + 'static,
    {
        match self.home.place().await {
            Some(place) => task::spawn_made_in(place, make, spawned_at),
            None => Err(make),
        }
    }

    /// True until the core has ended.
    pub fn is_alive(&self) -> bool {
        self.home.is_alive()
    }
}

/// Spawns a task on another core, or on this one, whose future need not be `Send`: `make` is sent there and called there, and what it
/// makes stays there. Never blocks. What comes of abort, panic and drop is as for [`CoreHandle::spawn`]: aborting the
/// task drops `make`, or the future that it has made; a panic of either goes to the joiner.
///
/// ```
/// use std::rc::Rc;
///
/// let runtime = krug::Runtime::builder().cores(2).build()?;
/// let other = runtime.core(1).expect("there are two");
/// let sum = runtime.block_on(async {
///     let task = krug::spawn_on(other, || async {
///         let here = Rc::new(20);
///         krug::task::yield_now().await;
///         *here + 22
///     });
///     task.unwrap().await.unwrap()
/// });
/// assert_eq!(sum, 42);
/// # std::io::Result::Ok(())
/// ```
///
/// # Errors
///
/// `make` comes back if the core has ended, or if as many tasks as [allowed](crate::runtime::Builder::spawn_backlog) are on their
/// way there. [`CoreHandle::call`] waits instead.
#[track_caller]
pub fn spawn_on<M, F>(core: CoreHandle, make: M) -> Result<JoinHandle<F::Output>, SpawnError<M>>
where
    M: FnOnce() -> F + Send + 'static,
    F: Future<Output: Send> + 'static,
{
    task::spawn_made_from_afar(core.home, make)
}

/// Why nothing was spawned on a core; holds the future, or the closure, that was to be.
pub enum SpawnError<F> {
    /// The core has ended.
    Ended(F),
    /// As many tasks as [allowed](crate::runtime::Builder::spawn_backlog) were sent there and not taken in yet.
    Full(F),
}

impl<F> SpawnError<F> {
    /// What was to be spawned.
    pub fn into_inner(self) -> F {
        match self {
            SpawnError::Ended(unspawned) | SpawnError::Full(unspawned) => unspawned,
        }
    }

    /// True if there may be room later.
    pub fn is_full(&self) -> bool {
        matches!(self, SpawnError::Full(_))
    }
}

impl<F> fmt::Debug for SpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SpawnError::Ended(_) => "Ended(..)",
            SpawnError::Full(_) => "Full(..)",
        })
    }
}

impl<F> fmt::Display for SpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SpawnError::Ended(_) => {
                "the core of this handle has ended, so nothing can be spawned on it"
            }
            SpawnError::Full(_) => {
                "too many tasks are on their way to this core: wait for some, or allow more with Builder::spawn_backlog"
            }
        })
    }
}

impl<F> std::error::Error for SpawnError<F> {}

/// Waits for a task, and aborts it when that is given up.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Future for AbortOnDrop<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
