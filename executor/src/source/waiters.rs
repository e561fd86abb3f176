//! [`Waiters`]: who waits, in order of arrival; [`Lane`]: one at a time.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::num::NonZero;
use std::task::Context;

use crate::driver::Key;
use crate::task::Waiter;

/// A place in the queue. A future keeps it, and gives it back when it is served or dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(NonZero<u64>);

impl Place {
    /// Of whoever has the turn, and stands in no queue any more. No queue is ever that long.
    pub(super) const TURN: Place = Place(NonZero::<u64>::MAX);
}

struct Entry {
    place: Place,
    /// `None` once it was woken.
    waiter: Option<Waiter>,
}

#[derive(Default)]
struct Queue {
    entries: VecDeque<Entry>,
    arrivals: u64,
}

/// A fair queue of futures. Takes no memory until somebody has waited.
#[derive(Default)]
pub(super) struct Waiters {
    queue: OnceCell<Box<RefCell<Queue>>>,
}

impl Waiters {
    /// Nobody has ever waited here.
    #[inline]
    fn is_unused(&self) -> bool {
        self.queue.get().is_none()
    }

    pub(super) fn len(&self) -> usize {
        self.queue
            .get()
            .map_or(0, |queue| queue.borrow().entries.len())
    }

    /// How many stand before `place`; all, if it is `None`.
    pub(super) fn ahead_of(&self, place: Option<Place>) -> usize {
        let Some(queue) = self.queue.get() else {
            return 0;
        };
        let entries = &queue.borrow().entries;
        let found = place.and_then(|place| entries.iter().position(|entry| entry.place == place));
        found.unwrap_or(entries.len())
    }

    /// Takes a place at the end, or keeps the one it has, and is woken as `cx` says.
    pub(super) fn wait(&self, place: &mut Option<Place>, cx: &Context<'_>) {
        let waiter = Waiter::new(cx);
        let mut queue = self.queue.get_or_init(Box::default).borrow_mut();
        let entries = &mut queue.entries;
        let found = place.and_then(|place| entries.iter_mut().find(|entry| entry.place == place));
        let before = match found {
            Some(entry) => entry.waiter.replace(waiter),
            None => {
                queue.arrivals += 1;
                let next = NonZero::new(queue.arrivals).map(Place);
                let next = next.expect("counts from one");
                *place = Some(next);
                queue.entries.push_back(Entry {
                    place: next,
                    waiter: Some(waiter),
                });
                None
            }
        };
        drop(queue);
        drop(before);
    }

    /// Gives a place back.
    pub(super) fn leave(&self, place: Place) {
        let Some(queue) = self.queue.get() else {
            return;
        };
        let mut queue = queue.borrow_mut();
        let index = queue.entries.iter().position(|entry| entry.place == place);
        let gone = index.and_then(|index| queue.entries.remove(index));
        drop(queue);
        drop(gone);
    }

    /// Wakes the first `count` who wait, those already awake included in the count.
    pub(super) fn wake(&self, count: usize) {
        let Some(queue) = self.queue.get() else {
            return;
        };
        for index in 0..count {
            let mut queue = queue.borrow_mut();
            let Some(entry) = queue.entries.get_mut(index) else {
                return;
            };
            let waiter = entry.waiter.take();
            drop(queue);
            if let Some(waiter) = waiter {
                waiter.wake_quietly();
            }
        }
    }

    pub(super) fn wake_all(&self) {
        self.wake(self.len());
    }
}

/// One direction of a source: lets a few futures at a time through, usually one, in order of arrival.
pub(crate) struct Lane {
    taken: Cell<u8>,
    width: u8,
    waiters: Waiters,
    /// The operation in this direction, where there is one at a time.
    pub(super) in_flight: Cell<Option<Key>>,
}

impl Default for Lane {
    fn default() -> Lane {
        Lane::of_width(1)
    }
}

impl Lane {
    /// True if nobody has ever waited for it.
    #[inline]
    pub(super) fn nobody_has_waited(&self) -> bool {
        self.waiters.is_unused()
    }

    /// For so many at a time.
    pub(super) fn of_width(width: u8) -> Lane {
        Lane {
            taken: Cell::new(0),
            width,
            waiters: Waiters::default(),
            in_flight: Cell::new(None),
        }
    }

    /// True while it is somebody's turn.
    pub(super) fn is_taken(&self) -> bool {
        self.taken.get() > 0
    }

    fn is_full(&self) -> bool {
        self.taken.get() >= self.width
    }

    /// True if a turn is now the caller's, who must [`release`](Lane::release) it. Else he waits.
    #[inline]
    pub(super) fn acquire(&self, place: &mut Option<Place>, cx: &Context<'_>) -> bool {
        if self.waiters.is_unused() && !self.is_full() {
            self.taken.set(self.taken.get() + 1);
            return true;
        }
        self.acquire_in_turn(place, cx)
    }

    fn acquire_in_turn(&self, place: &mut Option<Place>, cx: &Context<'_>) -> bool {
        if self.is_full() || self.waiters.ahead_of(*place) > 0 {
            self.waiters.wait(place, cx);
            return false;
        }
        if let Some(place) = place.take() {
            self.waiters.leave(place);
        }
        self.taken.set(self.taken.get() + 1);
        self.wake();
        true
    }

    /// Takes the lane before those who wait for it, for what was written before them.
    pub(super) fn take_if_free(&self) -> bool {
        let is_free = !self.is_full();
        if is_free {
            self.taken.set(self.taken.get() + 1);
        }
        is_free
    }

    /// A turn is over: the next one is woken.
    #[inline]
    pub(super) fn release(&self) {
        self.taken.set(self.taken.get().saturating_sub(1));
        self.wake();
    }

    /// A future that waited is gone. If it had been woken, its turn passes on.
    pub(super) fn leave(&self, place: Place) {
        self.waiters.leave(place);
        self.wake();
    }

    #[inline]
    fn wake(&self) {
        if !self.waiters.is_unused() && !self.is_full() {
            self.waiters.wake(1);
        }
    }

    pub(super) fn wake_all(&self) {
        self.waiters.wake_all();
    }
}
