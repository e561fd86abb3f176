//! Ends one or both directions of a connection.

use std::io;

use crate::driver::{Completion, Descriptor, Operation};
use crate::inflight::{Op, Orphan};

pub(crate) struct Shutdown {
    pub(crate) fd: Descriptor,
    /// `SHUT_…`
    pub(crate) how: i32,
}

// SAFETY: points nowhere.
unsafe impl Op for Shutdown {
    type Output = io::Result<()>;
    const IDEMPOTENT: bool = true;

    fn operation(&mut self) -> Operation {
        Operation::Shutdown {
            fd: self.fd,
            how: self.how,
        }
    }

    fn orphaned(&mut self) -> Orphan {
        Orphan::Finish
    }

    fn complete(self, completion: Completion) -> io::Result<()> {
        super::unit(completion)
    }
}
