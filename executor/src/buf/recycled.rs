//! [`Recycled`]: a buffer whose memory is used again.

use std::cell::Cell;
use std::rc::Rc;

use super::IoBuf;

/// Room above this is given back to the allocator: a stream that has sent once should not keep much for ever.
const KEPT_MAX: usize = 16 << 10;

/// Where the memory of a [`Recycled`] goes when it is dropped; one buffer waits here at most.
#[derive(Clone, Default)]
pub(crate) struct Spare(Rc<Cell<Vec<u8>>>);

impl Spare {
    /// An empty buffer, with room if there is some to be had for nothing.
    pub(crate) fn take(&self) -> Vec<u8> {
        self.0.take()
    }

    fn put(&self, mut bytes: Vec<u8>) {
        bytes.clear();
        if bytes.capacity() <= KEPT_MAX {
            self.0.set(bytes);
        }
    }
}

/// Bytes to be sent; dropping them leaves their memory with the [`Spare`].
pub(crate) struct Recycled {
    bytes: Vec<u8>,
    spare: Spare,
}

impl Recycled {
    pub(crate) fn new(bytes: Vec<u8>, spare: Spare) -> Recycled {
        Recycled { bytes, spare }
    }
}

impl Drop for Recycled {
    fn drop(&mut self) {
        self.spare.put(std::mem::take(&mut self.bytes));
    }
}

// SAFETY: passes on to the vector, which keeps the contract; nothing hands it out before the drop.
unsafe impl IoBuf for Recycled {
    fn as_ptr(&self) -> *const u8 {
        self.bytes.as_ptr()
    }

    fn initialized_len(&self) -> usize {
        self.bytes.len()
    }

    fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_unless_it_is_large() {
        let spare = Spare::default();
        let small = Vec::with_capacity(100);
        let address = small.as_ptr();
        drop(Recycled::new(small, spare.clone()));
        let again = spare.take();
        assert_eq!((again.as_ptr(), again.len()), (address, 0));
        drop(Recycled::new(
            Vec::with_capacity(KEPT_MAX + 1),
            spare.clone(),
        ));
        assert_eq!(spare.take().capacity(), 0);
    }
}
