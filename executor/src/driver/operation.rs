//! [`Operation`]: one request to the outside world, as plain data.

use crate::observe::OperationKind;

/// A file descriptor as the kernel counts them.
pub(crate) type Descriptor = i32;

/// An address of memory that the operation's owner keeps alive, unmoved and
/// unread until the last completion. A driver passes it on or writes through it;
/// everything else only compares and prints it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address(pub(crate) usize);

impl Address {
    pub(crate) fn of<T>(pointer: *const T) -> Address {
        Address(pointer.expose_provenance())
    }

    pub(crate) fn of_mut<T>(pointer: *mut T) -> Address {
        Address(pointer.expose_provenance())
    }

    pub(crate) fn as_ptr<T>(self) -> *const T {
        std::ptr::with_exposed_provenance(self.0)
    }

    pub(crate) fn as_mut_ptr<T>(self) -> *mut T {
        std::ptr::with_exposed_provenance_mut(self.0)
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// `offset` for streams and pipes, and for "at the file's own cursor".
pub(crate) const CURSOR: u64 = u64::MAX;

/// What a driver is asked to do. One variant for each kind of request; the
/// numbers are the kernel's own (`AF_…`, `MSG_…`, `POLL…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Nop,
    /// `address` and `address_length` may be zero: the peer's name is then not stored.
    Accept {
        fd: Descriptor,
        address: Address,
        address_length: Address,
        flags: i32,
    },
    /// One completion for each connection, with [`Completion::more`](super::Completion::more) until the end.
    AcceptMultishot {
        fd: Descriptor,
        flags: i32,
    },
    Connect {
        fd: Descriptor,
        address: Address,
        address_length: u32,
    },
    Socket {
        domain: i32,
        kind: i32,
        protocol: i32,
    },
    Bind {
        fd: Descriptor,
        address: Address,
        address_length: u32,
    },
    Listen {
        fd: Descriptor,
        backlog: i32,
    },
    Shutdown {
        fd: Descriptor,
        how: i32,
    },
    Close {
        fd: Descriptor,
    },
    Receive {
        fd: Descriptor,
        address: Address,
        length: u32,
        flags: i32,
        /// Nothing that is submitted together with it sends to it, as a rule: it is not held back until that has begun.
        from_afar: bool,
    },
    Send {
        fd: Descriptor,
        address: Address,
        length: u32,
        flags: i32,
    },
    /// As `Receive`, into a buffer that the kernel takes from `group` when data is there.
    #[allow(dead_code, reason = "for streams that receive ahead")]
    ReceiveProvided {
        fd: Descriptor,
        group: u16,
        length: u32,
    },
    /// One completion for each arrival, until it ends. `bundle`: an arrival may fill several buffers.
    #[allow(dead_code, reason = "for streams that receive ahead")]
    ReceiveMultishot {
        fd: Descriptor,
        group: u16,
        bundle: bool,
    },
    /// One completion for each message, until it ends, each in a provided buffer: what was received comes after a header
    /// and the sender's name. `header` is a `msghdr` that says how much room the name has.
    ReceiveMessageMultishot {
        fd: Descriptor,
        header: Address,
        group: u16,
    },
    /// `header` is a `msghdr`.
    ReceiveMessage {
        fd: Descriptor,
        header: Address,
        flags: i32,
    },
    /// `header` is a `msghdr`.
    SendMessage {
        fd: Descriptor,
        header: Address,
        flags: i32,
    },
    Read {
        fd: Descriptor,
        address: Address,
        length: u32,
        offset: u64,
    },
    Write {
        fd: Descriptor,
        address: Address,
        length: u32,
        offset: u64,
    },
    /// As `Read`, within the registered buffer of this number.
    ReadFixed {
        fd: Descriptor,
        address: Address,
        length: u32,
        offset: u64,
        buffer: u16,
    },
    /// As `Write`, within the registered buffer of this number.
    WriteFixed {
        fd: Descriptor,
        address: Address,
        length: u32,
        offset: u64,
        buffer: u16,
    },
    /// As `Read`, into a buffer that the kernel takes from `group` when data is there.
    #[allow(dead_code, reason = "for streams that receive ahead")]
    ReadProvided {
        fd: Descriptor,
        group: u16,
        length: u32,
        offset: u64,
    },
    /// `vectors` is an array of `count` `iovec`s.
    ReadVectored {
        fd: Descriptor,
        vectors: Address,
        count: u32,
        offset: u64,
    },
    /// `vectors` is an array of `count` `iovec`s.
    WriteVectored {
        fd: Descriptor,
        vectors: Address,
        count: u32,
        offset: u64,
    },
    /// `descriptors` is an `[i32; 2]`.
    Pipe {
        descriptors: Address,
        flags: i32,
    },
    /// `path` is a C string, as everywhere below; relative to the current directory.
    Open {
        path: Address,
        flags: i32,
        mode: u32,
    },
    Sync {
        fd: Descriptor,
        /// Of what the file says about itself only as much as reading the data again needs.
        data_only: bool,
    },
    /// `status` is a [`Status`](super::Status); an empty `path` asks for `fd` itself.
    Status {
        fd: Descriptor,
        path: Address,
        flags: i32,
        status: Address,
    },
    Truncate {
        fd: Descriptor,
        length: u64,
    },
    Allocate {
        fd: Descriptor,
        mode: i32,
        offset: u64,
        length: u64,
    },
    Rename {
        from: Address,
        to: Address,
    },
    Remove {
        path: Address,
        flags: i32,
    },
    MakeDirectory {
        path: Address,
        mode: u32,
    },
    HardLink {
        from: Address,
        to: Address,
    },
    SymbolicLink {
        target: Address,
        link: Address,
    },
    /// Completes once with the events that are ready, out of `events` (`POLL…`).
    Poll {
        fd: Descriptor,
        events: u32,
    },
}

/// Which of the two lists of a turn an operation is staged on: what produces is
/// submitted before what waits, so that a read finds its data instead of arming a poll.
///
/// A receive on TCP is in the first one (but not one into several buffers, which is the same operation as that of datagrams), in the order in which it was staged: its peer is elsewhere as a rule, and gets
/// its messages spread over the turn. If all sends come first, a peer that is quick has done its work when the receives
/// are at it, falls asleep, and must be woken in each turn, which costs whoever sends (measured with 50 connections over
/// the loopback device: 0.88 to 1.01 of a bare ring's messages a second).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Produce,
    Wait,
}

