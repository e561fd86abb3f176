//! [`RwLock`]: a value that many tasks can read, or one can change.

use std::cell::{Ref, RefCell, RefMut};
use std::fmt;
use std::rc::Rc;

use super::TryLockError;
use super::semaphore::{Semaphore, SemaphorePermit};

mod borrowed;
mod owned;

pub use borrowed::{RwLockMappedWriteGuard, RwLockReadGuard, RwLockWriteGuard};
pub use owned::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard};

/// Gives many tasks access to a value to read it, or one to change it, also across an
/// `await`.
///
/// If nothing is awaited while the value is in use, a [`RefCell`] does the same on one core,
/// and costs less.
///
/// ```
/// # krug::Runtime::new().unwrap().block_on(async {
/// let table = krug::sync::RwLock::new(vec![1]);
/// {
///     let (one, other) = (table.read().await, table.read().await);
///     assert_eq!(*one, *other);
///     assert!(table.try_write().is_err());
/// }
/// table.write().await.push(2);
/// assert_eq!(*table.read().await, [1, 2]);
/// # });
/// ```
///
/// # Fairness
///
/// First come, first served: a reader that comes after a waiting writer waits behind it, and
/// readers that came before the next writer go in together. So neither starves. It also
/// means that a task that reads must not ask to read once more: with a writer between the
/// two, they wait for each other.
///
/// # Panics of others
///
/// There is no poisoning: when a task panics, its guard gives the value free as it is then.
///
/// # Leaks
///
/// A guard that is leaked with `mem::forget` leaves the lock taken.
/// [`get_mut`](RwLock::get_mut) and [`into_inner`](RwLock::into_inner) work all the same.
pub struct RwLock<T> {
    /// A reader takes one permit, a writer all.
    semaphore: Semaphore,
    readers_max: usize,
    /// Only read with a permit, only changed with all. `None` while an owned guard has it to
    /// write; owned guards that read have clones of the `Rc`.
    value: RefCell<Option<Rc<T>>>,
}

impl<T> RwLock<T> {
    /// How many can read at the same time, unless
    /// [`with_max_readers`](RwLock::with_max_readers) says less: 2²⁹ − 1.
    pub const MAX_READERS: u32 = u32::MAX >> 3;

    /// A lock that nobody has.
    pub fn new(value: T) -> RwLock<T> {
        RwLock::with_max_readers(value, RwLock::<T>::MAX_READERS)
    }

    /// A lock that at most `max` readers can have at the same time; more wait in line.
    ///
    /// # Panics
    ///
    /// If `max` is 0 or above [`MAX_READERS`](RwLock::MAX_READERS).
    #[track_caller]
    pub fn with_max_readers(value: T, max: u32) -> RwLock<T> {
        assert!(
            (1..=RwLock::<T>::MAX_READERS).contains(&max),
            "a lock has at least one reader and at most 2^29 - 1"
        );
        RwLock {
            semaphore: Semaphore::new(max as usize),
            readers_max: max as usize,
            value: RefCell::new(Some(Rc::new(value))),
        }
    }

