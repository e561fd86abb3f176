//! Registered memory, and rings of provided buffers: memory from which the kernel takes a buffer when data arrives.
//!
//! A ring is an array of entries that we write and the kernel reads. The last two bytes of
//! its first entry are the *tail*: how many buffers were ever put in, modulo 2¹⁶. The
//! kernel keeps its own count of those it took out. See `io_uring_register_buf_ring(3)`.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;

use super::Uring;
use crate::driver::Address;

/// The kernel demands that a ring begins with a page.
const PAGE: usize = 4096;
/// The kernel's bound: its counts have 16 bits, and full is to be told from empty.
pub(super) const ENTRIES_MAX: u16 = 1 << 15;

/// One ring of provided buffers.
pub(super) struct BufferRing {
    entries: NonNull<BufRingEntry>,
    layout: Layout,
    mask: u16,
    tail: u16,
}

impl BufferRing {
    /// Registers a ring with room for `count` buffers, a power of two, as `group`.
    fn register(ring: &IoUring, group: u16, count: u16) -> io::Result<BufferRing> {
        let is_possible = count.is_power_of_two() && count <= ENTRIES_MAX;
        if !is_possible {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let size = usize::from(count) * size_of::<BufRingEntry>();
        let layout = Layout::from_size_align(size, PAGE).expect("at most 512 KiB");
        // SAFETY: the size is not zero.
        let memory = unsafe { alloc_zeroed(layout) };
        let Some(entries) = NonNull::new(memory.cast::<BufRingEntry>()) else {
            handle_alloc_error(layout)
        };
        // Owned from here on: freed if the kernel refuses it.
        let made = BufferRing {
            entries,
            layout,
            mask: count - 1,
            tail: 0,
        };
        // SAFETY: the memory has room for `count` entries and stays until the group is unregistered,
        // or the kernel has pinned it: it is freed by our drop, which `Uring` calls after `unregister`.
        unsafe {
            ring.submitter().register_buf_ring_with_flags(
                entries.as_ptr().expose_provenance() as u64,
                count,
                group,
                0,
            )
        }?;
        Ok(made)
    }

    /// Puts one buffer in, and answers its place. The entry is complete before the tail tells the kernel of it.
    fn provide(&mut self, id: u16, address: Address, length: u32) -> u16 {
        let place = self.tail;
        let index = usize::from(place & self.mask);
        // SAFETY: the mask keeps the index within the ring. The kernel does not look at an entry that is not below
        // the tail, and this one is free: the caller puts in no more buffers than the ring has room for.
        let entry = unsafe { &mut *self.entries.as_ptr().add(index) };
        entry.set_addr(address.0 as u64);
        entry.set_len(length);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the tail lies in the first entry, is aligned, and is written by us alone; the kernel reads it.
        // `set_…` above leave it alone, also in the first entry.
        let tail = unsafe {
            let tail = BufRingEntry::tail(self.entries.as_ptr());
            AtomicU16::from_ptr(tail.cast_mut())
        };
        tail.store(self.tail, Ordering::Release);
        place
    }

    /// How long the kernel took the buffer to be; `None` if its place is another's by now.
    fn length(&self, place: u16, id: u16) -> Option<u32> {
        let index = usize::from(place & self.mask);
        // SAFETY: the mask keeps the index within the ring. The kernel changes lengths only inside system calls of this
        // thread, or before it has posted the completion that made the caller ask.
        let entry = unsafe { self.entries.as_ptr().add(index).read_volatile() };
        (entry.bid() == id).then(|| entry.len())
    }
}

impl Drop for BufferRing {
    fn drop(&mut self) {
        // SAFETY: allocated in `register` with this layout; the group is unregistered (see `Uring::drop`) or was
        // never registered.
        unsafe { dealloc(self.entries.as_ptr().cast(), self.layout) }
    }
}

impl fmt::Debug for BufferRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferRing")
            .field("room", &(u32::from(self.mask) + 1))
            .field("tail", &self.tail)
            .finish()
    }
}

impl Uring {
    pub(crate) fn register_buffer(&mut self, address: Address, length: usize) -> io::Result<u16> {
        let buffer = libc::iovec {
            iov_base: address.as_mut_ptr(),
            iov_len: length,
        };
        // SAFETY: the kernel locks the pages itself; the memory is kept by whoever names it in an operation, which is
        // the contract of `driver`.
        unsafe { self.ring.0.submitter().register_buffers(&[buffer]) }?;
        Ok(0)
    }

    pub(crate) fn add_buffer_group(&mut self, count: u16) -> io::Result<u16> {
        let group = self.buffer_rings.len() as u16;
        let ring = BufferRing::register(&self.ring.0, group, count)?;
        self.buffer_rings.push(ring);
        Ok(group)
    }

    #[inline]
    pub(crate) fn provide_buffer(
        &mut self,
        group: u16,
        id: u16,
        address: Address,
        length: u32,
    ) -> u16 {
        self.buffer_rings[usize::from(group)].provide(id, address, length)
    }

    pub(crate) fn provided_length(&self, group: u16, place: u16, id: u16) -> Option<u32> {
        self.buffer_rings[usize::from(group)].length(place, id)
    }

    /// Takes the groups away from the kernel. Nothing is in flight on them.
    pub(super) fn remove_buffer_groups(&mut self) {
        for group in 0..self.buffer_rings.len() as u16 {
            let removed = self.ring.0.submitter().unregister_buf_ring(group);
            if removed.is_err() {
                // The kernel might read the ring still: it is leaked rather than freed.
                std::mem::forget(std::mem::take(&mut self.buffer_rings));
                return;
            }
        }
        self.buffer_rings.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::tests::is_without;
    use crate::driver::uring::tests::with_entries;

    #[test]
    fn the_length_of_a_buffer_is_what_its_entry_says_until_the_place_is_anothers() {
        let rig = with_entries(1);
        if is_without(
            "ring of buffers",
            rig.driver.capabilities().provided_buffers,
        ) {
            return;
        }
        let ring = IoUring::new(1).unwrap();
        let mut buffers = BufferRing::register(&ring, 0, 2).unwrap();
        let memory = [0_u8; 64];
        let address = Address::of(memory.as_ptr());
        let first = buffers.provide(7, address, 64);
        assert_eq!(buffers.length(first, 7), Some(64));
        // The kernel shortens an entry when it knows that less is there.
        // SAFETY: the entry is in the ring.
        unsafe { (*buffers.entries.as_ptr().add(usize::from(first))).set_len(20) };
        assert_eq!(buffers.length(first, 7), Some(20));
        assert_eq!(buffers.provide(8, address, 64), first + 1);
        assert_eq!(buffers.provide(9, address, 64), first + 2);
        assert_eq!(buffers.length(first, 7), None);
        ring.submitter().unregister_buf_ring(0).unwrap();
    }

    #[test]
    fn a_ring_of_buffers_has_a_power_of_two_of_them() {
        let ring = IoUring::new(1).unwrap();
        for count in [0, 3, 40_000] {
            let error = BufferRing::register(&ring, 0, count).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{count}");
        }
    }
}
