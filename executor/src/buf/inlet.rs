//! [`Inlet`]: what a stream has received and nobody has read yet.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;

use super::Own;
use super::{Chunk, IoBufMut, IoVectoredBufMut};

/// Larger memory of an adopted read is not kept for the next one.
const SPARE_MAX: usize = 4096;

/// What has an inlet. The buffers of the pool that wait there or are leased out from there know it.
pub(crate) trait Receiver {
    fn inlet(&self) -> &Inlet;
}

/// Received chunks in order. Everything that reads the stream reads from its front.
#[derive(Default)]
pub(crate) struct Inlet {
    /// One chunk is what a request usually is: more memory is taken only when there are more.
    first: Cell<Option<Chunk>>,
    rest: OnceCell<Box<RefCell<Rest>>>,
    /// Buffers of the pool that wait here or are leased out from here.
    held: Cell<u32>,
    /// There is a first one.
    is_filled: Cell<bool>,
    is_closed: Cell<bool>,
}

#[derive(Default)]
struct Rest {
    /// Not empty only if there is a first one.
    chunks: VecDeque<Chunk>,
    /// Memory of an adopted read that was read, for the next one.
    spare: Option<Box<Own>>,
}

impl Inlet {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        !self.is_filled.get()
    }

    /// How many buffers of the pool wait here or are leased out from here.
    pub(crate) fn held(&self) -> usize {
        self.held.get() as usize
    }

    pub(super) fn hold(&self) {
        self.held.set(self.held.get() + 1);
    }

    pub(super) fn let_go(&self) {
        self.held.set(self.held.get() - 1);
    }

    fn rest(&self) -> &RefCell<Rest> {
        self.rest.get_or_init(Box::default)
    }

    fn set_first(&self, chunk: Option<Chunk>) {
        self.is_filled.set(chunk.is_some());
        self.first.set(chunk);
    }

    /// Adds what was received last. After the end nobody wants it any more.
    pub(crate) fn push(&self, chunk: Chunk) {
        if self.is_closed.get() || chunk.is_empty() {
            return drop(chunk);
        }
        match self.is_empty() {
            true => self.set_first(Some(chunk)),
            false => self.rest().borrow_mut().chunks.push_back(chunk),
        }
    }

    /// Gives back what was taken from the front and not used.
    pub(crate) fn push_front(&self, chunk: Chunk) {
        if self.is_closed.get() || chunk.is_empty() {
            return drop(chunk);
        }
        if let Some(first) = self.first.take() {
            self.rest().borrow_mut().chunks.push_front(first);
        }
        self.set_first(Some(chunk));
    }

    /// Adds the bytes that `salvage` puts into an empty queue, as one chunk. True if there were any.
    pub(crate) fn adopt(&self, salvage: impl FnOnce(&mut VecDeque<u8>)) -> bool {
        let spare = self.rest().borrow_mut().spare.take();
        let mut own = spare.unwrap_or_default();
        let mut bytes = VecDeque::from(std::mem::take(&mut own.bytes));
        salvage(&mut bytes);
        let adopted = !bytes.is_empty();
        own.bytes = Vec::from(bytes);
        self.push(Chunk::own(own));
        adopted
    }

    /// The first chunk, whole.
    pub(crate) fn pop(&self) -> Option<Chunk> {
        let first = self.first.take()?;
        self.move_up();
        Some(first)
    }

    /// The first one is gone.
    fn move_up(&self) {
        let rest = self.rest.get();
        self.set_first(rest.and_then(|rest| rest.borrow_mut().chunks.pop_front()));
    }

    /// Drops everything, also what is still to come.
    pub(crate) fn close(&self) {
        self.is_closed.set(true);
        drop(self.first.take());
        self.is_filled.set(false);
        drop(self.rest.get().map(|rest| rest.take()));
    }

    /// Copies bytes from the front to `room` without taking them; returns how many.
    ///
    /// # Safety
    ///
    /// `room` is valid for writes of `capacity` bytes, none of which are the queue's.
    #[inline(never)]
    unsafe fn copy(&self, room: *mut u8, capacity: usize) -> usize {
        let mut copied = 0;
        let mut copy = |chunk: &Chunk| {
            let share = chunk.len().min(capacity - copied);
            // SAFETY: `share` is within the chunk and within what is left of the room.
            unsafe {
                room.add(copied)
                    .copy_from_nonoverlapping(chunk.as_ptr(), share);
            }
            copied += share;
            copied < capacity
        };
        let Some(first) = self.first.take() else {
            return 0;
        };
        if copy(&first)
            && let Some(rest) = self.rest.get()
        {
            let _ = rest.borrow().chunks.iter().all(copy);
        }
        self.first.set(Some(first));
        copied
    }

    /// Keeps `memory` for the next adopted read, if there have been any and it is not too much.
    fn keep(&self, memory: Box<Own>) {
        if let Some(rest) = self.rest.get()
            && memory.bytes.capacity() <= SPARE_MAX
        {
            rest.borrow_mut().spare = Some(memory);
        }
    }

    /// Takes `count` bytes off the front, of those there are.
    #[inline(never)]
    fn consume(&self, count: usize) {
        let mut left = count;
        while left > 0 {
            let Some(mut first) = self.first.take() else {
                return;
            };
            if left < first.len() {
                first.advance(left);
                return self.first.set(Some(first));
            }
            self.move_up();
            left -= first.len();
            if let Some(memory) = first.into_own() {
                self.keep(memory);
            }
        }
    }
}

/// Moves as many bytes from the front of `inlet` into `buf` as fit behind its first `done` bytes; returns how many.
/// The buffer is not told.
pub(crate) fn fill_from<B: IoBufMut>(buf: &mut B, done: usize, inlet: &Inlet) -> usize {
    let capacity = buf.capacity() - done;
    // SAFETY: the contract of `IoBufMut` makes the capacity valid for writes; the queue owns its memory,
    // so it is not the buffer's.
    let count = unsafe { inlet.copy(buf.as_mut_ptr().add(done), capacity) };
    inlet.consume(count);
    count
}

/// Copies as many bytes from the front of `inlet` into `buf` as fit, and tells it. They stay in the queue.
pub(crate) fn copy_from<B: IoBufMut>(buf: &mut B, inlet: &Inlet) -> usize {
    // SAFETY: as in `fill_from`; what is reported was written.
    unsafe {
        let count = inlet.copy(buf.as_mut_ptr(), buf.capacity());
        buf.set_initialized(count);
        count
    }
}

/// As [`fill_from`], for several buffers, which are told.
pub(crate) fn fill_vectored_from<B: IoVectoredBufMut>(bufs: &mut B, inlet: &Inlet) -> usize {
    let mut total = 0;
    for index in 0..bufs.count() {
        let (room, capacity) = bufs.part_mut(index);
        // SAFETY: the contract of `IoVectoredBufMut` makes the part's capacity valid for writes; as in `fill_from`.
        let count = unsafe { inlet.copy(room, capacity) };
        inlet.consume(count);
        total += count;
    }
    // SAFETY: so many bytes, counted through the capacities in order, have just been written: a part is left
    // short only when the queue is empty.
    unsafe { bufs.set_initialized(total) };
    total
}
