//! The buffers of the standard library.

use std::rc::Rc;
use std::sync::Arc;

use super::{IoBuf, IoBufMut};

// SAFETY: the bytes of a `Vec` are on the heap and stay there while the `Vec` moves; only
// `&mut` access reallocates or changes the length. The first `len` bytes are initialised,
// `capacity` bytes are owned, and the address is not null even when nothing is allocated.
unsafe impl IoBuf for Vec<u8> {
    fn as_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn initialized_len(&self) -> usize {
        self.len()
    }

    fn capacity(&self) -> usize {
        self.capacity()
    }
}

// SAFETY: a `Vec` owns its `capacity` bytes alone and may write to all of them; `set_len`
// moves nothing.
unsafe impl IoBufMut for Vec<u8> {
    fn as_mut_ptr(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }

    unsafe fn set_initialized(&mut self, len: usize) {
        debug_assert!(len <= self.capacity());
        // SAFETY: the caller promises that `len` is within the capacity and that this
        // many bytes are initialised.
        unsafe { self.set_len(len) }
    }
}

// SAFETY: as for `Vec`, with a length that never changes and is all initialised.
unsafe impl IoBuf for Box<[u8]> {
    fn as_ptr(&self) -> *const u8 {
        (**self).as_ptr()
    }

    fn initialized_len(&self) -> usize {
        self.len()
    }
}

// SAFETY: the box owns its bytes alone.
unsafe impl IoBufMut for Box<[u8]> {
    fn as_mut_ptr(&mut self) -> *mut u8 {
        (**self).as_mut_ptr()
    }

    unsafe fn set_initialized(&mut self, len: usize) {
        debug_assert!(len <= self.len());
    }
}

// SAFETY: the borrow lasts for ever, and nothing changes what is borrowed.
unsafe impl IoBuf for &'static [u8] {
    fn as_ptr(&self) -> *const u8 {
        (**self).as_ptr()
    }

    fn initialized_len(&self) -> usize {
        self.len()
    }
}

// SAFETY: as for `&'static [u8]`.
unsafe impl IoBuf for &'static str {
    fn as_ptr(&self) -> *const u8 {
        (**self).as_ptr()
    }

    fn initialized_len(&self) -> usize {
        self.len()
    }
}

// SAFETY: as for `Vec`. There is no `IoBufMut`: what the kernel writes need not be UTF-8.
unsafe impl IoBuf for String {
    fn as_ptr(&self) -> *const u8 {
        self.as_str().as_ptr()
    }

    fn initialized_len(&self) -> usize {
        self.len()
    }
}

// SAFETY: the bytes are on the heap, and while this reference exists no other one can
// change them: `Arc::get_mut` answers `None`.
unsafe impl IoBuf for Arc<[u8]> {
    fn as_ptr(&self) -> *const u8 {
        (**self).as_ptr()
    }

    fn initialized_len(&self) -> usize {
        self.len()
    }
}

// SAFETY: as for `Arc<[u8]>`.
unsafe impl IoBuf for Rc<[u8]> {
    fn as_ptr(&self) -> *const u8 {
        (**self).as_ptr()
    }

    fn initialized_len(&self) -> usize {
        self.len()
    }
}
