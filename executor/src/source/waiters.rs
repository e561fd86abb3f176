//! [`Waiters`]: who waits, in order of arrival; [`Lane`]: one at a time.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::task::Context;

use crate::task::Waiter;

/// A place in the queue. A future keeps it, and gives it back when it is served or dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(u64);

struct Entry {
    place: Place,
    /// `None` once it was woken.
    waiter: Option<Waiter>,
}

/// A fair queue of futures.
#[derive(Default)]
pub(super) struct Waiters {
    entries: RefCell<VecDeque<Entry>>,
    arrivals: Cell<u64>,
}

impl Waiters {
    pub(super) fn len(&self) -> usize {
        self.entries.borrow().len()
    }

    /// How many stand before `place`; all, if it is `None`.
    pub(super) fn ahead_of(&self, place: Option<Place>) -> usize {
        let entries = self.entries.borrow();
        let found = place.and_then(|place| entries.iter().position(|entry| entry.place == place));
        found.unwrap_or(entries.len())
    }

    /// Takes a place at the end, or keeps the one it has, and is woken as `cx` says.
    pub(super) fn wait(&self, place: &mut Option<Place>, cx: &Context<'_>) {
        let waiter = Waiter::new(cx);
        let mut entries = self.entries.borrow_mut();
        let found = place.and_then(|place| entries.iter_mut().find(|entry| entry.place == place));
        let before = match found {
            Some(entry) => entry.waiter.replace(waiter),
            None => {
                let next = Place(self.arrivals.get());
                self.arrivals.set(next.0 + 1);
                *place = Some(next);
                entries.push_back(Entry {
                    place: next,
                    waiter: Some(waiter),
                });
                None
            }
        };
        drop(entries);
        drop(before);
    }

    /// Gives a place back.
    pub(super) fn leave(&self, place: Place) {
        let mut entries = self.entries.borrow_mut();
        let index = entries.iter().position(|entry| entry.place == place);
        let gone = index.and_then(|index| entries.remove(index));
        drop(entries);
        drop(gone);
    }

    /// Wakes the first `count` who wait, those already awake included in the count.
    pub(super) fn wake(&self, count: usize) {
        for index in 0..count {
            let mut entries = self.entries.borrow_mut();
            let Some(entry) = entries.get_mut(index) else {
                return;
            };
            let waiter = entry.waiter.take();
            drop(entries);
            if let Some(waiter) = waiter {
                waiter.wake_quietly();
            }
        }
    }

    pub(super) fn wake_all(&self) {
        self.wake(self.len());
    }
}

/// Lets one future at a time through, in order of arrival.
#[derive(Default)]
pub(super) struct Lane {
    is_taken: Cell<bool>,
    waiters: Waiters,
}

impl Lane {
    /// True if the lane is now the caller's, who must [`release`](Lane::release) it. Else he waits.
    pub(super) fn acquire(&self, place: &mut Option<Place>, cx: &Context<'_>) -> bool {
        if self.is_taken.get() || self.waiters.ahead_of(*place) > 0 {
            self.waiters.wait(place, cx);
            return false;
        }
        if let Some(place) = place.take() {
            self.waiters.leave(place);
        }
        self.is_taken.set(true);
        true
    }

    /// Takes the lane before those who wait for it, for what was written before them.
    pub(super) fn take_if_free(&self) -> bool {
        !self.is_taken.replace(true)
    }

    /// True while it is somebody's turn.
    pub(super) fn is_taken(&self) -> bool {
        self.is_taken.get()
    }

    /// The turn is over: the next one is woken.
    pub(super) fn release(&self) {
        self.is_taken.set(false);
        self.waiters.wake(1);
    }

    /// A future that waited is gone. If it had been woken, its turn passes on.
    pub(super) fn leave(&self, place: Place) {
        self.waiters.leave(place);
        if !self.is_taken.get() {
            self.waiters.wake(1);
        }
    }

    pub(super) fn wake_all(&self) {
        self.waiters.wake_all();
    }
}
