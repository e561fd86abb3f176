//! [`Queue`]: what is ready on one core, for all to take from.
//!
//! An array whose slots carry stamps, after Dmitry Vyukov's [bounded queue]: both ends are counters, and whoever moves one on has the slot
//! it stood at. Position `p` of the queue is in slot `p` modulo their number:
//!
//! | stamp of that slot | it is | whose |
//! |---|---|---|
//! | `p` | empty | whoever moves `tail` from `p` fills it, and sets `p + 1` |
//! | `p + 1` | filled | whoever moves `head` from `p` empties it, and sets `p + slots` |
//!
//! What finds the array full goes to a list behind a lock, and so does what comes after it, until that list is empty again: nobody is
//! overtaken for ever.
//!
//! [bounded queue]: https://www.1024cores.net/home/lock-free-algorithms/queues/bounded-mpmc-queue

use std::collections::VecDeque;
use std::mem::MaybeUninit;
use std::sync::PoisonError;

use super::super::OwnLine;
use crate::primitives::{AtomicU64, Mutex, MutexGuard, Ordering, UnsafeCell};

pub(super) struct Queue<T> {
    tail: OwnLine<AtomicU64>,
    head: OwnLine<AtomicU64>,
    /// Their number is a power of two.
    slots: Box<[Slot<T>]>,
    /// How many are on the list. Changed only while that is locked.
    overflowed: AtomicU64,
    overflow: Mutex<VecDeque<T>>,
}

struct Slot<T> {
    stamp: AtomicU64,
    item: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: a slot's cell is touched by whoever moved a counter past it, until that one sets the stamp: see the table. Items go from one
// thread to another, so they have to be `Send`; no reference to one is ever shared.
unsafe impl<T: Send> Send for Queue<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Queue<T> {}

impl<T> Queue<T> {
    /// `slots`: a power of two, at least 2.
    pub(super) fn new(slots: usize) -> Queue<T> {
        assert!(slots.is_power_of_two() && slots > 1, "see the table");
        let slots = (0..slots as u64).map(|position| Slot {
            stamp: AtomicU64::new(position),
            item: UnsafeCell::new(MaybeUninit::uninit()),
        });
        Queue {
            tail: OwnLine(AtomicU64::new(0)),
            head: OwnLine(AtomicU64::new(0)),
            slots: slots.collect(),
            overflowed: AtomicU64::new(0),
            overflow: Mutex::new(VecDeque::new()),
        }
    }

    fn slot(&self, position: u64) -> &Slot<T> {
        &self.slots[position as usize & (self.slots.len() - 1)]
    }

    /// Puts an item behind all others. Never fails.
    #[inline]
    pub(super) fn push(&self, item: T) {
        let item = match self.has_overflowed() {
            false => match self.push_to_slots(item) {
                Ok(()) => return,
                Err(item) => item,
            },
            true => item,
        };
        self.push_to_list(item);
    }

    /// # Errors
    ///
    /// The item comes back if all slots are taken.
    #[inline]
    fn push_to_slots(&self, item: T) -> Result<(), T> {
        let mut tail = self.tail.load(Ordering::Relaxed);
        loop {
            let slot = self.slot(tail);
            // Acquire: whoever emptied the slot is done with it.
            let stamp = slot.stamp.load(Ordering::Acquire);
            if stamp < tail {
                return Err(item);
            }
            if stamp > tail {
                tail = self.tail.load(Ordering::Relaxed);
                continue;
            }
            match self.tail.compare_exchange_weak(
                tail,
                tail + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    // SAFETY: the stamp says that the slot is empty, and moving `tail` made it ours.
                    slot.item.with_mut(|place| unsafe { (*place).write(item) });
                    slot.stamp.store(tail + 1, Ordering::Release);
                    return Ok(());
                }
                Err(now) => tail = now,
            }
        }
    }

    #[cold]
    fn push_to_list(&self, item: T) {
        let mut list = self.lock();
        list.push_back(item);
        self.overflowed.store(list.len() as u64, Ordering::Release);
    }

    /// Takes the first item. `None` may also mean that whoever is about to push one has not done so yet.
    #[inline]
    pub(super) fn pop(&self) -> Option<T> {
        let first = self.pop_from_slots();
        match first {
            None if self.has_overflowed() => self.pop_from_list(),
            first => first,
        }
    }

    #[inline]
    fn pop_from_slots(&self) -> Option<T> {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            let slot = self.slot(head);
            // Acquire: the item is there.
            let stamp = slot.stamp.load(Ordering::Acquire);
            if stamp < head + 1 {
                return None;
            }
            if stamp > head + 1 {
                head = self.head.load(Ordering::Relaxed);
                continue;
            }
            match self.head.compare_exchange_weak(
                head,
                head + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    // SAFETY: the stamp says that the slot is filled, and moving `head` made it ours: the item is read once.
                    let item = slot
                        .item
                        .with_mut(|place| unsafe { (*place).assume_init_read() });
                    let emptied = head + self.slots.len() as u64;
                    slot.stamp.store(emptied, Ordering::Release);
                    return Some(item);
                }
                Err(now) => head = now,
            }
        }
    }

    /// The first of the list; as many as fill half of the slots go there.
    #[cold]
    fn pop_from_list(&self) -> Option<T> {
        let mut list = self.lock();
        let first = list.pop_front();
        for _ in 0..self.slots.len() / 2 {
            let Some(next) = list.pop_front() else {
                break;
            };
            if let Err(next) = self.push_to_slots(next) {
                list.push_front(next);
                break;
            }
        }
        self.overflowed.store(list.len() as u64, Ordering::Release);
        first
    }

    /// False as long as a push that is over has something to take; it may be out of date when it is read. Who looks after a fence sees
    /// every push that was over before a fence before that one.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        let head = self.head.load(Ordering::Acquire);
        head == self.tail.load(Ordering::Acquire) && !self.has_overflowed()
    }

    /// About how many there are.
    pub(super) fn len(&self) -> usize {
        let head = self.head.load(Ordering::Relaxed);
        let in_slots = self.tail.load(Ordering::Relaxed).saturating_sub(head);
        (in_slots + self.overflowed.load(Ordering::Relaxed)) as usize
    }

    #[inline]
    fn has_overflowed(&self) -> bool {
        self.overflowed.load(Ordering::Acquire) > 0
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<T>> {
        // Nothing but moves happens while it is locked.
        self.overflow.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Drop for Queue<T> {
    fn drop(&mut self) {
        while let Some(item) = self.pop() {
            super::quietly(|| drop(item));
        }
    }
}

#[cfg(all(test, not(krug_loom)))]
mod tests {
    use super::Queue;

    #[test]
    fn what_finds_the_slots_full_keeps_its_turn() {
        let queue = Queue::new(4);
        let mut expected = 0;
        for round in 0..10 {
            (round * 13..(round + 1) * 13).for_each(|item| queue.push(item));
            for _ in 0..11 {
                assert_eq!(queue.pop(), Some(expected));
                expected += 1;
            }
        }
        assert_eq!(queue.len(), 20);
        while let Some(item) = queue.pop() {
            assert_eq!(item, expected);
            expected += 1;
        }
        assert_eq!((expected, queue.is_empty()), (130, true));
    }

    #[test]
    fn what_is_left_is_dropped_with_the_queue() {
        let item = std::sync::Arc::new(());
        let queue = Queue::new(2);
        (0..5).for_each(|_| queue.push(item.clone()));
        drop(queue);
        assert_eq!(std::sync::Arc::strong_count(&item), 1);
    }
}
