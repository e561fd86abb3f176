//! Asks what a file is: its kind, size, times, permissions.

use std::ffi::CString;
use std::io;
use std::os::fd::AsRawFd;

use crate::driver::{self, Address, Completion, Descriptor, Operation, OwnedDescriptor};
use crate::inflight::Op;

pub(crate) struct Status {
    /// Where a relative path begins; what is asked for, if the path is empty.
    fd: Descriptor,
    path: CString,
    /// `AT_…`
    flags: i32,
    /// Filled by the kernel.
    status: Box<driver::Status>,
    /// Closed after the last completion.
    _kept_open: Option<OwnedDescriptor>,
}

impl Status {
    /// Of an open file.
    pub(crate) fn of(fd: Descriptor) -> Status {
        Status::new(fd, CString::default(), libc::AT_EMPTY_PATH)
    }

    /// Of an open file that nobody else keeps open until the answer is there.
    pub(crate) fn of_owned(fd: OwnedDescriptor) -> Status {
        let number = fd.as_raw_fd();
        Status {
            _kept_open: Some(fd),
            ..Status::of(number)
        }
    }

    /// Of whatever `path` leads to; of the symbolic link itself, if it is one and is not followed.
    pub(crate) fn at(path: CString, follow: bool) -> Status {
        let flags = if follow { 0 } else { libc::AT_SYMLINK_NOFOLLOW };
        Status::new(libc::AT_FDCWD, path, flags)
    }

    fn new(fd: Descriptor, path: CString, flags: i32) -> Status {
        let status = Box::new(driver::Status::empty());
        Status {
            fd,
            path,
            flags,
            status,
            _kept_open: None,
        }
    }
}

// SAFETY: points to the path and to the boxed status, both of which it owns.
unsafe impl Op for Status {
    type Output = io::Result<Box<driver::Status>>;
    const IDEMPOTENT: bool = true;

    fn operation(&mut self) -> Operation {
        Operation::Status {
            fd: self.fd,
            path: Address::of(self.path.as_ptr()),
            flags: self.flags,
            status: Address::of_mut(&raw mut *self.status),
        }
    }

    fn complete(self, completion: Completion) -> io::Result<Box<driver::Status>> {
        super::unit(completion).map(|()| self.status)
    }
}
