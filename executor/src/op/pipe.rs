//! Makes a pipe.

use std::io;

use crate::driver::{Address, Completion, Operation, OwnedDescriptor, own};
use crate::inflight::Op;

pub(crate) struct Pipe {
    /// Filled by the kernel: the end to read from, the end to write to.
    ends: [i32; 2],
}

impl Pipe {
    pub(crate) fn new() -> Pipe {
        Pipe { ends: [-1; 2] }
    }
}

// SAFETY: points to `ends`, which is part of it and so lives in its slot.
unsafe impl Op for Pipe {
    type Output = io::Result<(OwnedDescriptor, OwnedDescriptor)>;
    const IDEMPOTENT: bool = true;

    fn operation(&mut self) -> Operation {
        Operation::Pipe {
            descriptors: Address::of_mut(&raw mut self.ends),
            flags: libc::O_CLOEXEC,
        }
    }

    fn complete(self, completion: Completion) -> io::Result<(OwnedDescriptor, OwnedDescriptor)> {
        super::unit(completion)?;
        Ok((own(self.ends[0]), own(self.ends[1])))
    }

    fn leftover(&self, completion: Completion) -> Option<OwnedDescriptor> {
        if completion.result < 0 {
            return None;
        }
        drop(own(self.ends[0]));
        Some(own(self.ends[1]))
    }
}
