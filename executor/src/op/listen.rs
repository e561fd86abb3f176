//! Makes a bound socket take connections.

use std::io;
use std::os::fd::AsRawFd;

use crate::driver::{Completion, Operation, OwnedDescriptor};
use crate::inflight::Op;

/// Owns the socket, so that it is not closed while the kernel works on it.
pub(crate) struct Listen {
    pub(crate) socket: OwnedDescriptor,
    /// How many connections may wait to be accepted; the system's `somaxconn` is the upper bound.
    pub(crate) backlog: i32,
}

// SAFETY: points nowhere.
unsafe impl Op for Listen {
    type Output = io::Result<OwnedDescriptor>;
    const IDEMPOTENT: bool = true;

    fn operation(&mut self) -> Operation {
        Operation::Listen {
            fd: self.socket.as_raw_fd(),
            backlog: self.backlog,
        }
    }

    fn complete(self, completion: Completion) -> io::Result<OwnedDescriptor> {
        super::unit(completion).map(|()| self.socket)
    }
}
