//! Receives one datagram and learns who sent it.

use super::Readiness;
use crate::buf::{self, BufResult, IoBufMut, Message};
use crate::driver::RawAddress;
use crate::driver::{Address, Completion, Descriptor, Operation};
use crate::inflight::{Datagram, Op, Orphan, Step};

/// What was received.
#[derive(Clone, Copy)]
pub(crate) struct Received {
    /// How many bytes are in the buffer.
    pub(crate) count: usize,
    /// How long the datagram was: more, if the buffer was too small.
    pub(crate) length: usize,
    pub(crate) sender: RawAddress,
}

pub(crate) struct ReceiveFrom<B> {
    fd: Descriptor,
    buf: B,
    message: Message,
    /// Only looks: the next receive gets the same datagram.
    peeks: bool,
    readiness: Readiness,
}

impl<B: IoBufMut> ReceiveFrom<B> {
    pub(crate) fn new(fd: Descriptor, buf: B, peeks: bool) -> ReceiveFrom<B> {
        ReceiveFrom {
            fd,
            buf,
            message: Message::new(),
            peeks,
            readiness: Readiness::default(),
        }
    }

    pub(crate) fn into_buf(self) -> B {
        self.buf
    }
}

// SAFETY: points to the message header, and through it into the buffer, both of which it owns and which stay where
// they are: the header is boxed, the buffer keeps the contract of `IoBufMut`.
unsafe impl<B: IoBufMut> Op for ReceiveFrom<B> {
    type Output = BufResult<Received, B>;
    const IDEMPOTENT: bool = true;

    fn operation(&mut self) -> Operation {
        if let Some(poll) = self.readiness.operation(self.fd, libc::POLLIN) {
            return poll;
        }
        let (pointer, room) = buf::to_fill(&mut self.buf, 0);
        let header = Address::of_mut(self.message.for_receiving(pointer, room));
        // With MSG_TRUNC the result is the length of the datagram, also of what did not fit.
        let flags = libc::MSG_TRUNC | if self.peeks { libc::MSG_PEEK } else { 0 };
        Operation::ReceiveMessage {
            fd: self.fd,
            header,
            flags,
        }
    }

    fn advance(&mut self, completion: &mut Completion) -> Step {
        self.readiness.step(*completion).unwrap_or(Step::Done)
    }

    fn orphaned(&mut self) -> Orphan {
        if self.peeks {
            Orphan::Cancel
        } else {
            Orphan::Adopt
        }
    }

    fn datagram(&self, completion: Completion) -> Option<Datagram> {
        if self.peeks {
            return None;
        }
        let length = super::count(completion).ok()?;
        let filled = buf::filled(&self.buf, length.min(self.buf.capacity()));
        Some(Datagram {
            bytes: filled.to_vec(),
            length,
            sender: self.message.sender(),
        })
    }

    fn complete(mut self, completion: Completion) -> BufResult<Received, B> {
        let received = super::count(completion).map(|length| {
            let count = length.min(self.buf.capacity());
            buf::set_filled(&mut self.buf, count);
            Received {
                count,
                length,
                sender: RawAddress::new(self.message.sender().as_bytes()),
            }
        });
        (received, self.buf)
    }
}
