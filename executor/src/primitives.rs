//! What loom replaces, in one place.
//!
//! Everything that threads may race for by more than a lock or a count uses these names. A
//! normal build gets std's types at no cost; with `--cfg krug_loom` the same production
//! code runs on loom's, which try every order of events.

#[cfg(krug_loom)]
pub(crate) use loom::{
    cell::Cell,
    cell::UnsafeCell,
    hint::spin_loop,
    sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence},
    sync::{Arc, Mutex, MutexGuard},
    thread::yield_now,
};

#[cfg(not(krug_loom))]
pub(crate) use self::real::*;

/// Part of what must be freed exactly once: loom fails a model that leaks one.
#[cfg(krug_loom)]
pub(crate) struct LeakCheck {
    _track: loom::alloc::Track<()>,
}

#[cfg(krug_loom)]
impl LeakCheck {
    pub(crate) fn new() -> LeakCheck {
        LeakCheck {
            _track: loom::alloc::Track::new(()),
        }
    }
}

#[cfg(not(krug_loom))]
mod real {
    pub(crate) use std::cell::Cell;
    pub(crate) use std::hint::spin_loop;
    pub(crate) use std::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence,
    };
    pub(crate) use std::sync::{Arc, Mutex, MutexGuard};
    pub(crate) use std::thread::yield_now;

    /// Nothing without loom.
    pub(crate) struct LeakCheck;

    impl LeakCheck {
        #[inline(always)]
        pub(crate) fn new() -> LeakCheck {
            LeakCheck
        }
    }

    /// std's `UnsafeCell` with loom's interface: every access is a closure, so that loom
    /// sees where it begins and ends.
    #[derive(Debug)]
    pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        #[inline(always)]
        pub(crate) const fn new(value: T) -> UnsafeCell<T> {
            UnsafeCell(std::cell::UnsafeCell::new(value))
        }

        #[inline(always)]
        pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }

        #[inline(always)]
        pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }
}
