//! Closes a source's descriptor, after the last completion of everything on it.

use crate::driver::{Completion, Descriptor, Operation};
use crate::inflight::{Op, Orphan};

pub(crate) struct Close {
    pub(crate) fd: Descriptor,
}

// SAFETY: points nowhere.
unsafe impl Op for Close {
    type Output = ();
    const IDEMPOTENT: bool = false;

    /// An interrupted close has closed: the number may belong to another descriptor by now.
    fn repeats(&self, _: i32) -> bool {
        false
    }

    fn operation(&mut self) -> Operation {
        Operation::Close { fd: self.fd }
    }

    fn orphaned(&mut self) -> Orphan {
        Orphan::Finish
    }

    fn complete(self, _: Completion) {}
}
