//! Makes a socket.

use std::io;

use crate::driver::{Completion, Operation, OwnedDescriptor, own};
use crate::inflight::Op;

pub(crate) struct Socket {
    pub(crate) domain: i32,
    /// `SOCK_…`; always closed on exec.
    pub(crate) kind: i32,
}

// SAFETY: points nowhere.
unsafe impl Op for Socket {
    type Output = io::Result<OwnedDescriptor>;
    const IDEMPOTENT: bool = true;

    fn operation(&mut self) -> Operation {
        Operation::Socket {
            domain: self.domain,
            kind: self.kind | libc::SOCK_CLOEXEC,
            protocol: 0,
        }
    }

    fn complete(self, completion: Completion) -> io::Result<OwnedDescriptor> {
        super::count(completion)?;
        Ok(own(completion.result))
    }

    fn leftover(&self, completion: Completion) -> Option<OwnedDescriptor> {
        (completion.result >= 0).then(|| own(completion.result))
    }
}
