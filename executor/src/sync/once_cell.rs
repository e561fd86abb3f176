//! [`OnceCell`]: a value that is made when it is first needed.

use std::cell;
use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;

use super::budget;
use super::semaphore::{Semaphore, SemaphorePermit};

/// A value that is set once, by whoever needs it first; making it may take an `await`, for
/// which the others wait.
///
/// ```
/// # krug::Runtime::new().unwrap().block_on(async {
/// let connection = krug::sync::OnceCell::new();
/// let connect = || async { "connected" };
/// let (one, other) = krug::join!(
///     connection.get_or_init(connect),
///     connection.get_or_init(connect), // gets what the first one made
/// );
/// assert_eq!((*one, *other), ("connected", "connected"));
/// # });
/// ```
///
/// # Fairness
///
/// First come, first served: if making the value fails, panics or is dropped, the one that
/// waits longest tries.
pub struct OnceCell<T> {
    value: cell::OnceCell<T>,
    /// Its one permit is the right to make the value. Closed when the value is there.
    right: Semaphore,
}

/// Why a value could not be set, and the value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SetError<T> {
    /// There is one already.
    AlreadyInitialized(T),
    /// Somebody is about to make one.
    Initializing(T),
}

impl<T> OnceCell<T> {
    /// An empty cell.
    pub const fn new() -> OnceCell<T> {
        OnceCell {
            value: cell::OnceCell::new(),
            right: Semaphore::new(1),
        }
    }

    /// A cell that is set, if there is a value.
    pub fn new_with(value: Option<T>) -> OnceCell<T> {
        value.map_or_else(OnceCell::new, OnceCell::from)
    }

    /// The value, if it was set.
    pub fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// The value, if it was set.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut()
    }

    /// True if the value was set.
    pub fn initialized(&self) -> bool {
        self.get().is_some()
    }

    /// Sets the value.
    ///
    /// # Errors
    ///
    /// Gives the value back if there is one, or somebody is about to make one.
    pub fn set(&self, value: T) -> Result<(), SetError<T>> {
        if self.initialized() {
            return Err(SetError::AlreadyInitialized(value));
        }
        match self.right.try_acquire() {
            Ok(right) => {
                self.fill(right, value);
                Ok(())
            }
            Err(_) => Err(SetError::Initializing(value)),
        }
    }

    /// The value; if there is none yet, awaits the future that `make` returns and keeps its
    /// output. While another task is doing that, waits for it.
    ///
    /// A `make` that asks the same cell waits for itself.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up its place in line. If it was the one to make the value,
    /// its work is dropped, and the one that waits longest begins its own. The same happens
    /// if it panics.
    pub async fn get_or_init<F: Future<Output = T>>(&self, make: impl FnOnce() -> F) -> &T {
        let made = self.get_or_try_init(|| async { Ok::<T, Infallible>(make().await) });
        let Ok(value) = made.await;
        value
    }

    /// As [`get_or_init`](OnceCell::get_or_init), for a future that may fail.
    ///
    /// # Errors
    ///
    /// Those of this call's own future; then the cell stays empty, and the one that waits
    /// longest begins its own.
    ///
    /// # Cancellation
    ///
    /// Dropping the future is as with [`get_or_init`](OnceCell::get_or_init).
    ///
    /// ```
    /// # krug::Runtime::new().unwrap().block_on(async {
    /// let cell = krug::sync::OnceCell::new();
    /// assert_eq!(cell.get_or_try_init(|| async { Err("not yet") }).await, Err("not yet"));
    /// assert_eq!(cell.get_or_try_init(|| async { Ok::<_, ()>(7) }).await, Ok(&7));
    /// # });
    /// ```
    pub async fn get_or_try_init<E, F: Future<Output = Result<T, E>>>(
        &self,
        make: impl FnOnce() -> F,
    ) -> Result<&T, E> {
        if let Some(value) = self.get() {
            // A task that asks again and again lets the others run.
            poll_fn(budget::consume).await;
            return Ok(value);
        }
        // It is closed only when the value is there.
        if let Ok(right) = self.right.acquire().await {
            let value = make().await?;
            self.fill(right, value);
        }
        Ok(self.get().expect("it was set by us or before"))
    }

    /// The value, if it was set.
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }

    /// Takes the value out, if it was set, and leaves an empty cell.
    pub fn take(&mut self) -> Option<T> {
        std::mem::take(self).into_inner()
    }

    fn fill(&self, right: SemaphorePermit<'_>, value: T) {
        let set = self.value.set(value);
        assert!(set.is_ok(), "only who has the right sets the value");
        self.right.close();
        drop(right);
    }
}

impl<T> Default for OnceCell<T> {
    fn default() -> OnceCell<T> {
        OnceCell::new()
    }
}

impl<T> From<T> for OnceCell<T> {
    fn from(value: T) -> OnceCell<T> {
        let right = Semaphore::new(1);
        right.close();
        OnceCell {
            value: cell::OnceCell::from(value),
            right,
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for OnceCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnceCell").field(&self.get()).finish()
    }
}

impl<T> fmt::Debug for SetError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SetError::AlreadyInitialized(_) => "AlreadyInitialized(..)",
            SetError::Initializing(_) => "Initializing(..)",
        })
    }
}

impl<T> fmt::Display for SetError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SetError::AlreadyInitialized(_) => "the cell is set already",
            SetError::Initializing(_) => "somebody is about to set the cell",
        })
    }
}

impl<T> std::error::Error for SetError<T> {}
