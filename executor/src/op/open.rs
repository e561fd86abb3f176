//! Opens a file.

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;

use crate::driver::{Address, Completion, Operation, own};
use crate::inflight::Op;

pub(crate) struct Open {
    pub(crate) path: CString,
    /// `O_…`; always closed on exec.
    pub(crate) flags: i32,
    /// The permissions of a file that is made, before the process's mask.
    pub(crate) mode: u32,
}

// SAFETY: points to the path, which is on the heap and owned by it.
unsafe impl Op for Open {
    type Output = io::Result<OwnedFd>;
    const IDEMPOTENT: bool = true;

    /// A file that must not have existed may exist because of the first try.
    fn repeats(&self, _: i32) -> bool {
        self.flags & libc::O_EXCL == 0
    }

    fn operation(&mut self) -> Operation {
        Operation::Open {
            path: Address::of(self.path.as_ptr()),
            flags: self.flags | libc::O_CLOEXEC,
            mode: self.mode,
        }
    }

    fn complete(self, completion: Completion) -> io::Result<OwnedFd> {
        super::count(completion)?;
        Ok(own(completion.result))
    }

    fn leftover(&self, completion: Completion) -> Option<OwnedFd> {
        (completion.result >= 0).then(|| own(completion.result))
    }
}
