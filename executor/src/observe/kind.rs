//! [`OperationKind`]: the kinds of operations that are told apart.

use std::fmt;

/// What an operation is about, for [`Metrics`](crate::runtime::Metrics) and dumps: which call of the kernel serves it makes no difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum OperationKind {
    /// Takes the next connection.
    Accept,
    /// Takes one connection after the other until it is stopped.
    AcceptMany,
    /// Connects a socket.
    Connect,
    /// Makes a socket or a pipe, binds, listens.
    SetUp,
    /// Receives from a socket or a pipe, once.
    Receive,
    /// Receives one piece after the other until it is stopped.
    ReceiveMany,
    /// Sends to a socket or a pipe.
    Send,
    /// Ends a direction of a socket.
    Shutdown,
    /// Closes what was open.
    Close,
    /// Opens a file.
    Open,
    /// Reads a file at an offset.
    Read,
    /// Writes a file at an offset.
    Write,
    /// Makes what was written durable.
    Sync,
    /// Changes the length or the space of a file.
    Resize,
    /// Asks what a file is like.
    Status,
    /// Renames, removes, links, makes a folder.
    Path,
    /// Waits until something can be read or written.
    Poll,
    /// Nothing but the way to the kernel and back.
    Nop,
}

impl OperationKind {
    /// All of them, in their order.
    pub(crate) const ALL: [OperationKind; 18] = [
        OperationKind::Accept,
        OperationKind::AcceptMany,
        OperationKind::Connect,
        OperationKind::SetUp,
        OperationKind::Receive,
        OperationKind::ReceiveMany,
        OperationKind::Send,
        OperationKind::Shutdown,
        OperationKind::Close,
        OperationKind::Open,
        OperationKind::Read,
        OperationKind::Write,
        OperationKind::Sync,
        OperationKind::Resize,
        OperationKind::Status,
        OperationKind::Path,
        OperationKind::Poll,
        OperationKind::Nop,
    ];

    /// True if it has many results: how long it takes says nothing.
    pub(crate) fn is_many(self) -> bool {
        matches!(self, OperationKind::AcceptMany | OperationKind::ReceiveMany)
    }

    /// The word for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            OperationKind::Accept => "accept",
            OperationKind::AcceptMany => "accept many",
            OperationKind::Connect => "connect",
            OperationKind::SetUp => "set up",
            OperationKind::Receive => "receive",
            OperationKind::ReceiveMany => "receive many",
            OperationKind::Send => "send",
            OperationKind::Shutdown => "shutdown",
            OperationKind::Close => "close",
            OperationKind::Open => "open",
            OperationKind::Read => "read",
            OperationKind::Write => "write",
            OperationKind::Sync => "sync",
            OperationKind::Resize => "resize",
            OperationKind::Status => "status",
            OperationKind::Path => "path",
            OperationKind::Poll => "poll",
            OperationKind::Nop => "nop",
        }
    }
}

impl fmt::Display for OperationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_at_its_own_place() {
        for (index, kind) in OperationKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
        }
    }
}