    /// Waits until nobody writes or came before to write. The place in line is taken when
    /// the future is first polled.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up its place in line; access it had just been given passes
    /// to the next.
    pub async fn read(&self) -> RwLockReadGuard<'_, T> {
        self.semaphore.take(1).await;
        self.read_guard(SemaphorePermit::new(&self.semaphore, 1))
    }

    /// Waits until nobody else uses the value. The place in line is taken when the future is
    /// first polled.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up its place in line; access it had just been given passes
    /// to the next, and readers that waited behind it go in.
    pub async fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.semaphore.take(self.readers_max).await;
        self.write_guard()
    }

    /// Takes access to read if nobody writes or waits.
    ///
    /// # Errors
    ///
    /// [`TryLockError`] if somebody does.
    pub fn try_read(&self) -> Result<RwLockReadGuard<'_, T>, TryLockError> {
        self.semaphore.try_take(1).map_err(|_| TryLockError)?;
        Ok(self.read_guard(SemaphorePermit::new(&self.semaphore, 1)))
    }

    /// Takes access to write if nobody uses the value or waits.
    ///
    /// # Errors
    ///
    /// [`TryLockError`] if somebody does.
    pub fn try_write(&self) -> Result<RwLockWriteGuard<'_, T>, TryLockError> {
        let taken = self.semaphore.try_take(self.readers_max);
        taken.map_err(|_| TryLockError)?;
        Ok(self.write_guard())
    }

    /// As [`read`](RwLock::read), for a guard that can be moved into another task.
    ///
    /// # Cancellation
    ///
    /// Dropping the future is as with [`read`](RwLock::read); it also drops this reference to
    /// the lock.
    pub async fn read_owned(self: Rc<Self>) -> OwnedRwLockReadGuard<T> {
        self.semaphore.take(1).await;
        OwnedRwLockReadGuard::new(self)
    }

    /// As [`write`](RwLock::write), for a guard that can be moved into another task.
    ///
    /// # Cancellation
    ///
    /// Dropping the future is as with [`write`](RwLock::write); it also drops this reference
    /// to the lock.
    ///
    /// ```
    /// # use std::rc::Rc;
    /// # krug::Runtime::new().unwrap().block_on(async {
    /// let table = Rc::new(krug::sync::RwLock::new(1));
    /// let mut guard = table.clone().write_owned().await;
    /// let task = krug::spawn(async move { *guard += 1 });
    /// assert_eq!(*table.clone().read_owned().await, 2);
    /// # task.await.unwrap();
    /// # });
    /// ```
    pub async fn write_owned(self: Rc<Self>) -> OwnedRwLockWriteGuard<T> {
        self.semaphore.take(self.readers_max).await;
        OwnedRwLockWriteGuard::new(self)
    }

    /// As [`try_read`](RwLock::try_read), for a guard that can be moved into another task.
    ///
    /// # Errors
    ///
    /// [`TryLockError`] if somebody writes or waits.
    pub fn try_read_owned(self: Rc<Self>) -> Result<OwnedRwLockReadGuard<T>, TryLockError> {
        self.semaphore.try_take(1).map_err(|_| TryLockError)?;
        Ok(OwnedRwLockReadGuard::new(self))
    }

    /// As [`try_write`](RwLock::try_write), for a guard that can be moved into another task.
    ///
    /// # Errors
    ///
    /// [`TryLockError`] if somebody uses the value or waits.
    pub fn try_write_owned(self: Rc<Self>) -> Result<OwnedRwLockWriteGuard<T>, TryLockError> {
        let taken = self.semaphore.try_take(self.readers_max);
        taken.map_err(|_| TryLockError)?;
        Ok(OwnedRwLockWriteGuard::new(self))
    }

    /// The value, which nobody else can use: no lock is needed.
    pub fn get_mut(&mut self) -> &mut T {
        alone(self.value.get_mut())
    }

    /// The value.
    pub fn into_inner(self) -> T {
        let value = self.value.into_inner().expect(PRESENT);
        Rc::into_inner(value).expect(PRESENT)
    }

    /// With a permit that was taken just now.
    fn read_guard<'a>(&'a self, permit: SemaphorePermit<'a>) -> RwLockReadGuard<'a, T> {
        let value = Ref::map(self.value.borrow(), |value| {
            value.as_deref().expect(PRESENT)
        });
        RwLockReadGuard::new(value, permit)
    }

    /// For who was given all permits just now.
    fn write_guard(&self) -> RwLockWriteGuard<'_, T> {
        let permit = SemaphorePermit::new(&self.semaphore, self.readers_max);
        let value = RefMut::map(self.value.borrow_mut(), alone);
        RwLockWriteGuard::new(self, value, permit)
    }
}

/// An owned guard that has the value also has a reference to the lock, leaked or not. So who
/// owns or mutably borrows the lock, or has all its permits, finds the value there, alone.
const PRESENT: &str = "no guard has the value";

fn alone<T>(value: &mut Option<Rc<T>>) -> &mut T {
    value.as_mut().and_then(Rc::get_mut).expect(PRESENT)
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> RwLock<T> {
        RwLock::new(T::default())
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(value: T) -> RwLock<T> {
        RwLock::new(value)
    }
}

impl<T: fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("RwLock");
        match self.try_read() {
            Ok(guard) => shown.field("value", &&*guard).finish(),
            Err(TryLockError) => shown.field("value", &format_args!("<locked>")).finish(),
        }
    }
}
