//! Guards with a reference to the lock of their own.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use super::RwLock;

/// Access to read the value of an [`RwLock`], for as long as this is kept, wherever; dropping
/// it lets the next in.
#[must_use = "the lock is given up if the guard is dropped"]
pub struct OwnedRwLockReadGuard<T> {
    // In this order, so that the value is given up before the permit is.
    value: Rc<T>,
    share: Share<T>,
}

/// Access to read and change the value of an [`RwLock`], for as long as this is kept,
/// wherever; dropping it lets the next in.
#[must_use = "the lock is given up if the guard is dropped"]
pub struct OwnedRwLockWriteGuard<T> {
    /// `None` only while this is dropped.
    value: Option<Rc<T>>,
    share: Share<T>,
}

/// Permits of the lock, given back when this is dropped.
struct Share<T> {
    lock: Rc<RwLock<T>>,
    permits: usize,
}

impl<T> OwnedRwLockReadGuard<T> {
    /// For who was given a permit just now.
    pub(super) fn new(lock: Rc<RwLock<T>>) -> OwnedRwLockReadGuard<T> {
        let value = lock.value.borrow().clone();
        OwnedRwLockReadGuard {
            value: value.expect(super::PRESENT),
            share: Share { lock, permits: 1 },
        }
    }

    /// The lock. An associated function, to be out of the way of the value's methods.
    pub fn rwlock(guard: &OwnedRwLockReadGuard<T>) -> &Rc<RwLock<T>> {
        &guard.share.lock
    }
}

impl<T> OwnedRwLockWriteGuard<T> {
    /// For who was given all permits just now.
    pub(super) fn new(lock: Rc<RwLock<T>>) -> OwnedRwLockWriteGuard<T> {
        let value = lock.value.borrow_mut().take();
        let permits = lock.readers_max;
        OwnedRwLockWriteGuard {
            value,
            share: Share { lock, permits },
        }
    }

    /// Goes on with reading only. No writer comes between; readers that are next in line go
    /// in, too.
    pub fn downgrade(mut self) -> OwnedRwLockReadGuard<T> {
        let value = self.value.take().expect(KEPT);
        *self.share.lock.value.borrow_mut() = Some(value.clone());
        self.share.permits -= 1;
        let share = Share {
            lock: self.share.lock.clone(),
            permits: 1,
        };
        OwnedRwLockReadGuard { value, share }
    }

    /// The lock. An associated function, to be out of the way of the value's methods.
    pub fn rwlock(guard: &OwnedRwLockWriteGuard<T>) -> &Rc<RwLock<T>> {
        &guard.share.lock
    }
}

const KEPT: &str = "it is there until the drop";

impl<T> Drop for OwnedRwLockWriteGuard<T> {
    fn drop(&mut self) {
        if let Some(value) = self.value.take() {
            *self.share.lock.value.borrow_mut() = Some(value);
        }
    }
}

impl<T> Drop for Share<T> {
    fn drop(&mut self) {
        self.lock.semaphore.release(self.permits);
    }
}

impl<T> Deref for OwnedRwLockReadGuard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Deref for OwnedRwLockWriteGuard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_deref().expect(KEPT)
    }
}

impl<T> DerefMut for OwnedRwLockWriteGuard<T> {
    fn deref_mut(&mut self) -> &mut T {
        super::alone(&mut self.value)
    }
}

impl<T: fmt::Debug> fmt::Debug for OwnedRwLockReadGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: fmt::Debug> fmt::Debug for OwnedRwLockWriteGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
