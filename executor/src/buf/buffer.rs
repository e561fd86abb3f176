//! [`Buffer`]: memory for reads and writes, where possible memory that the kernel knows.

use std::alloc::{Layout, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;

use super::arena::{self, Region};
use super::buddy::Block;
use super::{IoBuf, IoBufMut};

/// Memory for reads and writes, made by [`alloc`](super::alloc) or [`alloc_aligned`](super::alloc_aligned).
///
/// It is used like a `Vec<u8>` whose capacity cannot change: empty at first, filled by reads or with
/// [`extend_from_slice`](Buffer::extend_from_slice). If it is of this core's registered memory, operations on pipes and files use the
/// kernel's shorter way (`READ_FIXED`, `WRITE_FIXED`) by themselves; anywhere else it is as good as any other buffer. It may be
/// sent to other threads, be dropped there, and outlive its runtime.
pub struct Buffer {
    start: NonNull<u8>,
    len: usize,
    capacity: usize,
    origin: Origin,
}

enum Origin {
    Arena { region: Arc<Region>, block: Block },
    Heap { layout: Layout },
}

// SAFETY: the memory is the buffer's alone, and its way back is open to every thread.
unsafe impl Send for Buffer {}
// SAFETY: a shared buffer is only read.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// # Panics
    ///
    /// If so much cannot be asked for at all, like a vector.
    pub(super) fn new(capacity: usize, align: usize) -> Buffer {
        if align <= PAGE
            && let Some((region, block)) = arena::take(capacity.max(align))
        {
            return Buffer {
                start: region.address(block),
                len: 0,
                capacity,
                origin: Origin::Arena { region, block },
            };
        }
        let layout = Layout::from_size_align(capacity.max(1), align);
        let layout = layout.expect("capacity overflow: a buffer holds at most isize::MAX bytes");
        // SAFETY: the size is not zero.
        let start = NonNull::new(unsafe { std::alloc::alloc(layout) });
        Buffer {
            start: start.unwrap_or_else(|| handle_alloc_error(layout)),
            len: 0,
            capacity,
            origin: Origin::Heap { layout },
        }
    }

    /// How many bytes it has room for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Appends `bytes`.
    ///
    /// # Panics
    ///
    /// If there is no room for them: a buffer does not grow.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        let room = self.capacity - self.len;
        assert!(
            bytes.len() <= room,
            "{} bytes do not fit into the {room} that are left of a buffer of {}",
            bytes.len(),
            self.capacity
        );
        // SAFETY: within the capacity; `bytes` are not ours, as we are borrowed exclusively.
        unsafe {
            let end = self.start.add(self.len);
            end.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len());
        }
        self.len += bytes.len();
    }

    /// Makes it `len` bytes long: shorter, or longer by bytes that are `value`.
    ///
    /// # Panics
    ///
    /// If `len` is more than the capacity.
    pub fn resize(&mut self, len: usize, value: u8) {
        assert!(
            len <= self.capacity,
            "a buffer of {} bytes cannot be {len} long",
            self.capacity
        );
        if len > self.len {
            // SAFETY: within the capacity.
            unsafe { self.start.add(self.len).write_bytes(value, len - self.len) };
        }
        self.len = len;
    }

    /// Makes it empty. The capacity stays.
    pub fn clear(&mut self) {
        self.len = 0;
    }
}

/// Blocks of an arena are aligned at most to this.
const PAGE: usize = 4096;

impl Drop for Buffer {
    fn drop(&mut self) {
        match &self.origin {
            Origin::Arena { region, block } => arena::give_back(region, *block),
            // SAFETY: allocated in `new` with this layout.
            Origin::Heap { layout } => unsafe { dealloc(self.start.as_ptr(), *layout) },
        }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the first `len` bytes are initialised and ours.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: the first `len` bytes are initialised and ours alone.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer")
            .field("bytes", &&**self)
            .field("capacity", &self.capacity)
            .finish()
    }
}

// SAFETY: the memory stays where it is until the buffer is dropped; `len` bytes are initialised, `capacity` are ours.
unsafe impl IoBuf for Buffer {
    fn as_ptr(&self) -> *const u8 {
        self.start.as_ptr()
    }

    fn initialized_len(&self) -> usize {
        self.len
    }

    fn capacity(&self) -> usize {
        self.capacity
    }

    fn registered(&self) -> Option<u16> {
        match &self.origin {
            Origin::Arena { region, .. } => arena::index(region),
            Origin::Heap { .. } => None,
        }
    }
}

// SAFETY: the memory is the buffer's alone; the length moves nothing.
unsafe impl IoBufMut for Buffer {
    fn as_mut_ptr(&mut self) -> *mut u8 {
        self.start.as_ptr()
    }

    unsafe fn set_initialized(&mut self, len: usize) {
        debug_assert!(len <= self.capacity);
        self.len = len;
    }
}
