//! Gives a socket its address.

use std::io;
use std::os::fd::AsRawFd;

use crate::driver::RawAddress;
use crate::driver::{Address, Completion, Operation, OwnedDescriptor};
use crate::inflight::Op;

/// Owns the socket, so that it is not closed while the kernel works on it.
pub(crate) struct Bind {
    pub(crate) socket: OwnedDescriptor,
    pub(crate) address: Box<RawAddress>,
}

// SAFETY: points into the boxed address, which it owns.
unsafe impl Op for Bind {
    type Output = io::Result<OwnedDescriptor>;
    const IDEMPOTENT: bool = false;

    fn operation(&mut self) -> Operation {
        Operation::Bind {
            fd: self.socket.as_raw_fd(),
            address: Address::of(self.address.as_ptr()),
            address_length: self.address.length(),
        }
    }

    fn complete(self, completion: Completion) -> io::Result<OwnedDescriptor> {
        super::unit(completion).map(|()| self.socket)
    }
}
