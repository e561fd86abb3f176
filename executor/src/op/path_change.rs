//! Changes of names: renames, removes, makes a directory, a link.

use std::ffi::CString;
use std::io;

use crate::driver::{Address, Completion, Operation};
use crate::inflight::{Op, Orphan};

/// What is to be done to a path.
pub(crate) enum PathChange {
    /// `RENAMEAT`.
    Rename { from: CString, to: CString },
    /// `UNLINKAT`.
    RemoveFile { path: CString },
    /// `UNLINKAT` with `AT_REMOVEDIR`.
    RemoveDirectory { path: CString },
    /// `MKDIRAT`; the permissions are before the process's mask.
    MakeDirectory { path: CString, mode: u32 },
    /// `LINKAT`.
    HardLink { from: CString, to: CString },
    /// `SYMLINKAT`.
    SymbolicLink { target: CString, link: CString },
}

// SAFETY: points to the paths, which are on the heap and owned by it.
unsafe impl Op for PathChange {
    type Output = io::Result<()>;
    const IDEMPOTENT: bool = false;

    /// Done twice, the second time is an error: what has been removed cannot be removed.
    fn repeats(&self, _: i32) -> bool {
        false
    }

    fn operation(&mut self) -> Operation {
        let address = |path: &CString| Address::of(path.as_ptr());
        match self {
            PathChange::Rename { from, to } => Operation::Rename {
                from: address(from),
                to: address(to),
            },
            PathChange::RemoveFile { path } => Operation::Remove {
                path: address(path),
                flags: 0,
            },
            PathChange::RemoveDirectory { path } => Operation::Remove {
                path: address(path),
                flags: libc::AT_REMOVEDIR,
            },
            PathChange::MakeDirectory { path, mode } => Operation::MakeDirectory {
                path: address(path),
                mode: *mode,
            },
            PathChange::HardLink { from, to } => Operation::HardLink {
                from: address(from),
                to: address(to),
            },
            PathChange::SymbolicLink { target, link } => Operation::SymbolicLink {
                target: address(target),
                link: address(link),
            },
        }
    }

    /// Whether a cancel came in time nobody could tell.
    fn orphaned(&mut self) -> Orphan {
        Orphan::Finish
    }

    fn complete(self, completion: Completion) -> io::Result<()> {
        super::unit(completion)
    }
}
