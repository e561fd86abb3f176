//! Buffers that operations own while the kernel works on them.
//!
//! A read or write takes its buffer by value and gives it back together with the
//! result, also when it fails: `let (result, buf) = stream.read(buf).await;`. The
//! kernel may use the memory until the operation is over, whatever becomes of the
//! future in between; so a buffer must stay where it is while its handle moves
//! ([`IoBuf`]), and no borrow could be enough.
//!
//! ```
//! use krug::buf::{IoBuf, Slice};
//!
//! let received: Vec<u8> = b"PING\r\n".to_vec();
//! let word: Slice<Vec<u8>> = received.slice(..4); // what a write would send
//! assert_eq!(&word[..], b"PING");
//! let received = word.into_inner(); // the whole buffer again
//! assert_eq!(received.len(), 6);
//! ```
//!
//! # The rules
//!
//! The *initialised* bytes of a buffer are those that hold data: the length of a
//! `Vec`. Its *capacity* is all the memory it owns. The count that an operation
//! returns is always the truth; the rules say what the buffer shows besides.
//!
//! | situation | rule |
//! |---|---|
//! | a write | sends the initialised bytes, from the first one on; never memory that was not initialised |
//! | a read into a plain buffer | starts at byte 0, whatever was there, and has the whole capacity as room |
//! | a `Vec` after a read of `n` bytes | holds exactly these: its length is `n`, also if it was longer before |
//! | a boxed slice after a read of `n` bytes | keeps its length; the first `n` bytes are new |
//! | a read into `buf.slice(a..b)` | starts at byte `a` and ends before byte `b`; the buffer grows to cover what was read, is never shortened, and keeps every other byte |
//! | appending | is a read into `buf.slice(len..)`, where `len` is the length: up to the capacity, which does not grow; `reserve` first |
//! | room of length zero | reads `Ok(0)` and leaves the buffer as it was; this says nothing about the end of the stream |
//! | end of the stream | reads `Ok(0)` although there was room; a plain `Vec` is then empty |
//! | an error | leaves the buffer as it was given; bytes beyond its initialised length may have changed, unseen |
//! | more than 2 GiB | one operation carries at most [`OPERATION_LENGTH_MAX`] bytes, as if the write or the read had been short |
//! | a short write | is not an error: `n` is less than the length; go on with `buf.slice(n..)`, or let `write_all` do it |
//! | several buffers, writing | are sent as if joined, in order; empty ones count for nothing |
//! | several buffers, reading | are filled in order, each to its capacity before the next; each follows the rule of its own kind for its share, which is zero bytes for those that were not reached |
//! | more than 1024 buffers | one operation carries the first [`OPERATION_BUFFERS_MAX`] that are not empty |
//!
//! # Three tiers
//!
//! | tier | the memory | good for |
//! |---|---|---|
//! | owned buffers: `read(buf)`, `write(buf)` | yours: any [`IoBuf`]; [`alloc`] gives memory that the kernel knows | no copy, full control, large messages |
//! | [`recv`](crate::net::TcpStream::recv) | the runtime's: a [`Chunk`] is a lease on it | many connections that are mostly silent: one that waits holds no buffer |
//! | borrowing, the feature `futures-io`: `compat::FuturesIo` | yours, copied from and into once | libraries that were written for it |
//!
//! They can be mixed on one stream: whatever was received first is read first.
//!
//! Chunks come from a pool of the core: buffers of one size, which the kernel takes when data arrives. The pool grows when it
//! runs empty; at its bound streams receive into memory of their own instead. So keeping chunks is never wrong, however long and
//! however many; what is kept is memory. A chunk goes back when it is dropped, from any thread. All
//! bounds can be set with the [`Builder`](crate::Builder).
//!
//! Where the process may not lock memory (`RLIMIT_MEMLOCK`), plain memory takes the place of pool and
//! registered memory; a warning says so, once.
//!
//! # What is not a buffer
//!
//! An array lives where its handle lives, and moves with it:
//!
//! ```compile_fail,E0277
//! fn write(_: impl krug::buf::IoBuf) {}
//! write([0_u8; 64]);
//! ```
//!
//! A borrowed slice could end while the kernel still uses it:
//!
//! ```compile_fail,E0597
//! fn write(_: impl krug::buf::IoBuf) {}
//! let local = vec![0_u8; 64];
//! write(&local[..]);
//! ```

