//! [`Handover`]: things on their way from many threads to one that may sleep.

use std::mem;
use std::sync::PoisonError;

use crate::primitives::{AtomicU32, Mutex, Ordering};

/// What the thread that takes is told, in one word, so that no order of events loses a bell.
mod state {
    pub(super) const NOTHING: u32 = 0;
    /// Something is on the list.
    pub(super) const SOME: u32 = 1;
    /// Nothing has come, and whoever takes sleeps, or is about to: the next one that brings wakes it.
    pub(super) const ASLEEP: u32 = 2;
}

#[derive(Debug)]
pub(super) struct Handover<T> {
    list: Mutex<Vec<T>>,
    state: AtomicU32,
}

impl<T> Handover<T> {
    pub(super) fn new() -> Handover<T> {
        Handover {
            list: Mutex::new(Vec::new()),
            state: AtomicU32::new(state::NOTHING),
        }
    }

    /// True: whoever takes sleeps, and the caller has to wake it.
    #[must_use]
    pub(super) fn bring(&self, thing: T) -> bool {
        // A panic elsewhere cannot leave a list half changed.
        self.list
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(thing);
        self.state.swap(state::SOME, Ordering::AcqRel) == state::ASLEEP
    }

    /// Moves what has come to `into`, which is empty.
    #[inline]
    pub(super) fn take(&self, into: &mut Vec<T>) {
        debug_assert!(into.is_empty());
        if self.state.load(Ordering::Relaxed) == state::SOME {
            // Before the list: what is brought from here on says so once more.
            self.state.swap(state::NOTHING, Ordering::AcqRel);
            let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
            mem::swap(&mut *list, into);
        }
    }

    /// From now on the one that brings is told to wake. False if something has come already.
    pub(super) fn prepare_sleep(&self) -> bool {
        let asleep = self.state.compare_exchange(
            state::NOTHING,
            state::ASLEEP,
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
        asleep.is_ok()
    }

    pub(super) fn wake_up(&self) {
        let _something_has_come = self.state.compare_exchange(
            state::ASLEEP,
            state::NOTHING,
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
    }
}

#[cfg(all(test, krug_loom))]
mod loom_models {
    use std::sync::Arc;

    use loom::sync::Notify;
    use loom::thread;

    use super::Handover;

    #[test]
    fn loom_two_results_reach_a_driver_that_goes_to_sleep() {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(|| {
            let handover = Arc::new(Handover::new());
            let bell = Arc::new(Notify::new());
            let threads = [1, 2].map(|thing| {
                let (handover, bell) = (handover.clone(), bell.clone());
                thread::spawn(move || {
                    if handover.bring(thing) {
                        bell.notify();
                    }
                })
            });
            let (mut sum, mut came) = (0, Vec::new());
            while sum < 3 {
                handover.take(&mut came);
                let is_idle = came.is_empty();
                sum += came.drain(..).sum::<i32>();
                if is_idle && handover.prepare_sleep() {
                    bell.wait();
                    handover.wake_up();
                }
            }
            assert_eq!(sum, 3);
            for thread in threads {
                thread.join().unwrap();
            }
        });
    }
}
