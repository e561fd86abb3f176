//! Gives a socket its address.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use super::address::RawAddress;
use crate::driver::{Address, Completion, Operation};
use crate::inflight::Op;

/// Owns the socket, so that it is not closed while the kernel works on it.
pub(crate) struct Bind {
    pub(crate) socket: OwnedFd,
    pub(crate) address: Box<RawAddress>,
}

// SAFETY: points into the boxed address, which it owns.
unsafe impl Op for Bind {
    type Output = io::Result<OwnedFd>;
    const IDEMPOTENT: bool = false;

    fn operation(&mut self) -> Operation {
        Operation::Bind {
            fd: self.socket.as_raw_fd(),
            address: Address::of(self.address.as_ptr()),
            address_length: self.address.length(),
        }
    }

    fn complete(self, completion: Completion) -> io::Result<OwnedFd> {
        super::unit(completion).map(|()| self.socket)
    }
}
