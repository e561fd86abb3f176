//! Several buffers that one operation writes from or reads into.

use super::{IoBuf, IoBufMut, OPERATION_BUFFERS_MAX, OPERATION_LENGTH_MAX};

/// Address and length of one piece of memory, laid out as the kernel's `iovec`.
pub(crate) type Vector = libc::iovec;

/// Several buffers that a write sends as if they were joined.
///
/// Implemented for `Vec<B>`, `[B; N]` and `(A, B)` of buffers.
///
/// # Safety
///
/// - [`part`](IoVectoredBuf::part) answers, for every index below
///   [`count`](IoVectoredBuf::count), an address and a length that follow the contract
///   of [`IoBuf`] for [`as_ptr`](IoBuf::as_ptr) and
///   [`initialized_len`](IoBuf::initialized_len): the same every time, also after the
///   value moved, until somebody has `&mut` access;
/// - `count` does not change either.
///
/// Unlike the buffers themselves, their collection may live inside the value: an array
/// of `Vec`s moves, the bytes do not.
pub unsafe trait IoVectoredBuf: 'static {
    /// How many buffers there are, empty ones included.
    fn count(&self) -> usize;

    /// Address and length of the initialised bytes of one buffer.
    ///
    /// # Panics
    ///
    /// If there is no buffer with this index.
    fn part(&self, index: usize) -> (*const u8, usize);

    /// How many bytes a write sends: the sum of the initialised lengths.
    fn total_len(&self) -> usize {
        (0..self.count()).fold(0, |sum: usize, index| {
            sum.saturating_add(self.part(index).1)
        })
    }
}

/// Several buffers that a read fills one after the other.
///
/// # Safety
///
/// Beside the contract of [`IoVectoredBuf`]:
///
/// - [`part_mut`](IoVectoredBufMut::part_mut) answers, for every index, an address and a
///   length that follow the contract of [`IoBufMut`] for
///   [`as_mut_ptr`](IoBufMut::as_mut_ptr) and [`capacity`](IoBuf::capacity); the parts do
///   not overlap;
/// - [`set_initialized`](IoVectoredBufMut::set_initialized) changes neither addresses nor capacities.
pub unsafe trait IoVectoredBufMut: IoVectoredBuf {
    /// Address and capacity of one buffer.
    ///
    /// # Panics
    ///
    /// If there is no buffer with this index.
    fn part_mut(&mut self, index: usize) -> (*mut u8, usize);

    /// Notes that a read has filled the first `len` bytes of the buffers, each to its
    /// capacity before the next: every buffer is told its share, which is 0 for those
    /// that were not reached.
    ///
    /// # Safety
    ///
    /// - `len` is at most [`total_capacity`](IoVectoredBufMut::total_capacity);
    /// - the first `len` bytes, counted through the capacities in order, are initialised.
    unsafe fn set_initialized(&mut self, len: usize);

    /// How many bytes a read has room for: the sum of the capacities.
    fn total_capacity(&mut self) -> usize {
        (0..self.count()).fold(0, |sum: usize, index| {
            sum.saturating_add(self.part_mut(index).1)
        })
    }
}

// SAFETY: each part is a buffer of its own whose bytes stay where they are.
unsafe impl<B: IoBuf> IoVectoredBuf for Vec<B> {
    fn count(&self) -> usize {
        self.len()
    }

    fn part(&self, index: usize) -> (*const u8, usize) {
        part_of(&self[index])
    }
}

// SAFETY: as above; different buffers own different memory.
unsafe impl<B: IoBufMut> IoVectoredBufMut for Vec<B> {
    fn part_mut(&mut self, index: usize) -> (*mut u8, usize) {
        part_mut_of(&mut self[index])
    }

    unsafe fn set_initialized(&mut self, len: usize) {
        // SAFETY: the caller's promise is the one that `share_out` asks for.
        unsafe { share_out(self, len) }
    }
}

// SAFETY: each part is a buffer of its own whose bytes stay where they are, although the
// array itself moves.
unsafe impl<B: IoBuf, const N: usize> IoVectoredBuf for [B; N] {
    fn count(&self) -> usize {
        N
    }

    fn part(&self, index: usize) -> (*const u8, usize) {
        part_of(&self[index])
    }
}

