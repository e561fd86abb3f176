//! The ring, and its two ends.
//!
//! Message number `n` travels in slot `n` modulo the number of slots. There are two words, each with a count in its upper bits:
//!
//! | word | count | `CLOSED` | `WAITS` |
//! |---|---|---|---|
//! | `tail` | sent; changed by the producer | nothing will be sent any more; set by either end | the consumer waits for the count to change |
//! | `head` | received; changed by the consumer | nothing will be received any more; set by the consumer | the producer waits for the count to change |
//!
//! Slots from `head` up to `tail` hold messages and are the consumer's, all others are the producer's. Because "waits" and "closed" stand in
//! the same word as the count, nobody goes to sleep over a message, and none is sent after the end: each change that
//! would is made by an exchange that fails.
//!
//! # Going to sleep
//!
//! Who waits leaves its waker, then sets `WAITS` in exchange for the very word it had looked at. Who changes the word takes `WAITS`
//! out in the same step, and that one wakes.

use std::mem::MaybeUninit;
use std::task::Waker;

use super::super::OwnLine;
use super::super::waker_slot::WakerSlot;
use super::{TryRecvError, TrySendError};
use crate::primitives::{Arc, AtomicU64, Ordering, UnsafeCell};

const WAITS: u64 = 1;
const CLOSED: u64 = 2;
const FLAGS: u32 = 2;

struct Ring<T> {
    tail: OwnLine<AtomicU64>,
    head: OwnLine<AtomicU64>,
    /// Of the consumer that waits for messages.
    receiving: WakerSlot,
    /// Of the producer that waits for room.
    sending: WakerSlot,
    /// Of the producer that waits for the end.
    closing: WakerSlot,
    /// A power of two; `capacity` of them are in use at the same time.
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
    capacity: u64,
}

// SAFETY: a slot is touched by one end at a time: the counts say by which, and whoever changes one publishes what it did to the
// slots before. Messages go from one thread to the other, so they have to be `Send`; no reference to one is ever shared.
unsafe impl<T: Send> Send for Ring<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Ring<T> {}

impl<T> Ring<T> {
    fn slot(&self, number: u64) -> &UnsafeCell<MaybeUninit<T>> {
        &self.slots[number as usize & (self.slots.len() - 1)]
    }
}

/// The end that messages go in. There is one.
pub(super) struct Producer<T> {
    ring: Arc<Ring<T>>,
    /// Messages sent.
    tail: u64,
    /// Messages received, when it was looked at last.
    head_seen: u64,
}

/// The end that messages come out of. There is one.
pub(super) struct Consumer<T> {
    ring: Arc<Ring<T>>,
    /// Messages received.
    head: u64,
    /// Messages sent, when it was looked at last.
    tail_seen: u64,
    /// Nothing comes behind them.
    is_final: bool,
    /// `CLOSED` if this end has closed the channel.
    closed: u64,
}

pub(super) fn ring<T>(capacity: usize) -> (Producer<T>, Consumer<T>) {
    let slots = (0..capacity.next_power_of_two()).map(|_| UnsafeCell::new(MaybeUninit::uninit()));
    let ring = Arc::new(Ring {
        tail: OwnLine(AtomicU64::new(0)),
        head: OwnLine(AtomicU64::new(0)),
        receiving: WakerSlot::new(),
        sending: WakerSlot::new(),
        closing: WakerSlot::new(),
        slots: slots.collect(),
        capacity: capacity as u64,
    });
    let producer = Producer {
        ring: ring.clone(),
        tail: 0,
        head_seen: 0,
    };
    let consumer = Consumer {
        ring,
        head: 0,
        tail_seen: 0,
        is_final: false,
        closed: 0,
    };
    (producer, consumer)
}

impl<T> Producer<T> {
    /// Whether there is room for a message.
    #[inline]
    pub(super) fn has_room(&mut self) -> bool {
        self.tail - self.head_seen < self.ring.capacity || self.finds_room()
    }

    #[cold]
    fn finds_room(&mut self) -> bool {
        // Acquire: the consumer is done with the slots that it says are free.
        self.head_seen = self.ring.head.load(Ordering::Acquire) >> FLAGS;
        self.tail - self.head_seen < self.ring.capacity
    }

    pub(super) fn is_closed(&self) -> bool {
        self.ring.tail.load(Ordering::Acquire) & CLOSED != 0
    }

    /// How many messages there is room for, by now or soon.
    pub(super) fn room(&self) -> u64 {
        let received = self.ring.head.load(Ordering::Acquire) >> FLAGS;
        self.ring.capacity - (self.tail - received)
    }

