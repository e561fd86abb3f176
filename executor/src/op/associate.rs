//! Connects a datagram socket: names whom it sends to and hears.

use std::io;

use crate::driver::RawAddress;
use crate::driver::{Address, Completion, Descriptor, Operation};
use crate::inflight::Op;

pub(crate) struct Associate {
    pub(crate) fd: Descriptor,
    pub(crate) address: Box<RawAddress>,
}

// SAFETY: points into the boxed address, which it owns.
unsafe impl Op for Associate {
    type Output = io::Result<()>;
    const IDEMPOTENT: bool = true;

    fn operation(&mut self) -> Operation {
        Operation::Connect {
            fd: self.fd,
            address: Address::of(self.address.as_ptr()),
            address_length: self.address.length(),
        }
    }

    fn complete(self, completion: Completion) -> io::Result<()> {
        super::unit(completion)
    }
}
