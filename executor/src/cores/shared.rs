//! [`Shared`]: a value that lives on one core and is used from all.

// # How it works
//
// The value lies in a cell beside the name of its home, and is touched only by a thread on which the scheduler of that
// home is entered; there is one such thread, as a scheduler is not `Send`. What others want with it is sent there as a task.
//
// | field of `Place` | touched by |
// |---|---|
// | `home` | read by anyone; never written |
// | `in_use`, `value` | the home; and whoever drops the last reference, when the value has gone |
//
// A task at home, the *keeper*, waits for ever, and drops the value when it is dropped itself: it is aborted when the last handle goes, and
// cancelled when the core ends. While the keeper lives it holds a reference to the place, so a place is never freed with the
// value in it; if the keeper is leaked, with its core, so are both.

use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::future::{pending, poll_fn, ready};
use std::sync::Arc;

use super::{CoreHandle, CoreId};
use crate::task::{self, AbortHandle, JoinError, budget};

/// A value that lives on one core, its home, and is used from all cores: what is to be done with it is sent there as a closure, and the
/// result comes back. It need not be `Send`, and takes no lock: at home it is used as any value of that core is.
///
/// Closures cannot `await`, so nothing is left half done while others have their turn; each has the value to itself.
///
/// ```
/// use std::rc::Rc;
/// use krug::cores::Shared;
///
/// let runtime = krug::Runtime::builder().cores(2).build()?;
/// let other = runtime.core(1).expect("there are two");
/// runtime.block_on(async {
///     let names = Shared::new_on(other, || vec![Rc::new(String::from("first"))]).await.unwrap();
///     names.with(|names| names.push(Rc::new(String::from("second")))).await.unwrap();
///     assert_eq!(names.with(|names| names.len()).await.unwrap(), 2);
/// });
/// # std::io::Result::Ok(())
/// ```
///
/// The value is dropped at home: with the next turn after the last handle has gone, or when the core ends, after which each use is an error.
/// A use that was sent before the last handle went may still find it.
pub struct Shared<T: 'static> {
    handles: Arc<Handles<T>>,
}

/// Why a [`Shared`] value could not be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum SharedError {
    /// The core where it lived has ended, and the value has gone.
    Ended,
    /// The value lives on another core than this one. Never from [`with`](Shared::with), which goes there.
    Elsewhere,
    /// It is being used: this was called by a closure that has it, or by a destructor that this one runs.
    InUse,
    /// The closure panicked on the other core. The value is as it was left.
    Panicked(JoinError),
}

impl<T> Shared<T> {
    /// A value that lives on the core that this thread is running.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn new(value: T) -> Shared<T> {
        let Some(home) = task::with_scheduler(|scheduler| scheduler.id()) else {
            panic!(
                "`Shared::new` needs a krug runtime on this thread, and there is none: use `Shared::new_on`"
            )
        };
        let place = Arc::new(Place {
            home,
            in_use: Cell::new(false),
            value: UnsafeCell::new(Some(value)),
        });
        let keeper = Keeper {
            place: place.clone(),
        };
        let keeping = task::spawn(async move {
            let _keeper = keeper;
            pending::<()>().await;
        });
        let handles = Handles {
            place,
            keeping: keeping.abort_handle(),
        };
        Shared {
            handles: Arc::new(handles),
        }
    }

    /// A value that lives on `core`, where `make` is called. Waits while too many tasks are on their way there.
    ///
    /// # Errors
    ///
    /// As for [`CoreHandle::call`]: if `make` panics, or the core has ended.
    ///
    /// # Cancellation
    ///
    /// Dropping this future drops `make`, or, on its core, the value.
    pub async fn new_on(
        core: CoreHandle,
        make: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Shared<T>, JoinError> {
        core.call(|| async { Shared::new(make()) }).await
    }

    /// The core where the value lives.
    pub fn core(&self) -> CoreHandle {
        CoreHandle::new(self.place().home)
    }

    /// Calls `f` with the value, at home, and brings back what it returns. On the home core it is called at the first poll, without a message;
    /// from anywhere else it is sent, and waits while too many tasks are on their way there.
    ///
    /// Uses from one task happen in their order if each is awaited; else their order is not said.
    ///
    /// # Errors
    ///
    /// [`SharedError::Ended`] if the value has gone with its core, before or meanwhile. [`SharedError::Panicked`] if `f` panicked on
    /// another core. [`SharedError::InUse`] if this is polled at home by a closure that has the value.
    ///
    /// # Cancellation
    ///
    /// Dropping this future keeps `f` from being called if that has not happened yet. It happens as a whole, or not at all; what it
    /// returned is dropped then.
    ///
    /// # Panics
    ///
    /// At home, if `f` does. The value is as it was left.
    pub async fn with<R, F>(&self, f: F) -> Result<R, SharedError>
    where
        F: FnOnce(&mut T) -> R + Send + 'static,
        R: Send + 'static,
    {
        let place = self.place();
        if place.is_here() {
            // Also a task that finds the value at home again and again lets the others run.
            poll_fn(budget::consume).await;
        }
        // Asked once more: a future may go to another thread while it waits.
        if place.is_here() {
            return place.with_here(f);
        }
        let place = place.clone();
        let called = self.core().call(move || ready(place.with_here(f)));
        match called.await {
            Ok(result) => result,
            Err(error) if error.is_panic() => Err(SharedError::Panicked(error)),
            Err(_) => Err(SharedError::Ended),
        }
    }

    /// Calls `f` with the value, now, if this thread is running the core where it lives.
    ///
    /// ```
    /// # krug::Runtime::new().unwrap().block_on(async {
    /// use krug::cores::{Shared, SharedError};
    ///
    /// let count = Shared::new(0);
    /// assert_eq!(count.with_here(|count| { *count += 1; *count }).unwrap(), 1);
    /// let again = count.clone();
    /// let inner = count.with_here(|_| again.with_here(|_| ())).unwrap();
    /// assert!(matches!(inner, Err(SharedError::InUse)));
    /// # });
    /// ```
    ///
    /// # Errors
    ///
    /// [`SharedError::Elsewhere`] on any other thread, [`SharedError::InUse`] in a closure that has the value already,
    /// [`SharedError::Ended`] if the value has gone. `f` is dropped then.
    ///
    /// # Panics
    ///
    /// If `f` does. The value is as it was left.
    pub fn with_here<R>(&self, f: impl FnOnce(&mut T) -> R) -> Result<R, SharedError> {
        self.place().with_here(f)
    }

    fn place(&self) -> &Arc<Place<T>> {
        &self.handles.place
    }
}

