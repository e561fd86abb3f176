//! One file for each operation: what it owns, how it lowers itself to plain data,
//! and what its result means. In the order of a connection's life, then of a file's:
//!
//! | file | submits | its future dropped in flight |
//! |---|---|---|
//! | [`socket`] | `SOCKET` | cancelled; a socket made all the same is closed |
//! | [`bind`], [`listen`] | `BIND`, `LISTEN` | cancelled; the socket is closed after the last completion |
//! | [`connect`] | `CONNECT`; `POLL_ADD` if a signal has interrupted that | likewise |
//! | [`accept`] | `ACCEPT`, multishot where the kernel has it | belongs to the listener, no future |
//! | [`receive`] | `RECV` on sockets, `READ` on pipes | adopted by the stream |
//! | [`receive_ahead`] | `RECV` on sockets, multishot on TCP, `READ` on pipes, into provided buffers | belongs to the stream, no future |
//! | [`peek`] | `RECV` with `MSG_PEEK` | cancelled |
//! | [`send`] | `SEND` on sockets, `WRITE` on pipes | goes on until all is sent |
//! | [`vectored`] | `RECVMSG`, `SENDMSG`, `READV`, `WRITEV` | as receive and send |
//! | [`associate`] | `CONNECT` of a datagram socket | cancelled |
//! | [`receive_from`] | `RECVMSG`, with `MSG_PEEK` for peeking | adopted by the source with its sender; a peek is cancelled |
//! | [`receive_ahead_from`] | `RECVMSG`, multishot, into provided buffers | belongs to the socket, no future |
//! | [`send_to`] | `SENDMSG`, `SEND` if connected | goes out whole |
//! | [`shutdown`] | `SHUTDOWN` | goes on |
//! | [`close`] | `CLOSE` | belongs to the source, no future |
//! | [`pipe`] | `PIPE` | cancelled; both ends are closed |
//! | [`open`] | `OPENAT` | cancelled; a file opened all the same is closed |
//! | [`read_at`] | `READ` at an offset | cancelled |
//! | [`write_at`] | `WRITE` at an offset or the end | goes on until all is written; the file tracks it |
//! | [`vectored_at`] | `READV`, `WRITEV` at an offset | as read and write at an offset |
//! | [`file_change`] | `FSYNC`, `FTRUNCATE`, `FALLOCATE` | goes on; the file tracks it |
//! | [`path_change`] | `RENAMEAT`, `UNLINKAT`, `MKDIRAT`, `LINKAT`, `SYMLINKAT` | goes on |
//! | [`status`] | `STATX` | cancelled |
//! | [`poll`] | `POLL_ADD` | cancelled |
//! | [`signal`] | `POLL_ADD` of what a signal rings | cancelled; nothing is lost, the signal is counted |
//! | [`nop`] | `NOP` | cancelled |
//!
//! `ASYNC_CANCEL` has no file: it belongs to no future. It is what
//! [`Slots::cancel`](crate::inflight::Slots::cancel) asks the driver for.
//!
//! To add an operation: a variant of [`Operation`], its encoding in each driver, a file
//! here, a row in this table and in the tables of [`inflight`](crate::inflight), tests.

pub(crate) mod accept;
pub(crate) mod associate;
pub(crate) mod bind;
pub(crate) mod close;
pub(crate) mod connect;
pub(crate) mod file_change;
pub(crate) mod listen;
pub(crate) mod nop;
pub(crate) mod open;
pub(crate) mod path_change;
pub(crate) mod peek;
pub(crate) mod pipe;
pub(crate) mod poll;
pub(crate) mod read_at;
pub(crate) mod receive;
pub(crate) mod receive_ahead;
pub(crate) mod receive_ahead_from;
pub(crate) mod receive_from;
pub(crate) mod send;
pub(crate) mod send_to;
pub(crate) mod shutdown;
pub(crate) mod signal;
pub(crate) mod socket;
pub(crate) mod status;
pub(crate) mod vectored;
pub(crate) mod vectored_at;
pub(crate) mod write_at;

use std::io;

use crate::driver::{Completion, Descriptor, Operation};
use crate::inflight::Step;

/// What a connected descriptor is an end of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamKind {
    Tcp,
    Unix,
    Pipe,
}

impl StreamKind {
    /// Takes `send` and `recv`; a pipe takes `read` and `write`.
    pub(crate) fn is_socket(self) -> bool {
        self != StreamKind::Pipe
    }

    /// What arrives there was not sent by another task of this core, as a rule.
    fn is_far(self) -> bool {
        self == StreamKind::Tcp
    }
}

/// A connected descriptor and what kind of calls it takes. Operations have the two apart, so that other small things stand
/// beside the kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endpoint {
    pub(crate) fd: Descriptor,
    pub(crate) kind: StreamKind,
}

/// Waits for readiness when a call answers `EAGAIN`, as it does on a descriptor
/// that somebody else has made non-blocking, and when the kernel is short of buffers.
#[derive(Debug, Default)]
struct Readiness {
    is_waiting: bool,
}

impl Readiness {
    /// What to submit instead of the call itself.
    fn operation(&self, fd: Descriptor, events: i16) -> Option<Operation> {
        self.is_waiting.then_some(Operation::Poll {
            fd,
            events: events as u32,
        })
    }

    /// `Some` if this completion is not the call's own.
    fn step(&mut self, completion: Completion) -> Option<Step> {
        if self.is_waiting {
            self.is_waiting = false;
            return (completion.result >= 0).then_some(Step::Again);
        }
        if completion.result == -libc::EAGAIN || completion.result == -libc::ENOBUFS {
            self.is_waiting = true;
            return Some(Step::Again);
        }
        None
    }
}

/// The count in a completion, or its error.
fn count(completion: Completion) -> io::Result<usize> {
    if completion.result < 0 {
        return Err(io::Error::from_raw_os_error(-completion.result));
    }
    Ok(completion.result as usize)
}

/// Success without a value, or the error.
fn unit(completion: Completion) -> io::Result<()> {
    count(completion).map(|_| ())
}
