//! [`Mutex`]: a value that one task at a time can use.

use std::cell::{RefCell, RefMut};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use super::semaphore::{Semaphore, SemaphorePermit};

/// Gives one task at a time access to a value, also across an `await`.
///
/// If nothing is awaited while the value is in use, a [`RefCell`] does the same on one core,
/// and costs less.
///
/// ```
/// # use std::rc::Rc;
/// # krug::Runtime::new().unwrap().block_on(async {
/// let total = Rc::new(krug::sync::Mutex::new(0));
/// let other = total.clone();
/// let task = krug::spawn(async move {
///     let mut total = other.lock().await;
///     let before = *total;
///     krug::task::yield_now().await;
///     *total = before + 1; // nobody came between
/// });
/// *total.lock().await += 1;
/// task.await.unwrap();
/// assert_eq!(*total.lock().await, 2);
/// # });
/// ```
///
/// # Fairness
///
/// First come, first served.
///
/// # Panics of others
///
/// There is no poisoning: when a task panics, its guard gives the value free as it is then.
///
/// # Leaks
///
/// A guard that is leaked with `mem::forget` leaves the mutex locked. [`get_mut`](Mutex::get_mut)
/// and [`into_inner`](Mutex::into_inner) work all the same.
pub struct Mutex<T> {
    semaphore: Semaphore,
    /// Only used while the semaphore's one permit is held. `None` while an owned guard has it.
    value: RefCell<Option<T>>,
}

/// Access to the value of a [`Mutex`], or to a part of it; dropping it lets the next one in.
#[must_use = "the mutex is unlocked if the guard is dropped"]
pub struct MutexGuard<'a, T: ?Sized> {
    // In this order, so that the value is given up before the permit is.
    value: RefMut<'a, T>,
    permit: SemaphorePermit<'a>,
}

/// Access to the value of a [`Mutex`], with a reference to the mutex of its own; dropping it
/// lets the next one in.
#[must_use = "the mutex is unlocked if the guard is dropped"]
pub struct OwnedMutexGuard<T> {
    value: Option<T>,
    mutex: Rc<Mutex<T>>,
}

/// The mutex is locked, or others have waited longer for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TryLockError;

impl<T> Mutex<T> {
    /// An unlocked mutex.
    pub const fn new(value: T) -> Mutex<T> {
        Mutex {
            semaphore: Semaphore::new(1),
            value: RefCell::new(Some(value)),
        }
    }

    /// Waits until nobody else uses the value. The place in line is taken when the future is
    /// first polled. A task that locks a mutex twice waits for itself.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up its place in line; a lock it had just been given passes
    /// to the next.
    pub async fn lock(&self) -> MutexGuard<'_, T> {
        self.semaphore.take(1).await;
        self.guard()
    }

    /// Takes the lock if nobody has it or waits for it.
    ///
    /// # Errors
    ///
    /// [`TryLockError`] if somebody does.
    pub fn try_lock(&self) -> Result<MutexGuard<'_, T>, TryLockError> {
        self.semaphore.try_take(1).map_err(|_| TryLockError)?;
        Ok(self.guard())
    }

    /// As [`lock`](Mutex::lock), for a guard that can be moved into another task.
    ///
    /// The guard takes the value with it and puts it back when it is dropped: keep what is
    /// large in a `Box`.
    ///
    /// # Cancellation
    ///
    /// Dropping the future is as with [`lock`](Mutex::lock); it also drops this reference to
    /// the mutex.
    ///
    /// ```
    /// # use std::rc::Rc;
    /// # krug::Runtime::new().unwrap().block_on(async {
    /// let log = Rc::new(krug::sync::Mutex::new(Vec::new()));
    /// let mut guard = log.clone().lock_owned().await;
    /// let task = krug::spawn(async move { guard.push("from elsewhere") });
    /// assert_eq!(*log.lock().await, ["from elsewhere"]);
    /// # task.await.unwrap();
    /// # });
    /// ```
    pub async fn lock_owned(self: Rc<Self>) -> OwnedMutexGuard<T> {
        self.semaphore.take(1).await;
        OwnedMutexGuard::new(self)
    }

    /// As [`try_lock`](Mutex::try_lock), for a guard that can be moved into another task.
    ///
    /// # Errors
    ///
    /// [`TryLockError`] if somebody has the lock or waits for it.
    pub fn try_lock_owned(self: Rc<Self>) -> Result<OwnedMutexGuard<T>, TryLockError> {
        self.semaphore.try_take(1).map_err(|_| TryLockError)?;
        Ok(OwnedMutexGuard::new(self))
    }

    /// The value, which nobody else can use: no lock is needed.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut().as_mut().expect(PRESENT)
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.value.into_inner().expect(PRESENT)
    }

    /// For who was given the permit just now.
    fn guard(&self) -> MutexGuard<'_, T> {
        let permit = SemaphorePermit::new(&self.semaphore, 1);
        let value = RefMut::map(self.value.borrow_mut(), |value| {
            value.as_mut().expect(PRESENT)
        });
        MutexGuard { value, permit }
    }
}

