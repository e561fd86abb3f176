//! Ways to read a file at random places, and to append to a log: from a thread that waits for each call
//! to krug. Each is one small file below [`read`] or [`append`]; those that need more than the standard library
//! have their unsafe code in [`calls`], behind interfaces that are safe.

pub(crate) mod append;
mod calls;
pub(crate) mod content;
pub(crate) mod read;

use std::io;

pub(crate) use calls::place::is_in_memory;

/// The file ends where there should be more of it.
fn ends_early() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the file ends before its last block",
    )
}

/// Neither the end nor an error: the request may be made once more.
pub(crate) fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
    )
}
