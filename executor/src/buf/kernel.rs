//! Between buffers and the kernel's view of them: what the operations in `op/` use.

use std::collections::VecDeque;

use super::{IoBufMut, IoVectoredBuf, IoVectoredBufMut, Vector};
use super::{to_fill_vectored, to_send_vectored};

/// The first `len` bytes of `buf`, which an operation on `buf` has filled, as its
/// completion says; the buffer itself does not know of them yet.
pub(crate) fn filled<B: IoBufMut>(buf: &B, len: usize) -> &[u8] {
    assert!(
        len <= buf.capacity(),
        "filled {len} bytes of {}",
        buf.capacity()
    );
    // SAFETY: the contract of `IoBuf` makes the address valid for the capacity; the caller has the count
    // from the completion of an operation that filled this buffer from its first byte on.
    unsafe { std::slice::from_raw_parts(buf.as_ptr(), len) }
}

/// Tells `buf` that an operation has filled its first `len` bytes, as its completion says.
pub(crate) fn set_filled<B: IoBufMut>(buf: &mut B, len: usize) {
    assert!(
        len <= buf.capacity(),
        "filled {len} bytes of {}",
        buf.capacity()
    );
    // SAFETY: within the capacity, and initialised: see `filled`.
    unsafe { buf.set_initialized(len) }
}

/// Copies as many of `bytes` into `buf` as fit, and tells it.
pub(crate) fn fill_from_slice<B: IoBufMut>(buf: &mut B, bytes: &[u8]) -> usize {
    let count = buf.capacity().min(bytes.len());
    let room = buf.as_mut_ptr();
    // SAFETY: `count` is within the capacity, which the contract of `IoBufMut` makes valid for writes; the
    // memory is not the same, as `buf` is borrowed exclusively.
    unsafe {
        room.copy_from_nonoverlapping(bytes.as_ptr(), count);
        buf.set_initialized(count);
    }
    count
}

/// Tells `bufs` that an operation has filled their first `len` bytes, as its completion says.
pub(crate) fn set_filled_vectored<B: IoVectoredBufMut>(bufs: &mut B, len: usize) {
    // SAFETY: an operation fills at most the room it was given, and has filled `len` bytes of it.
    unsafe { bufs.set_initialized(len) }
}

/// Appends to `queue` the first `len` bytes of `bufs`, which an operation has filled.
pub(crate) fn salvage_vectored(vectors: &Vectors, len: usize, queue: &mut VecDeque<u8>) {
    let mut left = len;
    for vector in &vectors.list {
        let share = left.min(vector.iov_len);
        // SAFETY: the operation owns the buffers that these vectors were made from, so they are still
        // there; the completion says that so many bytes were filled.
        queue.extend(unsafe { std::slice::from_raw_parts(vector.iov_base.cast::<u8>(), share) });
        left -= share;
    }
}

/// The addresses and lengths of several buffers, and a message header for sockets.
/// Boxed by its operation, so that the kernel finds it where it was.
pub(crate) struct Vectors {
    list: Vec<Vector>,
    header: libc::msghdr,
}

// SAFETY: the pointers inside are only numbers to us: they are followed by the kernel, and by `salvage_vectored`
// for an operation that owns the buffers.
unsafe impl Send for Vectors {}

impl Vectors {
    pub(crate) fn new() -> Vectors {
        Vectors {
            list: Vec::new(),
            // SAFETY: all zeros are a valid header: no name, no data, no control messages.
            header: unsafe { std::mem::zeroed() },
        }
    }

    /// Now points at what `bufs` would send after `done` bytes.
    pub(crate) fn set_to_send<B: IoVectoredBuf>(&mut self, bufs: &B, done: usize) {
        to_send_vectored(bufs, done, &mut self.list);
    }

    /// Now points at the room that `bufs` has.
    pub(crate) fn set_to_fill<B: IoVectoredBufMut>(&mut self, bufs: &mut B) {
        to_fill_vectored(bufs, 0, &mut self.list);
    }

    pub(crate) fn list(&self) -> (*const Vector, u32) {
        (self.list.as_ptr(), self.list.len() as u32)
    }

    /// The list as a message header. Valid until the next `set_…`.
    pub(crate) fn header(&mut self) -> *const libc::msghdr {
        self.header.msg_iov = self.list.as_mut_ptr();
        self.header.msg_iovlen = self.list.len();
        &raw const self.header
    }
}
