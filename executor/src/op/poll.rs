//! Waits until a descriptor is ready.

use std::io;
use std::os::fd::AsRawFd;

use crate::driver::{Completion, Operation, OwnedDescriptor};
use crate::inflight::Op;

/// Owns a descriptor, so that it is not closed while the kernel watches it.
pub(crate) struct Poll {
    pub(crate) fd: OwnedDescriptor,
    /// `POLL…`
    pub(crate) events: i16,
}

// SAFETY: points nowhere.
unsafe impl Op for Poll {
    type Output = (io::Result<i16>, OwnedDescriptor);
    const IDEMPOTENT: bool = true;

    fn operation(&mut self) -> Operation {
        Operation::Poll {
            fd: self.fd.as_raw_fd(),
            events: self.events as u32,
        }
    }

    fn complete(self, completion: Completion) -> (io::Result<i16>, OwnedDescriptor) {
        (
            super::count(completion).map(|events| events as i16),
            self.fd,
        )
    }
}
