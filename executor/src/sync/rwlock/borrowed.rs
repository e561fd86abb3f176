//! Guards that borrow the lock.

use std::cell::{Ref, RefMut};
use std::fmt;
use std::ops::{Deref, DerefMut};

use super::super::semaphore::SemaphorePermit;
use super::RwLock;

/// Access to read the value of an [`RwLock`], or a part of it; dropping it lets the next in.
#[must_use = "the lock is given up if the guard is dropped"]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    // In this order, so that the value is given up before the permit is.
    value: Ref<'a, T>,
    permit: SemaphorePermit<'a>,
}

/// Access to read and change the value of an [`RwLock`]; dropping it lets the next in.
#[must_use = "the lock is given up if the guard is dropped"]
pub struct RwLockWriteGuard<'a, T> {
    value: RefMut<'a, T>,
    permit: SemaphorePermit<'a>,
    lock: &'a RwLock<T>,
}

/// Access to read and change a part of the value of an [`RwLock`]; dropping it lets the
/// next in.
#[must_use = "the lock is given up if the guard is dropped"]
pub struct RwLockMappedWriteGuard<'a, T: ?Sized> {
    value: RefMut<'a, T>,
    permit: SemaphorePermit<'a>,
}

impl<'a, T: ?Sized> RwLockReadGuard<'a, T> {
    pub(super) fn new(value: Ref<'a, T>, permit: SemaphorePermit<'a>) -> RwLockReadGuard<'a, T> {
        RwLockReadGuard { value, permit }
    }

    /// Narrows the guard to a part of the value. An associated function, to be out of the
    /// way of the value's methods.
    ///
    /// If `part` panics, the lock is given up.
    pub fn map<U: ?Sized>(
        guard: RwLockReadGuard<'a, T>,
        part: impl FnOnce(&T) -> &U,
    ) -> RwLockReadGuard<'a, U> {
        let RwLockReadGuard { value, permit } = guard;
        RwLockReadGuard::new(Ref::map(value, part), permit)
    }

    /// As [`map`](RwLockReadGuard::map), for a part that may not be there.
    ///
    /// # Errors
    ///
    /// Gives the guard back if it is not.
    pub fn try_map<U: ?Sized>(
        guard: RwLockReadGuard<'a, T>,
        part: impl FnOnce(&T) -> Option<&U>,
    ) -> Result<RwLockReadGuard<'a, U>, RwLockReadGuard<'a, T>> {
        let RwLockReadGuard { value, permit } = guard;
        match Ref::filter_map(value, part) {
            Ok(value) => Ok(RwLockReadGuard::new(value, permit)),
            Err(value) => Err(RwLockReadGuard::new(value, permit)),
        }
    }
}

impl<'a, T> RwLockWriteGuard<'a, T> {
    pub(super) fn new(
        lock: &'a RwLock<T>,
        value: RefMut<'a, T>,
        permit: SemaphorePermit<'a>,
    ) -> RwLockWriteGuard<'a, T> {
        RwLockWriteGuard {
            value,
            permit,
            lock,
        }
    }

    /// Goes on with reading only. No writer comes between; readers that are next in line go
    /// in, too.
    ///
    /// ```
    /// # krug::Runtime::new().unwrap().block_on(async {
    /// let table = krug::sync::RwLock::new(1);
    /// let mut guard = table.write().await;
    /// *guard = 2;
    /// let guard = guard.downgrade();
    /// assert_eq!((*guard, *table.read().await), (2, 2));
    /// # });
    /// ```
    pub fn downgrade(self) -> RwLockReadGuard<'a, T> {
        let RwLockWriteGuard {
            value,
            permit: mut rest,
            lock,
        } = self;
        drop(value);
        let one = rest.split(1).expect("a writer has all permits");
        let guard = lock.read_guard(one);
        drop(rest);
        guard
    }

    /// Narrows the guard to a part of the value. An associated function, to be out of the
    /// way of the value's methods.
    ///
    /// If `part` panics, the lock is given up.
    pub fn map<U: ?Sized>(
        guard: RwLockWriteGuard<'a, T>,
        part: impl FnOnce(&mut T) -> &mut U,
    ) -> RwLockMappedWriteGuard<'a, U> {
        let RwLockWriteGuard { value, permit, .. } = guard;
        RwLockMappedWriteGuard {
            value: RefMut::map(value, part),
            permit,
        }
    }
}

impl<'a, T: ?Sized> RwLockMappedWriteGuard<'a, T> {
    /// As [`RwLockWriteGuard::map`].
    pub fn map<U: ?Sized>(
        guard: RwLockMappedWriteGuard<'a, T>,
        part: impl FnOnce(&mut T) -> &mut U,
    ) -> RwLockMappedWriteGuard<'a, U> {
        let RwLockMappedWriteGuard { value, permit } = guard;
        RwLockMappedWriteGuard {
            value: RefMut::map(value, part),
            permit,
        }
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: ?Sized> Deref for RwLockMappedWriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: ?Sized> DerefMut for RwLockMappedWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockMappedWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