use std::io;

pub(crate) mod arena;
mod buddy;
mod buffer;
#[cfg(feature = "bytes")]
mod bytes;
mod chunk;
mod inlet;
mod kernel;
mod locked;
mod message;
mod owned;
pub(crate) mod pool;
mod post;
mod recycled;
mod slice;
mod vectored;

#[cfg(test)]
mod tests;

pub use buffer::Buffer;
pub use chunk::Chunk;
pub(crate) use chunk::Own;
pub use slice::Slice;
pub use vectored::{IoVectoredBuf, IoVectoredBufMut};

pub(crate) use inlet::{Inlet, Receiver, copy_from, fill_from, fill_vectored_from};
pub(crate) use kernel::{
    Vectors, fill_from_slice, filled, salvage_vectored, set_filled, set_filled_vectored,
};
pub(crate) use message::Message;
pub(crate) use pool::{Offer, Pool, ReceiveSettings};
pub(crate) use post::{Inbox, Post};
pub(crate) use recycled::{Recycled, Spare};
pub(crate) use vectored::{Vector, to_fill_vectored, to_send_vectored};

/// The most bytes that one operation carries: the kernel's own bound, 2 GiB less a page.
pub const OPERATION_LENGTH_MAX: usize = 0x7fff_f000;

/// The most buffers that one vectored operation carries: the kernel's own bound.
pub const OPERATION_BUFFERS_MAX: usize = 1024;

/// Memory that a write can send from.
///
/// # Safety
///
/// Until somebody has `&mut` access to the value (moving it does not count):
///
/// - [`as_ptr`](IoBuf::as_ptr) answers the same address every time, also after the
///   value moved, and the address is valid for reads of
///   [`capacity`](IoBuf::capacity) bytes; it is not null, also for an empty buffer;
/// - the first [`initialized_len`](IoBuf::initialized_len) of these bytes are
///   initialised, and nobody changes them, not even through a clone of the value;
/// - `initialized_len` is at most `capacity`, and neither changes.
///
/// All this for as long as an operation keeps the value, which is why a buffer is `'static`.
/// A method with a default keeps its documented meaning if it is overridden.
pub unsafe trait IoBuf: 'static {
    /// The address of the first byte.
    fn as_ptr(&self) -> *const u8;

    /// How many bytes, from the first one on, hold data.
    fn initialized_len(&self) -> usize;

    /// How many bytes the buffer owns, with data or without. The initialised length,
    /// for a buffer that cannot be read into.
    fn capacity(&self) -> usize {
        self.initialized_len()
    }

    /// The number under which the current core's ring knows the memory; `None` is always right.
    ///
    /// # Safety of implementations
    ///
    /// If it answers `Some`, all of the capacity lies in the buffer that is registered under this number.
    #[doc(hidden)]
    fn registered(&self) -> Option<u16> {
        None
    }

    /// The initialised bytes.
    fn initialized(&self) -> &[u8] {
        // SAFETY: the trait's contract: this many bytes at this address are
        // initialised, and nobody changes them while `self` is borrowed.
        unsafe { std::slice::from_raw_parts(self.as_ptr(), self.initialized_len()) }
    }

    /// A part of this buffer, to write from or to read into; [`Slice::into_inner`]
    /// gives the whole buffer back.
    ///
    /// The end may lie beyond the initialised bytes: a read has room up to there, a
    /// write sends what is initialised. `buf.slice(len..)` appends.
    ///
    /// # Panics
    ///
    /// If the range begins after the initialised bytes, ends after the capacity, or
    /// ends before it begins.
    fn slice(self, range: impl std::ops::RangeBounds<usize>) -> Slice<Self>
    where
        Self: Sized,
    {
        Slice::new(self, range)
    }
}

/// Memory that a read can fill.
///
/// # Safety
///
/// Beside the contract of [`IoBuf`]:
///
/// - [`as_mut_ptr`](IoBufMut::as_mut_ptr) answers the address that
///   [`as_ptr`](IoBuf::as_ptr) answers, and it is valid for writes of
///   [`capacity`](IoBuf::capacity) bytes;
/// - nobody else reads or writes these bytes while the operation has the value;
/// - [`set_initialized`](IoBufMut::set_initialized) changes neither address nor capacity.
pub unsafe trait IoBufMut: IoBuf {
    /// The address of the first byte.
    fn as_mut_ptr(&mut self) -> *mut u8;

