//! The slots between senders and receiver.
//!
//! A sender that has a place draws a number from `tail` and fills the slot of that number, modulo the number of slots. A slot has a
//! stamp: twice the number of the message in it, plus two, once it is there. The lowest bit, `WAITS`, says that the receiver waits for this
//! very slot. Who fills it takes the bit out in the same step, and that one wakes.
//!
//! # Why a slot is empty when it is filled
//!
//! Message `n` and the one that had the slot before it are at least `capacity` numbers apart. Numbers are drawn with a place, and as many
//! places as numbers beyond the first `capacity` have been given back by the receiver, each after it had emptied a slot, in order. The
//! changes of the count of places are one chain, those of `tail` another; so whoever draws `n` sees, by its own place or by those of whom it
//! follows in `tail`, that the slot was emptied.

use std::mem::MaybeUninit;
use std::task::Waker;

use super::super::waker_slot::WakerSlot;
use super::super::{OwnLine, quietly};
use crate::primitives::{AtomicU64, Ordering, UnsafeCell, yield_now};

const WAITS: u64 = 1;
/// In `tail`: the receiver has gone.
const GONE: u64 = 1;
const NUMBER: u64 = 2;

pub(super) struct Queue<T> {
    /// Twice the number of the next message, and `GONE`.
    tail: OwnLine<AtomicU64>,
    receiving: WakerSlot,
    /// A power of two.
    slots: Box<[Slot<T>]>,
}

struct Slot<T> {
    stamp: AtomicU64,
    message: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: a slot's cell is touched by whoever drew its number, until the stamp says that it is filled; then by the one reader, until it
// gives the place back. Messages go from one thread to another, so they have to be `Send`; no reference to one is ever shared.
unsafe impl<T: Send> Send for Queue<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Queue<T> {}

/// How far the one receiver has come.
pub(super) struct Reader {
    /// Twice the number of the next message.
    head: u64,
}

impl Reader {
    pub(super) fn first() -> Reader {
        Reader { head: 0 }
    }
}

impl<T> Queue<T> {
    pub(super) fn new(capacity: usize) -> Queue<T> {
        let slots = (0..capacity.next_power_of_two()).map(|_| Slot {
            stamp: AtomicU64::new(0),
            message: UnsafeCell::new(MaybeUninit::uninit()),
        });
        Queue {
            tail: OwnLine(AtomicU64::new(0)),
            receiving: WakerSlot::new(),
            slots: slots.collect(),
        }
    }

    fn slot(&self, number: u64) -> &Slot<T> {
        &self.slots[(number / NUMBER) as usize & (self.slots.len() - 1)]
    }

    /// For who has a place, which is used by that. The message comes back if the receiver has gone.
    #[inline]
    pub(super) fn push(&self, message: T) -> Result<(), T> {
        // Release and Acquire: see "Why a slot is empty".
        let number = self.tail.fetch_add(NUMBER, Ordering::AcqRel);
        if number & GONE != 0 {
            return Err(message);
        }
        let slot = self.slot(number);
        // SAFETY: the number is ours alone, and the slot was emptied: see above.
        slot.message
            .with_mut(|place| unsafe { (*place).write(message) });
        // Release: the receiver sees the message. Acquire: it left its waker before it set `WAITS`.
        if slot.stamp.swap(number + NUMBER, Ordering::AcqRel) & WAITS != 0 {
            self.receiving.wake();
        }
        Ok(())
    }

    /// Whether the next message is there.
    #[inline]
    pub(super) fn has_message(&self, reader: &Reader) -> bool {
        self.slot(reader.head).stamp.load(Ordering::Acquire) == reader.head + NUMBER
    }

    /// The next message if it is there. Its place is still to be given back.
    #[inline]
    pub(super) fn pop(&self, reader: &mut Reader) -> Option<T> {
        if !self.has_message(reader) {
            return None;
        }
        let slot = self.slot(reader.head);
        reader.head += NUMBER;
        // SAFETY: the stamp says that the message is there, and the only reader has just passed it, so it is read once.
        let message = slot
            .message
            .with_mut(|place| unsafe { (*place).assume_init_read() });
        Some(message)
    }

    /// How many numbers have been drawn that the reader has not come to.
    pub(super) fn len(&self, reader: &Reader) -> u64 {
        (self.tail.load(Ordering::Acquire) - reader.head) / NUMBER
    }

    /// True if the waker will be woken when the next message is there, or by [`wake`](Queue::wake); false if it is there.
    pub(super) fn wait(&self, reader: &Reader, waker: &Waker) -> bool {
        self.receiving.register(waker);
        let stamp = &self.slot(reader.head).stamp;
        let seen = stamp.load(Ordering::Relaxed);
        if seen & WAITS != 0 {
            return true;
        }
        // Release: who finds the mark finds the waker, too.
        seen != reader.head + NUMBER
            && stamp
                .compare_exchange(seen, seen | WAITS, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
    }

    /// Wakes the receiver if it waits, for the end.
    #[cold]
    pub(super) fn wake(&self) {
        self.receiving.wake();
    }

    /// Nothing is filled in any more; what was, is dropped.
    pub(super) fn end(&self, reader: &mut Reader) {
        let tail = self.tail.fetch_or(GONE, Ordering::AcqRel);
        while reader.head < tail {
            match self.pop(reader) {
                // A destructor may panic: the rest is dropped all the same.
                Some(message) => quietly(|| drop(message)),
                // Who drew this number is about to fill the slot, and does nothing else in between.
                None => yield_now(),
            }
        }
    }
}