/// Counts the handles: the last one ends the keeper.
struct Handles<T: 'static> {
    place: Arc<Place<T>>,
    keeping: AbortHandle,
}

impl<T> Drop for Handles<T> {
    fn drop(&mut self) {
        self.keeping.abort();
    }
}

struct Place<T> {
    home: CoreId,
    in_use: Cell<bool>,
    /// `None` once the keeper has dropped it.
    value: UnsafeCell<Option<T>>,
}

// SAFETY: of what is not `Send` or `Sync`, nothing is touched but where `is_here` has said that this is the thread of the
// home, or by the keeper, which is a task of the home and so dropped there. The value is made there, too, and has gone before the
// last reference to the place has: the keeper has one.
unsafe impl<T> Send for Place<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Place<T> {}

impl<T> Place<T> {
    /// Both parts of the home's name are compared: the same mailbox may have come to another thread.
    fn is_here(&self) -> bool {
        task::with_scheduler(|scheduler| scheduler.id() == self.home) == Some(true)
    }

    fn with_here<R>(&self, f: impl FnOnce(&mut T) -> R) -> Result<R, SharedError> {
        if !self.is_here() {
            return Err(match self.home.is_alive() {
                true => SharedError::Elsewhere,
                false => SharedError::Ended,
            });
        }
        let Some(_using) = Using::begin(&self.in_use) else {
            return Err(SharedError::InUse);
        };
        // SAFETY: this is the thread of the home, and nobody else there has a reference into the cell: `in_use` was not set, and is
        // until `f` has returned or panicked.
        match unsafe { &mut *self.value.get() } {
            Some(value) => Ok(f(value)),
            None => Err(SharedError::Ended),
        }
    }
}

/// While it lives, somebody has a reference to the value.
struct Using<'a>(&'a Cell<bool>);

impl Using<'_> {
    fn begin(in_use: &Cell<bool>) -> Option<Using<'_>> {
        (!in_use.replace(true)).then(|| Using(in_use))
    }
}

impl Drop for Using<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// In a task at home: the value goes when this is dropped.
struct Keeper<T> {
    place: Arc<Place<T>>,
}

impl<T> Drop for Keeper<T> {
    fn drop(&mut self) {
        // A task's future is dropped by its scheduler, never by code of the user that runs in a closure of ours. If it could be:
        // better a leak than a value that goes while somebody looks at it.
        let Some(using) = Using::begin(&self.place.in_use) else {
            std::mem::forget(self.place.clone());
            return;
        };
        // SAFETY: the keeper is the future of a task that was spawned at home, which is dropped there; and nobody has a reference
        // into the cell, as `in_use` says.
        let value = unsafe { (*self.place.value.get()).take() };
        // Its destructor may come back here, and finds that there is no value.
        drop(using);
        drop(value);
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Shared<T> {
        Shared {
            handles: self.handles.clone(),
        }
    }
}

impl<T> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("core", &self.place().home)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for SharedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SharedError::Ended => f.write_str(
                "the core where the shared value lived has ended, and the value has gone",
            ),
            SharedError::Elsewhere => {
                f.write_str("the shared value lives on another core: use `with`, which goes there")
            }
            SharedError::InUse => {
                f.write_str("the shared value is being used by whoever called this")
            }
            SharedError::Panicked(error) => write!(f, "a use of the shared value failed: {error}"),
        }
    }
}

impl std::error::Error for SharedError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SharedError::Panicked(error) => Some(error),
            _ => None,
        }
    }
}