    #[inline]
    pub(super) fn push(&mut self, message: T) -> Result<(), TrySendError<T>> {
        if !self.has_room() {
            return Err(match self.is_closed() {
                true => TrySendError::Closed(message),
                false => TrySendError::Full(message),
            });
        }
        let slot = self.ring.slot(self.tail);
        // SAFETY: there is room, so this slot is ours and holds no message.
        slot.with_mut(|place| unsafe { (*place).write(message) });
        let mut seen = self.tail << FLAGS;
        let next = (self.tail + 1) << FLAGS;
        loop {
            // Release: the consumer sees the message. Acquire: its waker was left before it set `WAITS`.
            match self
                .ring
                .tail
                .compare_exchange(seen, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => break,
                Err(now) if now & CLOSED != 0 => {
                    // SAFETY: written above, and not published.
                    let message = slot.with_mut(|place| unsafe { (*place).assume_init_read() });
                    return Err(TrySendError::Closed(message));
                }
                Err(now) => seen = now,
            }
        }
        self.tail += 1;
        if seen & WAITS != 0 {
            self.ring.receiving.wake();
        }
        Ok(())
    }

    /// True if the waker will be woken when there is room or the channel is closed; false if that is worth a look now.
    #[cold]
    pub(super) fn wait_for_room(&mut self, waker: &Waker) -> bool {
        self.ring.sending.register(waker);
        set_waiting(&self.ring.head, self.head_seen)
    }

    /// True if the waker will be woken when the channel is closed; false if it is.
    pub(super) fn wait_for_the_end(&self, waker: &Waker) -> bool {
        self.ring.closing.register(waker);
        !self.is_closed()
    }
}

impl<T> Drop for Producer<T> {
    fn drop(&mut self) {
        let seen = self.ring.tail.fetch_or(CLOSED, Ordering::AcqRel);
        if seen & WAITS != 0 {
            self.ring.receiving.wake();
        }
    }
}

impl<T> Consumer<T> {
    /// Whether there is a message.
    #[inline]
    pub(super) fn has_message(&mut self) -> bool {
        self.head != self.tail_seen || self.finds_message()
    }

    fn finds_message(&mut self) -> bool {
        // Acquire: what the slots hold.
        let tail = self.ring.tail.load(Ordering::Acquire);
        self.tail_seen = tail >> FLAGS;
        self.is_final = tail & CLOSED != 0;
        self.head != self.tail_seen
    }

    /// When there was no message: whether there will be none.
    pub(super) fn is_finished(&self) -> bool {
        self.is_final && self.head == self.tail_seen
    }

    /// How many messages are queued.
    pub(super) fn len(&self) -> u64 {
        (self.ring.tail.load(Ordering::Acquire) >> FLAGS) - self.head
    }

    pub(super) fn capacity(&self) -> u64 {
        self.ring.capacity
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Result<T, TryRecvError> {
        if !self.has_message() {
            return Err(match self.is_final {
                true => TryRecvError::Closed,
                false => TryRecvError::Empty,
            });
        }
        let message = self.read();
        self.publish();
        Ok(message)
    }

    /// Takes up to `limit` messages, and publishes that once.
    pub(super) fn pop_many(&mut self, messages: &mut Vec<T>, limit: usize) -> usize {
        if limit == 0 || !self.has_message() {
            return 0;
        }
        let count = (self.tail_seen - self.head).min(limit as u64);
        messages.reserve(count as usize);
        for _ in 0..count {
            messages.push(self.read());
        }
        self.publish();
        count as usize
    }

    /// To be called when there is a message, and before `publish`.
    #[inline]
    fn read(&mut self) -> T {
        debug_assert_ne!(self.head, self.tail_seen);
        let slot = self.ring.slot(self.head);
        self.head += 1;
        // SAFETY: the slot was between the counts, so it holds a message and is ours; the count goes on, so it is read once.
        slot.with_mut(|place| unsafe { (*place).assume_init_read() })
    }

    /// Gives free what was read.
    #[inline]
    fn publish(&mut self) {
        let word = (self.head << FLAGS) | self.closed;
        // Release: the slots were read before. Acquire: the producer left its waker before it set `WAITS`.
        let seen = self.ring.head.swap(word, Ordering::AcqRel);
        if seen & WAITS != 0 {
            self.ring.sending.wake();
        }
    }

    /// True if the waker will be woken when there is a message or the end; false if that is worth a look now.
    pub(super) fn wait(&mut self, waker: &Waker) -> bool {
        self.ring.receiving.register(waker);
        set_waiting(&self.ring.tail, self.tail_seen)
    }

    /// Nothing can be sent from now on; what was sent can be received.
    pub(super) fn close(&mut self) {
        self.ring.tail.fetch_or(CLOSED, Ordering::AcqRel);
        self.closed = CLOSED;
        self.publish();
        self.ring.closing.wake();
    }
}

impl<T> Drop for Consumer<T> {
    fn drop(&mut self) {
        self.close();
        // A message's destructor may panic: the rest is dropped all the same.
        while let Ok(message) = self.pop() {
            super::super::quietly(|| drop(message));
        }
    }
}

/// True if the word says that its reader waits; false if its count is another, or it is closed.
fn set_waiting(word: &AtomicU64, count: u64) -> bool {
    let seen = count << FLAGS;
    // Release: who finds the mark finds the waker, too.
    match word.compare_exchange(seen, seen | WAITS, Ordering::AcqRel, Ordering::Relaxed) {
        Ok(_) => true,
        Err(now) => now == seen | WAITS,
    }
}
