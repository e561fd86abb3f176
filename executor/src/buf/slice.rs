//! [`Slice`]: a part of a buffer that is a buffer itself.

use std::fmt;
use std::ops::{Bound, Deref, DerefMut, RangeBounds};

use super::{IoBuf, IoBufMut};

/// A part of a buffer, made by [`IoBuf::slice`].
///
/// It owns the whole buffer and is a buffer itself, for writes and for reads; it
/// dereferences to the initialised bytes of its range.
///
/// ```
/// use krug::buf::IoBuf;
///
/// let mut line = b"one two".to_vec();
/// line.reserve(16);
/// let len = line.len();
/// let tail = line.slice(len..); // a read into this appends to the line
/// assert!(tail.is_empty() && tail.capacity() >= 16);
/// assert_eq!(tail.into_inner(), b"one two");
/// ```
///
/// Invariant: `begin <= end`, and `begin` was within the initialised bytes when the
/// slice was made. Nothing shortens the buffer after that: the slice hands out no
/// `&mut` to it, and its own [`set_initialized`](IoBufMut::set_initialized) only grows it.
pub struct Slice<B> {
    buf: B,
    begin: usize,
    end: usize,
}

impl<B: IoBuf> Slice<B> {
    pub(super) fn new(buf: B, range: impl RangeBounds<usize>) -> Slice<B> {
        let (initialized, capacity) = (buf.initialized_len(), buf.capacity());
        let begin = match range.start_bound() {
            Bound::Included(&begin) => begin,
            Bound::Excluded(&before) => before
                .checked_add(1)
                .expect("a slice begins after every buffer"),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&last) => last
                .checked_add(1)
                .expect("a slice ends after every buffer"),
            Bound::Excluded(&end) => end,
            Bound::Unbounded => capacity,
        };
        assert!(begin <= end, "slice begins at {begin} but ends at {end}");
        assert!(
            begin <= initialized,
            "slice begins at {begin}, beyond the {initialized} initialised bytes of the buffer: what lies between would never be filled"
        );
        assert!(
            end <= capacity,
            "slice ends at {end}, beyond the buffer's capacity of {capacity}"
        );
        Slice { buf, begin, end }
    }

    /// Where the slice begins in its buffer.
    pub fn begin(&self) -> usize {
        self.begin
    }

    /// Where the slice ends in its buffer: the first byte that does not belong to it.
    pub fn end(&self) -> usize {
        self.end
    }

    /// The whole buffer, without giving up the slice.
    pub fn get_ref(&self) -> &B {
        &self.buf
    }

    /// The whole buffer.
    pub fn into_inner(self) -> B {
        self.buf
    }
}

// SAFETY: address, bytes and lengths are those of the inner buffer, which keeps the
// contract, shifted by `begin` and cut at `end`. `begin` is within the inner capacity by
// the type's invariant, so the shifted address stays in the same memory.
unsafe impl<B: IoBuf> IoBuf for Slice<B> {
    fn as_ptr(&self) -> *const u8 {
        self.buf.as_ptr().wrapping_add(self.begin)
    }

    fn initialized_len(&self) -> usize {
        self.buf.initialized_len().min(self.end) - self.begin
    }

    fn capacity(&self) -> usize {
        self.end - self.begin
    }

    fn registered(&self) -> Option<u16> {
        self.buf.registered()
    }
}

// SAFETY: as above; the range is within the inner buffer's memory.
unsafe impl<B: IoBufMut> IoBufMut for Slice<B> {
    fn as_mut_ptr(&mut self) -> *mut u8 {
        self.buf.as_mut_ptr().wrapping_add(self.begin)
    }

    unsafe fn set_initialized(&mut self, len: usize) {
        debug_assert!(len <= self.capacity());
        let filled = self.begin + len;
        if filled > self.buf.initialized_len() {
            // SAFETY: the bytes before `begin` were initialised when the slice was made
            // and have been ever since; the caller promises the `len` after them, and
            // that they are within the slice, hence within the inner capacity.
            unsafe { self.buf.set_initialized(filled) }
        }
    }
}

impl<B: IoBuf> Deref for Slice<B> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.initialized()
    }
}

impl<B: IoBufMut> DerefMut for Slice<B> {
    fn deref_mut(&mut self) -> &mut [u8] {
        let len = self.initialized_len();
        // SAFETY: `IoBufMut`: the address is valid for reads and writes of the capacity,
        // the first `initialized_len` bytes are initialised, and `&mut self` is the only access.
        unsafe { std::slice::from_raw_parts_mut(self.as_mut_ptr(), len) }
    }
}

impl<B: IoBuf> AsRef<[u8]> for Slice<B> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl<B: fmt::Debug> fmt::Debug for Slice<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slice")
            .field("range", &(self.begin..self.end))
            .field("buf", &self.buf)
            .finish()
    }
}
