//! Changes of a file that need no buffer: hands it to the disk, sets its length, reserves space.

use std::io;

use super::Readiness;
use crate::driver::{Completion, Descriptor, Operation};
use crate::inflight::{Op, Orphan, Step};

/// What is to be done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing, once everything before it is over.
    Flush,
    /// `FSYNC`.
    Sync { data_only: bool },
    /// `FTRUNCATE`, or the plain call where the ring has none.
    Truncate { length: u64 },
    /// `FALLOCATE`.
    Allocate { mode: i32, offset: u64, length: u64 },
}

pub(crate) struct FileChange {
    pub(crate) fd: Descriptor,
    pub(crate) change: Change,
    readiness: Readiness,
}

impl FileChange {
    pub(crate) fn new(fd: Descriptor, change: Change) -> FileChange {
        let readiness = Readiness::default();
        FileChange {
            fd,
            change,
            readiness,
        }
    }
}

// SAFETY: points nowhere.
unsafe impl Op for FileChange {
    type Output = io::Result<()>;
    const IDEMPOTENT: bool = true;

    fn operation(&mut self) -> Operation {
        let fd = self.fd;
        if let Some(poll) = self.readiness.operation(fd, libc::POLLOUT) {
            return poll;
        }
        match self.change {
            Change::Flush => Operation::Nop,
            Change::Sync { data_only } => Operation::Sync { fd, data_only },
            Change::Truncate { length } => Operation::Truncate { fd, length },
            Change::Allocate {
                mode,
                offset,
                length,
            } => Operation::Allocate {
                fd,
                mode,
                offset,
                length,
            },
        }
    }

    fn advance(&mut self, completion: &mut Completion) -> Step {
        self.readiness.step(*completion).unwrap_or(Step::Done)
    }

    fn orphaned(&mut self) -> Orphan {
        Orphan::Finish
    }

    fn complete(self, completion: Completion) -> io::Result<()> {
        super::unit(completion)
    }
}
