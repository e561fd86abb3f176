//! Permits that are held: given back when they are dropped.

use std::borrow::Borrow;
use std::fmt;
use std::rc::Rc;

use super::Semaphore;

/// Permits of a [`Semaphore`]. Dropping it gives them to those who wait, in order.
#[must_use = "the permit is given back if it is dropped"]
pub struct SemaphorePermit<'a>(Held<&'a Semaphore>);

/// Permits of a [`Semaphore`] that own a reference to it, so that they can be moved into
/// another task. Dropping it gives them to those who wait, in order.
#[must_use = "the permit is given back if it is dropped"]
pub struct OwnedSemaphorePermit(Held<Rc<Semaphore>>);

/// `count` permits, and where they belong.
struct Held<S: Borrow<Semaphore>> {
    semaphore: S,
    count: usize,
}

impl<S: Borrow<Semaphore> + Clone> Held<S> {
    fn forget(mut self) {
        let count = std::mem::take(&mut self.count);
        self.semaphore.borrow().forget(count);
    }

    #[track_caller]
    fn merge(&mut self, mut other: Held<S>) {
        assert!(
            std::ptr::eq(self.semaphore.borrow(), other.semaphore.borrow()),
            "permits of two semaphores cannot be merged"
        );
        self.count += std::mem::take(&mut other.count);
    }

    fn split(&mut self, count: usize) -> Option<Held<S>> {
        self.count = self.count.checked_sub(count)?;
        Some(Held {
            semaphore: self.semaphore.clone(),
            count,
        })
    }
}

impl<S: Borrow<Semaphore>> Drop for Held<S> {
    fn drop(&mut self) {
        if self.count > 0 {
            self.semaphore.borrow().release(self.count);
        }
    }
}

impl<'a> SemaphorePermit<'a> {
    pub(in super::super) fn new(semaphore: &'a Semaphore, count: usize) -> SemaphorePermit<'a> {
        SemaphorePermit(Held { semaphore, count })
    }

    /// Does away with these permits: the semaphore has fewer from now on.
    pub fn forget(self) {
        self.0.forget();
    }

    /// Takes the permits of `other` over.
    ///
    /// # Panics
    ///
    /// If they belong to another semaphore; then they are given back to it.
    #[track_caller]
    pub fn merge(&mut self, other: SemaphorePermit<'a>) {
        self.0.merge(other.0);
    }

    /// Takes `count` of these permits out, or `None` if they are fewer.
    pub fn split(&mut self, count: usize) -> Option<SemaphorePermit<'a>> {
        self.0.split(count).map(SemaphorePermit)
    }

    /// How many permits these are.
    pub fn num_permits(&self) -> usize {
        self.0.count
    }
}

impl OwnedSemaphorePermit {
    pub(super) fn new(semaphore: Rc<Semaphore>, count: usize) -> OwnedSemaphorePermit {
        OwnedSemaphorePermit(Held { semaphore, count })
    }

    /// Does away with these permits: the semaphore has fewer from now on.
    pub fn forget(self) {
        self.0.forget();
    }

    /// Takes the permits of `other` over.
    ///
    /// # Panics
    ///
    /// If they belong to another semaphore; then they are given back to it.
    #[track_caller]
    pub fn merge(&mut self, other: OwnedSemaphorePermit) {
        self.0.merge(other.0);
    }

    /// Takes `count` of these permits out, or `None` if they are fewer.
    pub fn split(&mut self, count: usize) -> Option<OwnedSemaphorePermit> {
        self.0.split(count).map(OwnedSemaphorePermit)
    }

    /// How many permits these are.
    pub fn num_permits(&self) -> usize {
        self.0.count
    }

    /// The semaphore they belong to.
    pub fn semaphore(&self) -> &Rc<Semaphore> {
        &self.0.semaphore
    }
}

impl fmt::Debug for SemaphorePermit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SemaphorePermit")
            .field(&self.0.count)
            .finish()
    }
}

impl fmt::Debug for OwnedSemaphorePermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnedSemaphorePermit")
            .field(&self.0.count)
            .finish()
    }
}
