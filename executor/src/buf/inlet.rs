//! [`Inlet`]: what a stream has received and nobody has read yet.

use std::cell::Cell;
use std::collections::VecDeque;

use super::{Chunk, IoBufMut, IoVectoredBufMut, Own};

/// Larger memory of an adopted read is not kept for the next one.
const SPARE_MAX: usize = 4096;

/// What has an inlet. The buffers of the pool that wait there or are leased out from there know it.
pub(crate) trait Receiver {
    fn inlet(&self) -> &Inlet;
}

/// Received chunks in order. Everything that reads the stream reads from its front.
#[derive(Default)]
pub(crate) struct Inlet {
    content: Cell<Content>,
    /// Buffers of the pool that wait here or are leased out from here.
    held: Cell<u32>,
    is_filled: Cell<bool>,
    is_closed: Cell<bool>,
}

/// One chunk is what a request usually is: more memory is taken only when there are more, or an adopted read, and kept then.
#[derive(Default)]
enum Content {
    #[default]
    Nothing,
    One(Chunk),
    More(Box<More>),
}

#[derive(Default)]
struct More {
    chunks: VecDeque<Chunk>,
    /// Memory of an adopted read that was read, for the next one.
    spare: Option<Box<Own>>,
}

impl Content {
    fn more(self) -> Box<More> {
        match self {
            Content::Nothing => Box::default(),
            Content::One(chunk) => {
                let mut more = Box::<More>::default();
                more.chunks.push_back(chunk);
                more
            }
            Content::More(more) => more,
        }
    }

    fn is_filled(&self) -> bool {
        match self {
            Content::Nothing => false,
            Content::One(_) => true,
            Content::More(more) => !more.chunks.is_empty(),
        }
    }
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

    fn put(&self, content: Content) {
        self.is_filled.set(content.is_filled());
        self.content.set(content);
    }

    /// Puts a chunk where `place` says among several.
    fn add(&self, chunk: Chunk, place: impl FnOnce(&mut VecDeque<Chunk>, Chunk)) {
        // After the end nobody wants it any more.
        if self.is_closed.get() || chunk.is_empty() {
            return drop(chunk);
        }
        let content = match self.content.take() {
            Content::Nothing => Content::One(chunk),
            several => {
                let mut more = several.more();
                place(&mut more.chunks, chunk);
                Content::More(more)
            }
        };
        self.put(content);
    }

    /// Adds what was received last.
    pub(crate) fn push(&self, chunk: Chunk) {
        self.add(chunk, VecDeque::push_back);
    }

    /// Gives back what was taken from the front and not used.
    pub(crate) fn push_front(&self, chunk: Chunk) {
        self.add(chunk, VecDeque::push_front);
    }

    /// Adds the bytes that `salvage` puts into an empty queue, as one chunk. True if there were any.
    pub(crate) fn adopt(&self, salvage: impl FnOnce(&mut VecDeque<u8>)) -> bool {
        let mut own = self.take_spare();
        let memory = own.as_mut().map(|own| std::mem::take(&mut own.bytes));
        let mut bytes = VecDeque::from(memory.unwrap_or_default());
        salvage(&mut bytes);
        let adopted = !bytes.is_empty();
        if adopted {
            own.get_or_insert_default();
        }
        if let Some(mut own) = own {
            own.bytes = Vec::from(bytes);
            self.take_in(own);
        }
        adopted
    }

    /// An adopted read, or memory for one.
    fn take_in(&self, own: Box<Own>) {
        if !self.is_closed.get() {
            self.put(Content::More(self.content.take().more()));
            match own.bytes.is_empty() {
                true => self.keep(own),
                false => self.push(Chunk::own(own)),
            }
        }
    }

    fn take_spare(&self) -> Option<Box<Own>> {
        let mut content = self.content.take();
        let spare = match &mut content {
            Content::More(more) => more.spare.take(),
            Content::Nothing | Content::One(_) => None,
        };
        self.content.set(content);
        spare
    }

    /// The first chunk, whole.
    pub(crate) fn pop(&self) -> Option<Chunk> {
        if self.is_empty() {
            return None;
        }
        match self.content.take() {
            Content::Nothing => None,
            Content::One(chunk) => {
                self.is_filled.set(false);
                Some(chunk)
            }
            Content::More(mut more) => {
                let first = more.chunks.pop_front();
                self.put(Content::More(more));
                first
            }
        }
    }

    /// Drops everything, also what is still to come.
    pub(crate) fn close(&self) {
        self.is_closed.set(true);
        self.is_filled.set(false);
        drop(self.content.take());
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
        let content = self.content.take();
        let _ = match &content {
            Content::Nothing => true,
            Content::One(chunk) => copy(chunk),
            Content::More(more) => more.chunks.iter().all(copy),
        };
        self.content.set(content);
        copied
    }

    /// Takes `count` bytes off the front, of those there are.
    #[inline(never)]
    fn consume(&self, count: usize) {
        let mut left = count;
        while left > 0 {
            let Some(mut first) = self.pop() else {
                return;
            };
            if left < first.len() {
                first.advance(left);
                return self.push_front(first);
            }
            left -= first.len();
            if let Some(memory) = first.into_own() {
                self.keep(memory);
            }
        }
    }

    /// Keeps `memory` for the next adopted read, if there have been any and it is not too much.
    fn keep(&self, memory: Box<Own>) {
        let mut content = self.content.take();
        if let Content::More(more) = &mut content
            && memory.bytes.capacity() <= SPARE_MAX
        {
            more.spare = Some(memory);
        }
        self.content.set(content);
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
