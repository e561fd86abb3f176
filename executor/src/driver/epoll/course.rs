//! [`Course`]: which way each kind of operation takes through this driver.

use super::descriptors::Direction;
use crate::driver::{CURSOR, Descriptor, Operation};

/// How an operation is brought to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// By one call that does not wait for anybody.
    AtOnce,
    /// By calls that are told not to wait, as soon as the descriptor is ready, and again until it is over.
    WhenReady(Descriptor, Direction),
    /// By the readiness itself.
    Readiness(Descriptor, u32),
    /// Begun by a call, ended when the socket is writable.
    Connect(Descriptor),
    /// By a call that is told not to wait for the disk; if it would have to, by a thread of the pool.
    FromCache(Descriptor),
    /// By a thread of the pool: the call waits for a disk, and can be told nothing else.
    OnDisk,
}

impl Course {
    /// Where the operation waits, if it waits for readiness.
    pub(super) fn queue(self) -> Option<(Descriptor, Direction)> {
        match self {
            Course::WhenReady(fd, direction) => Some((fd, direction)),
            Course::Readiness(fd, events) if events & libc::POLLOUT as u32 != 0 => {
                Some((fd, Direction::Sending))
            }
            Course::Readiness(fd, _) => Some((fd, Direction::Receiving)),
            Course::Connect(fd) => Some((fd, Direction::Sending)),
            Course::AtOnce | Course::FromCache(_) | Course::OnDisk => None,
        }
    }
}

#[rustfmt::skip] // A table: to be read downwards.
pub(super) fn of(operation: &Operation) -> Course {
    use Direction::{Receiving, Sending};
    use Operation::*;
    match *operation {
        Nop | Socket { .. } | Bind { .. } | Listen { .. } | Shutdown { .. } | Pipe { .. } => Course::AtOnce,
        Accept { fd, .. } | AcceptMultishot { fd, .. } => Course::WhenReady(fd, Receiving),
        Receive { fd, .. } | ReceiveProvided { fd, .. } | ReceiveMultishot { fd, .. } => Course::WhenReady(fd, Receiving),
        ReceiveMessage { fd, .. } | ReceiveMessageMultishot { fd, .. } => Course::WhenReady(fd, Receiving),
        Send { fd, .. } | SendMessage { fd, .. } => Course::WhenReady(fd, Sending),
        Read { fd, offset: CURSOR, .. } | ReadFixed { fd, offset: CURSOR, .. } => Course::WhenReady(fd, Receiving),
        ReadProvided { fd, .. } | ReadVectored { fd, offset: CURSOR, .. } => Course::WhenReady(fd, Receiving),
        Write { fd, offset: CURSOR, .. } | WriteFixed { fd, offset: CURSOR, .. } => Course::WhenReady(fd, Sending),
        WriteVectored { fd, offset: CURSOR, .. } => Course::WhenReady(fd, Sending),
        Poll { fd, events } => Course::Readiness(fd, events),
        Connect { fd, .. } => Course::Connect(fd),
        Read { fd, .. } | ReadFixed { fd, .. } | ReadVectored { fd, .. } => Course::FromCache(fd),
        Write { .. } | WriteFixed { .. } | WriteVectored { .. } => Course::OnDisk,
        Sync { .. } | Truncate { .. } | Allocate { .. } => Course::OnDisk,
        Open { .. } | Status { .. } | Rename { .. } | Remove { .. } => Course::OnDisk,
        MakeDirectory { .. } | HardLink { .. } | SymbolicLink { .. } => Course::OnDisk,
        // Of a file it may wait for a disk: the driver knows which descriptor is one.
        Close { .. } => Course::AtOnce,
    }
}
