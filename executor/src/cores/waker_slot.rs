//! [`WakerSlot`]: where one half of a channel leaves its waker for the other one.
//!
//! The protocol is that of `futures::task::AtomicWaker`
//! (<https://docs.rs/futures-core/latest/futures_core/task/__internal/struct.AtomicWaker.html>). One word says who has the waker:
//!
//! | word | who has the waker | made so by |
//! |---|---|---|
//! | 0 | nobody | |
//! | `REGISTERING` | who waits | `register`, from 0 only |
//! | `WAKING` | who wakes | `take`, from 0 |
//! | both | who waits: it finds `WAKING` when it is done, and wakes itself | `take` |
//!
//! What makes it complete: if a `take` comes before a `register`, then whatever was done before the `take` is seen after the
//! `register`. So who registers first and looks second misses nothing.

use std::task::Waker;

use super::quietly;
use crate::primitives::{AtomicU32, Ordering, UnsafeCell, spin_loop};

const REGISTERING: u32 = 1;
const WAKING: u32 = 2;

#[derive(Debug)]
pub(super) struct WakerSlot {
    state: AtomicU32,
    waker: UnsafeCell<Option<Waker>>,
}

// SAFETY: a waker is `Send` and `Sync`, and the cell is touched only by who has it, see the table.
unsafe impl Send for WakerSlot {}
// SAFETY: as above.
unsafe impl Sync for WakerSlot {}

impl WakerSlot {
    pub(super) fn new() -> WakerSlot {
        WakerSlot {
            state: AtomicU32::new(0),
            waker: UnsafeCell::new(None),
        }
    }

    /// Leaves a waker, instead of the one that was left before. Afterwards the caller looks at what it waits for.
    /// If somebody takes the waker at this moment, the new one is woken at once.
    pub(super) fn register(&self, waker: &Waker) {
        // User code runs here, and when nothing is held any more.
        let fresh = waker.clone();
        let registered =
            self.state
                .compare_exchange(0, REGISTERING, Ordering::AcqRel, Ordering::Acquire);
        if registered.is_err() {
            quietly(|| fresh.wake());
            // Who takes the old waker needs a moment more.
            return spin_loop();
        }
        // SAFETY: the exchange above made it ours.
        let old = self
            .waker
            .with_mut(|place| unsafe { (*place).replace(fresh) });
        let released =
            self.state
                .compare_exchange(REGISTERING, 0, Ordering::AcqRel, Ordering::Acquire);
        let mine = match released {
            Ok(_) => None,
            Err(_) => {
                // SAFETY: still ours: who set `WAKING` beside our mark left it to us.
                let mine = self.waker.with_mut(|place| unsafe { (*place).take() });
                self.state.swap(0, Ordering::AcqRel);
                mine
            }
        };
        quietly(|| drop(old));
        if let Some(waker) = mine {
            quietly(|| waker.wake());
        }
    }

    /// Wakes who has registered last, if it was not woken since.
    pub(super) fn wake(&self) {
        if let Some(waker) = self.take() {
            // Its panic would hit somebody who knows nothing of it, on another core.
            quietly(|| waker.wake());
        }
    }

    /// Drops what was left.
    pub(super) fn forget(&self) {
        let left = self.take();
        quietly(|| drop(left));
    }

    fn take(&self) -> Option<Waker> {
        if self.state.fetch_or(WAKING, Ordering::AcqRel) != 0 {
            // Who registers will see the mark; who else wakes has the waker already.
            return None;
        }
        // SAFETY: nobody had it, and the mark made it ours.
        let waker = self.waker.with_mut(|place| unsafe { (*place).take() });
        self.state.fetch_and(!WAKING, Ordering::Release);
        waker
    }
}
