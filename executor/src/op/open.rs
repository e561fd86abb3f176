//! Opens a file, without waiting for anybody: a FIFO opens at once, or is an error, as `O_NONBLOCK` makes it.
//!
//! Without that flag it would depend on the kernel's caches whether an open for reading waits for a writer. Whoever gets the
//! descriptor clears the flag again where it has no more use: see [`File`](crate::fs::File).

use std::ffi::CString;
use std::io;

use crate::driver::{Address, Completion, Operation, OwnedDescriptor, own};
use crate::inflight::{Op, Step};

pub(crate) struct Open {
    path: CString,
    /// `O_…`
    flags: i32,
    /// The permissions of a file that is made, before the process's mask.
    mode: u32,
    /// Somebody holds a lease on the file, and has to be waited for after all.
    waits: bool,
}

impl Open {
    /// `flags`: `O_…`; always closed on exec. `mode`: the permissions of a file that is made, before the process's mask.
    pub(crate) fn new(path: CString, flags: i32, mode: u32) -> Open {
        let flags = flags | libc::O_CLOEXEC;
        let waits = false;
        Open {
            path,
            flags,
            mode,
            waits,
        }
    }
}

// SAFETY: points to the path, which is on the heap and owned by it.
unsafe impl Op for Open {
    type Output = io::Result<OwnedDescriptor>;
    const IDEMPOTENT: bool = true;

    /// A file that must not have existed may exist because of the first try.
    fn repeats(&self, _: i32) -> bool {
        self.flags & libc::O_EXCL == 0
    }

    fn operation(&mut self) -> Operation {
        let flags = match self.waits {
            true => self.flags,
            false => self.flags | libc::O_NONBLOCK,
        };
        Operation::Open {
            path: Address::of(self.path.as_ptr()),
            flags,
            mode: self.mode,
        }
    }

    /// `EWOULDBLOCK` says that there is a lease, see fcntl(2), `F_SETLEASE`.
    fn advance(&mut self, completion: &mut Completion) -> Step {
        if completion.result == -libc::EWOULDBLOCK && !self.waits {
            self.waits = true;
            return Step::Again;
        }
        Step::Done
    }

    fn complete(self, completion: Completion) -> io::Result<OwnedDescriptor> {
        super::count(completion)?;
        Ok(own(completion.result))
    }

    fn leftover(&self, completion: Completion) -> Option<OwnedDescriptor> {
        (completion.result >= 0).then(|| own(completion.result))
    }
}
