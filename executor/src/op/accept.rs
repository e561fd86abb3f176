//! Takes connections for a listener, which owns the operation: no future waits for it.

use crate::driver::{Address, Completion, Descriptor, Operation, OwnedDescriptor, own};
use crate::inflight::{Op, Orphan};

pub(crate) struct Accept {
    pub(crate) listener: Descriptor,
    /// One completion for each connection, or a single one.
    pub(crate) multishot: bool,
}

// SAFETY: points nowhere: the peer's name is asked for afterwards.
unsafe impl Op for Accept {
    type Output = ();
    const IDEMPOTENT: bool = true;

    fn operation(&mut self) -> Operation {
        let (fd, flags) = (self.listener, libc::SOCK_CLOEXEC);
        if self.multishot {
            return Operation::AcceptMultishot { fd, flags };
        }
        Operation::Accept {
            fd,
            address: Address(0),
            address_length: Address(0),
            flags,
        }
    }

    fn orphaned(&mut self) -> Orphan {
        Orphan::Adopt
    }

    fn complete(self, _: Completion) {}

    fn leftover(&self, completion: Completion) -> Option<OwnedDescriptor> {
        (completion.result >= 0).then(|| own(completion.result))
    }
}