    /// Notes that a read has filled the first `len` bytes. A buffer whose length can
    /// change now has exactly this length, a [`Slice`] at least this one.
    ///
    /// # Safety
    ///
    /// - `len` is at most [`capacity`](IoBuf::capacity);
    /// - the first `len` bytes are initialised.
    unsafe fn set_initialized(&mut self, len: usize);
}

/// What an operation with a buffer resolves with: its result, and the buffer in any case.
///
/// [`BufResultExt::into_result`] makes it fit for `?`.
pub type BufResult<T, B> = (io::Result<T>, B);

/// Turns a [`BufResult`] into something `?` understands.
///
/// ```
/// use krug::buf::{BufResult, BufResultExt};
///
/// fn first_byte(read: BufResult<usize, Vec<u8>>) -> std::io::Result<u8> {
///     let (n, buf) = read.into_result()?;
///     assert_eq!(n, buf.len());
///     Ok(buf[0])
/// }
/// assert_eq!(first_byte((Ok(1), vec![7])).unwrap(), 7);
/// ```
pub trait BufResultExt<T, B> {
    /// The value and the buffer, or the error. On an error the buffer is dropped:
    /// match on the pair instead if it is wanted then, too.
    ///
    /// # Errors
    ///
    /// The operation's own.
    fn into_result(self) -> io::Result<(T, B)>;
}

impl<T, B> BufResultExt<T, B> for BufResult<T, B> {
    fn into_result(self) -> io::Result<(T, B)> {
        let (result, buf) = self;
        result.map(|value| (value, buf))
    }
}

/// Memory for a read or a write of up to `len` bytes, empty at first: in a runtime from the core's registered memory if there is
/// room, else from the heap.
///
/// ```
/// # krug::Runtime::new().unwrap().block_on(async {
/// let (sender, receiver) = krug::pipe::pipe().await?;
/// let mut message = krug::buf::alloc(64);
/// message.extend_from_slice(b"hello");
/// sender.write_all(message).await.0?;
/// let (read, buf) = receiver.read(krug::buf::alloc(4096)).await;
/// assert_eq!((read?, &buf[..]), (5, &b"hello"[..]));
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// # Panics
///
/// If `len` is more than `isize::MAX`, like a vector.
pub fn alloc(len: usize) -> Buffer {
    Buffer::new(len, 1)
}

/// As [`alloc`], with an address that is a multiple of `align`, as direct I/O (`O_DIRECT`) demands it: 512 or 4096, most often. An
/// `align` that is no power of two is rounded up to one.
///
/// # Panics
///
/// If `len`, rounded up to a multiple of `align`, is more than `isize::MAX`.
pub fn alloc_aligned(len: usize, align: usize) -> Buffer {
    // What is too large to round stays, and is no power of two: it is refused as too large.
    Buffer::new(
        len,
        align.max(1).checked_next_power_of_two().unwrap_or(align),
    )
}

/// The number of the registered buffer in which `buf` lies, for an operation that starts on this core.
pub(crate) fn fixed<B: IoBuf>(buf: &B) -> Option<u16> {
    buf.registered()
}

/// What one operation sends after the first `done` bytes were sent.
pub(crate) fn to_send<B: IoBuf>(buf: &B, done: usize) -> (*const u8, u32) {
    let len = buf.initialized_len();
    assert!(done <= len, "sent {done} bytes of {len}");
    (buf.as_ptr().wrapping_add(done), cap(len - done))
}

/// What one operation may fill after the first `done` bytes were filled.
pub(crate) fn to_fill<B: IoBufMut>(buf: &mut B, done: usize) -> (*mut u8, u32) {
    let room = buf.capacity();
    assert!(done <= room, "filled {done} bytes of {room}");
    (buf.as_mut_ptr().wrapping_add(done), cap(room - done))
}

/// Without the cap a length above 4 GiB would be cut to its low 32 bits, and one of
/// exactly 4 GiB would look like the end of the stream.
fn cap(len: usize) -> u32 {
    len.min(OPERATION_LENGTH_MAX) as u32
}