impl Operation {
    /// A read into memory that may lie in the registered buffer of this number.
    pub(crate) fn read(
        fd: Descriptor,
        address: Address,
        length: u32,
        offset: u64,
        registered: Option<u16>,
    ) -> Operation {
        match registered {
            Some(buffer) => Operation::ReadFixed {
                fd,
                address,
                length,
                offset,
                buffer,
            },
            None => Operation::Read {
                fd,
                address,
                length,
                offset,
            },
        }
    }

    /// A write from memory that may lie in the registered buffer of this number.
    pub(crate) fn write(
        fd: Descriptor,
        address: Address,
        length: u32,
        offset: u64,
        registered: Option<u16>,
    ) -> Operation {
        match registered {
            Some(buffer) => Operation::WriteFixed {
                fd,
                address,
                length,
                offset,
                buffer,
            },
            None => Operation::Write {
                fd,
                address,
                length,
                offset,
            },
        }
    }

    /// Whether it moves bytes or otherwise changes an open file: what a kernel may answer with EINTR, EAGAIN, ENOBUFS or ECANCELED
    /// although nothing is wrong with it.
    pub(crate) fn transfers_data(&self) -> bool {
        matches!(
            self,
            Operation::Receive { .. }
                | Operation::ReceiveProvided { .. }
                | Operation::ReceiveMultishot { .. }
                | Operation::ReadProvided { .. }
                | Operation::ReadFixed { .. }
                | Operation::WriteFixed { .. }
                | Operation::Send { .. }
                | Operation::ReceiveMessage { .. }
                | Operation::ReceiveMessageMultishot { .. }
                | Operation::SendMessage { .. }
                | Operation::Read { .. }
                | Operation::Write { .. }
                | Operation::ReadVectored { .. }
                | Operation::WriteVectored { .. }
                | Operation::Sync { .. }
                | Operation::Truncate { .. }
                | Operation::Allocate { .. }
        )
    }

    /// What it is about, in public.
    #[inline]
    pub(crate) fn kind(&self) -> OperationKind {
        match self {
            Operation::Nop => OperationKind::Nop,
            Operation::Accept { .. } => OperationKind::Accept,
            Operation::AcceptMultishot { .. } => OperationKind::AcceptMany,
            Operation::Connect { .. } => OperationKind::Connect,
            Operation::Socket { .. }
            | Operation::Bind { .. }
            | Operation::Listen { .. }
            | Operation::Pipe { .. } => OperationKind::SetUp,
            Operation::Shutdown { .. } => OperationKind::Shutdown,
            Operation::Close { .. } => OperationKind::Close,
            Operation::Receive { .. }
            | Operation::ReceiveProvided { .. }
            | Operation::ReceiveMessage { .. }
            | Operation::Read { offset: CURSOR, .. }
            | Operation::ReadFixed { offset: CURSOR, .. }
            | Operation::ReadProvided { .. }
            | Operation::ReadVectored { offset: CURSOR, .. } => OperationKind::Receive,
            Operation::ReceiveMultishot { .. } | Operation::ReceiveMessageMultishot { .. } => {
                OperationKind::ReceiveMany
            }
            Operation::Send { .. }
            | Operation::SendMessage { .. }
            | Operation::Write { offset: CURSOR, .. }
            | Operation::WriteFixed { offset: CURSOR, .. }
            | Operation::WriteVectored { offset: CURSOR, .. } => OperationKind::Send,
            Operation::Read { .. }
            | Operation::ReadFixed { .. }
            | Operation::ReadVectored { .. } => OperationKind::Read,
            Operation::Write { .. }
            | Operation::WriteFixed { .. }
            | Operation::WriteVectored { .. } => OperationKind::Write,
            Operation::Open { .. } => OperationKind::Open,
            Operation::Sync { .. } => OperationKind::Sync,
            Operation::Truncate { .. } | Operation::Allocate { .. } => OperationKind::Resize,
            Operation::Status { .. } => OperationKind::Status,
            Operation::Rename { .. }
            | Operation::Remove { .. }
            | Operation::MakeDirectory { .. }
            | Operation::HardLink { .. }
            | Operation::SymbolicLink { .. } => OperationKind::Path,
            Operation::Poll { .. } => OperationKind::Poll,
        }
    }

    pub(crate) fn stage(&self) -> Stage {
        match self {
            Operation::Receive {
                from_afar: false, ..
            }
            | Operation::ReceiveProvided { .. }
            | Operation::ReceiveMultishot { .. }
            | Operation::ReadFixed { offset: CURSOR, .. }
            | Operation::ReadProvided { offset: CURSOR, .. }
            | Operation::ReceiveMessage { .. }
            | Operation::ReceiveMessageMultishot { .. }
            | Operation::Read { offset: CURSOR, .. }
            | Operation::ReadVectored { offset: CURSOR, .. }
            | Operation::Poll { .. } => Stage::Wait,
            _ => Stage::Produce,
        }
    }
}
