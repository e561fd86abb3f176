//! [`Inlet`]: what a stream has received and nobody has read yet.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use super::chunk::Own;
use super::{Chunk, IoBufMut, IoVectoredBufMut};

/// Larger memory of an adopted read is not kept for the next one.
const SPARE_MAX: usize = 4096;

/// Received chunks in order. Everything that reads the stream reads from its front.
#[derive(Default)]
pub(crate) struct Inlet {
    queue: RefCell<Queue>,
    /// Buffers of the pool that wait here or are leased out from here.
    held: Cell<u32>,
    is_closed: Cell<bool>,
}

/// One chunk is what a request usually is: more memory is taken only when there are more.
#[derive(Default)]
struct Queue {
    first: Option<Chunk>,
    rest: Option<Box<Rest>>,
}

#[derive(Default)]
struct Rest {
    /// Not empty only if there is a first one.
    chunks: VecDeque<Chunk>,
    /// Memory of an adopted read that was read, for the next one.
    spare: Option<Box<Own>>,
}

impl Queue {
    fn push_back(&mut self, chunk: Chunk) {
        match self.first {
            None => self.first = Some(chunk),
            Some(_) => self.rest.get_or_insert_default().chunks.push_back(chunk),
        }
    }

    fn push_front(&mut self, chunk: Chunk) {
        if let Some(first) = self.first.replace(chunk) {
            self.rest.get_or_insert_default().chunks.push_front(first);
        }
    }

    fn pop_front(&mut self) -> Option<Chunk> {
        let next = self.rest.as_mut().and_then(|rest| rest.chunks.pop_front());
        std::mem::replace(&mut self.first, next)
    }

    fn iter(&self) -> impl Iterator<Item = &Chunk> {
        self.first
            .iter()
            .chain(self.rest.iter().flat_map(|rest| &rest.chunks))
    }
}

impl Inlet {
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.borrow().first.is_none()
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

    /// Adds what was received last. After the end nobody wants it any more.
    pub(crate) fn push(&self, chunk: Chunk) {
        if self.is_closed.get() || chunk.is_empty() {
            return drop(chunk);
        }
        self.queue.borrow_mut().push_back(chunk);
    }

    /// Gives back what was taken from the front and not used.
    pub(crate) fn push_front(&self, chunk: Chunk) {
        if self.is_closed.get() || chunk.is_empty() {
            return drop(chunk);
        }
        self.queue.borrow_mut().push_front(chunk);
    }

    /// Adds the bytes that `salvage` puts into an empty queue, as one chunk. True if there were any.
    pub(crate) fn adopt(&self, salvage: impl FnOnce(&mut VecDeque<u8>)) -> bool {
        let mut queue = self.queue.borrow_mut();
        let rest = queue.rest.get_or_insert_default();
        let mut own = rest.spare.take().unwrap_or_default();
        drop(queue);
        let mut bytes = VecDeque::from(std::mem::take(&mut own.bytes));
        salvage(&mut bytes);
        let adopted = !bytes.is_empty();
        own.bytes = Vec::from(bytes);
        self.push(Chunk::own(own));
        adopted
    }

    /// The first chunk, whole.
    pub(crate) fn pop(&self) -> Option<Chunk> {
        self.queue.borrow_mut().pop_front()
    }

    /// Drops everything, also what is still to come.
    pub(crate) fn close(&self) {
        self.is_closed.set(true);
        drop(self.queue.take());
    }

    /// Copies bytes from the front to `room` without taking them; returns how many.
    ///
    /// # Safety
    ///
    /// `room` is valid for writes of `capacity` bytes, none of which are the queue's.
    #[inline(never)]
    unsafe fn copy(&self, room: *mut u8, capacity: usize) -> usize {
        let mut copied = 0;
        for chunk in self.queue.borrow().iter() {
            let share = chunk.len().min(capacity - copied);
            // SAFETY: `share` is within the chunk and within what is left of the room.
            unsafe {
                room.add(copied)
                    .copy_from_nonoverlapping(chunk.as_ptr(), share);
            }
            copied += share;
            if copied == capacity {
                break;
            }
        }
        copied
    }

    /// Keeps `memory` for the next adopted read, if there have been any and it is not too much.
    fn keep(&self, memory: Box<Own>) {
        if let Some(rest) = &mut self.queue.borrow_mut().rest
            && memory.bytes.capacity() <= SPARE_MAX
        {
            rest.spare = Some(memory);
        }
    }

    /// Takes `count` bytes off the front, of those there are.
    #[inline(never)]
    fn consume(&self, count: usize) {
        let mut left = count;
        while left > 0 {
            let mut queue = self.queue.borrow_mut();
            let Some(first) = &mut queue.first else {
                return;
            };
            if left < first.len() {
                return first.advance(left);
            }
            left -= first.len();
            let read = queue.pop_front();
            drop(queue);
            if let Some(memory) = read.and_then(Chunk::into_own) {
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
