//! [`Inlet`]: what a stream has received and nobody has read yet.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use super::{Chunk, IoBufMut, IoVectoredBufMut};

/// Received chunks in order. Everything that reads the stream reads from its front.
#[derive(Default)]
pub(crate) struct Inlet {
    chunks: RefCell<VecDeque<Chunk>>,
    /// Bytes in the queue.
    len: Cell<usize>,
    /// Memory of the pool, in bytes, that waits here or is leased out from here.
    held: Cell<usize>,
    is_closed: Cell<bool>,
}

impl Inlet {
    pub(crate) fn is_empty(&self) -> bool {
        self.len.get() == 0
    }

    pub(crate) fn held(&self) -> usize {
        self.held.get()
    }

    pub(super) fn add_held(&self, bytes: usize) {
        self.held.set(self.held.get() + bytes);
    }

    pub(super) fn subtract_held(&self, bytes: usize) {
        self.held.set(self.held.get() - bytes);
    }

    /// Adds what was received last. After the end nobody wants it any more.
    pub(crate) fn push(&self, chunk: Chunk) {
        if self.is_closed.get() || chunk.is_empty() {
            return drop(chunk);
        }
        self.len.set(self.len.get() + chunk.len());
        self.chunks.borrow_mut().push_back(chunk);
    }

    /// Gives back what was taken from the front and not used.
    pub(crate) fn push_front(&self, chunk: Chunk) {
        if self.is_closed.get() || chunk.is_empty() {
            return drop(chunk);
        }
        self.len.set(self.len.get() + chunk.len());
        self.chunks.borrow_mut().push_front(chunk);
    }

    /// The first chunk, whole.
    pub(crate) fn pop(&self) -> Option<Chunk> {
        let chunk = self.chunks.borrow_mut().pop_front()?;
        self.len.set(self.len.get() - chunk.len());
        Some(chunk)
    }

    /// Drops everything, also what is still to come.
    pub(crate) fn close(&self) {
        self.is_closed.set(true);
        self.len.set(0);
        drop(self.chunks.take());
    }

    /// Copies bytes from the front to `room` without taking them; returns how many.
    ///
    /// # Safety
    ///
    /// `room` is valid for writes of `capacity` bytes, none of which are the queue's.
    unsafe fn copy(&self, room: *mut u8, capacity: usize) -> usize {
        let mut copied = 0;
        for chunk in &*self.chunks.borrow() {
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

    /// Takes `count` bytes off the front, of those there are.
    fn consume(&self, count: usize) {
        self.len.set(self.len.get() - count);
        let mut left = count;
        while left > 0 {
            let mut chunks = self.chunks.borrow_mut();
            let Some(first) = chunks.front_mut() else {
                return;
            };
            if left < first.len() {
                return first.advance(left);
            }
            let read = chunks.pop_front();
            drop(chunks);
            left -= read.as_ref().map_or(0, |chunk| chunk.len());
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
