//! Nothing at all, through the whole ring: for measuring and for tests.

use std::io;

use crate::driver::{Completion, Operation};
use crate::inflight::Op;
use crate::observe::OperationKind;

pub(crate) struct Nop;

// SAFETY: points nowhere.
unsafe impl Op for Nop {
    type Output = io::Result<()>;
    const IDEMPOTENT: bool = true;
    const KIND: Option<OperationKind> = Some(OperationKind::Nop);

    fn operation(&mut self) -> Operation {
        Operation::Nop
    }

    fn complete(self, completion: Completion) -> io::Result<()> {
        super::unit(completion)
    }
}