/// An owned guard that has the value also has a reference to the mutex, leaked or not. So
/// who owns or mutably borrows the mutex, or has its permit, finds the value there.
const PRESENT: &str = "no guard has the value";

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// Narrows the guard to a part of the value. An associated function, to be out of the
    /// way of the value's methods.
    ///
    /// If `part` panics, the mutex is unlocked.
    ///
    /// ```
    /// # krug::Runtime::new().unwrap().block_on(async {
    /// use krug::sync::{Mutex, MutexGuard};
    /// let pair = Mutex::new((1, 2));
    /// let mut second = MutexGuard::map(pair.lock().await, |pair| &mut pair.1);
    /// *second = 3;
    /// drop(second);
    /// assert_eq!(pair.into_inner(), (1, 3));
    /// # });
    /// ```
    pub fn map<U: ?Sized>(
        guard: MutexGuard<'a, T>,
        part: impl FnOnce(&mut T) -> &mut U,
    ) -> MutexGuard<'a, U> {
        let MutexGuard { value, permit } = guard;
        MutexGuard {
            value: RefMut::map(value, part),
            permit,
        }
    }

    /// As [`map`](MutexGuard::map), for a part that may not be there.
    ///
    /// # Errors
    ///
    /// Gives the guard back if it is not.
    pub fn try_map<U: ?Sized>(
        guard: MutexGuard<'a, T>,
        part: impl FnOnce(&mut T) -> Option<&mut U>,
    ) -> Result<MutexGuard<'a, U>, MutexGuard<'a, T>> {
        let MutexGuard { value, permit } = guard;
        match RefMut::filter_map(value, part) {
            Ok(value) => Ok(MutexGuard { value, permit }),
            Err(value) => Err(MutexGuard { value, permit }),
        }
    }
}

impl<T> OwnedMutexGuard<T> {
    /// For who was given the permit just now.
    fn new(mutex: Rc<Mutex<T>>) -> OwnedMutexGuard<T> {
        let value = mutex.value.borrow_mut().take();
        OwnedMutexGuard { value, mutex }
    }

    /// The mutex. An associated function, to be out of the way of the value's methods.
    pub fn mutex(guard: &OwnedMutexGuard<T>) -> &Rc<Mutex<T>> {
        &guard.mutex
    }
}

impl<T> Drop for OwnedMutexGuard<T> {
    fn drop(&mut self) {
        *self.mutex.value.borrow_mut() = self.value.take();
        self.mutex.semaphore.release(1);
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T> Deref for OwnedMutexGuard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("it is there until the drop")
    }
}

impl<T> DerefMut for OwnedMutexGuard<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("it is there until the drop")
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Mutex<T> {
        Mutex::new(T::default())
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(value: T) -> Mutex<T> {
        Mutex::new(value)
    }
}

impl<T: fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Mutex");
        match self.try_lock() {
            Ok(guard) => shown.field("value", &&*guard).finish(),
            Err(TryLockError) => shown.field("value", &format_args!("<locked>")).finish(),
        }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: fmt::Debug> fmt::Debug for OwnedMutexGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl fmt::Display for TryLockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("somebody else has the lock or waits for it")
    }
}

impl std::error::Error for TryLockError {}
