//! [`ArmedBell`]: the bell of a ring, heard through a message, or through a read that is armed before the ring sleeps.
//!
//! Where messages can be sent the read stays in flight from the first sleep on: it is for ringers to whom they are refused.

use std::sync::atomic::AtomicU64;

use crate::driver::Descriptor;
use crate::driver::bell::{Bell, BellOwner, Wire};

#[derive(Debug)]
pub(super) struct ArmedBell {
    owner: BellOwner,
    /// A read of the event descriptor is in flight.
    armed: bool,
}

/// Where armed reads put the count that they take from the event descriptor. It is
/// never read, so all drivers may share it; it is never freed, so that no question
/// arises of what a kernel does that is late with its write.
static SINK: AtomicU64 = AtomicU64::new(0);

impl ArmedBell {
    pub(super) fn new(wire: Wire) -> ArmedBell {
        ArmedBell {
            owner: BellOwner::new(wire),
            armed: false,
        }
    }

    pub(super) fn bell(&self) -> Bell {
        self.owner.bell()
    }

    pub(super) fn is_armed(&self) -> bool {
        self.armed
    }

    /// The event descriptor and the memory for a read that is to be armed before the
    /// driver sleeps, if it is not armed yet.
    pub(super) fn arm(&mut self) -> Option<(Descriptor, *mut u8, u32)> {
        if self.armed {
            return None;
        }
        self.armed = true;
        let length = size_of_val(&SINK) as u32;
        Some((self.owner.event(), SINK.as_ptr().cast(), length))
    }

    /// Lets the armed read complete.
    pub(super) fn disarm(&self) {
        self.owner.ring_event();
    }

    /// The armed read completed.
    pub(super) fn rung(&mut self) {
        self.armed = false;
    }
}