// SAFETY: as above; different buffers own different memory.
unsafe impl<B: IoBufMut, const N: usize> IoVectoredBufMut for [B; N] {
    fn part_mut(&mut self, index: usize) -> (*mut u8, usize) {
        part_mut_of(&mut self[index])
    }

    unsafe fn set_initialized(&mut self, len: usize) {
        // SAFETY: the caller's promise is the one that `share_out` asks for.
        unsafe { share_out(self, len) }
    }
}

// SAFETY: both parts are buffers of their own whose bytes stay where they are.
unsafe impl<A: IoBuf, B: IoBuf> IoVectoredBuf for (A, B) {
    fn count(&self) -> usize {
        2
    }

    fn part(&self, index: usize) -> (*const u8, usize) {
        match index {
            0 => part_of(&self.0),
            1 => part_of(&self.1),
            _ => panic!("a pair has no buffer {index}"),
        }
    }
}

// SAFETY: as above; the two own different memory.
unsafe impl<A: IoBufMut, B: IoBufMut> IoVectoredBufMut for (A, B) {
    fn part_mut(&mut self, index: usize) -> (*mut u8, usize) {
        match index {
            0 => part_mut_of(&mut self.0),
            1 => part_mut_of(&mut self.1),
            _ => panic!("a pair has no buffer {index}"),
        }
    }

    unsafe fn set_initialized(&mut self, len: usize) {
        let first = len.min(self.0.capacity());
        // SAFETY: the caller promises the first `len` bytes through both capacities, so
        // each share is initialised and within its own capacity.
        unsafe {
            self.0.set_initialized(first);
            self.1.set_initialized(len - first);
        }
    }
}

fn part_of<B: IoBuf>(buf: &B) -> (*const u8, usize) {
    (buf.as_ptr(), buf.initialized_len())
}

fn part_mut_of<B: IoBufMut>(buf: &mut B) -> (*mut u8, usize) {
    (buf.as_mut_ptr(), buf.capacity())
}

/// Tells each of `bufs` how much of the first `len` bytes is in it.
///
/// # Safety
///
/// - `len` is at most the sum of the capacities;
/// - the first `len` bytes, counted through the capacities in order, are initialised.
unsafe fn share_out<B: IoBufMut>(bufs: &mut [B], len: usize) {
    let mut left = len;
    for buf in bufs {
        let share = left.min(buf.capacity());
        left -= share;
        // SAFETY: the share is within the capacity, and the caller promises that every
        // byte before `len` is initialised.
        unsafe { buf.set_initialized(share) }
    }
    debug_assert_eq!(left, 0, "more bytes than room");
}

/// What one operation sends after the first `done` bytes were sent, within both bounds
/// of one operation. `vectors` is emptied first, and keeps its memory for the next time.
pub(crate) fn to_send_vectored<B: IoVectoredBuf>(buf: &B, done: usize, vectors: &mut Vec<Vector>) {
    let parts = (0..buf.count()).map(|index| {
        let (address, len) = buf.part(index);
        (address.cast_mut(), len)
    });
    collect(parts, done, vectors);
}

/// What one operation may fill after the first `done` bytes were filled; otherwise like
/// [`to_send_vectored`].
pub(crate) fn to_fill_vectored<B: IoVectoredBufMut>(
    buf: &mut B,
    done: usize,
    vectors: &mut Vec<Vector>,
) {
    let parts = (0..buf.count()).map(|index| buf.part_mut(index));
    collect(parts, done, vectors);
}

fn collect(parts: impl Iterator<Item = (*mut u8, usize)>, done: usize, vectors: &mut Vec<Vector>) {
    vectors.clear();
    let (mut skip, mut room) = (done, OPERATION_LENGTH_MAX);
    for (address, len) in parts {
        let skipped = skip.min(len);
        skip -= skipped;
        let taken = (len - skipped).min(room);
        if taken == 0 {
            continue;
        }
        room -= taken;
        vectors.push(Vector {
            iov_base: address.wrapping_add(skipped).cast(),
            iov_len: taken,
        });
        if room == 0 || vectors.len() == OPERATION_BUFFERS_MAX {
            break;
        }
    }
    assert_eq!(skip, 0, "more bytes done than there are");
}
