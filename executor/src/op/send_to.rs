//! Sends one datagram.

use super::Readiness;
use super::address::RawAddress;
use crate::buf::{self, BufResult, IoBuf, Message};
use crate::driver::{Address, Completion, Descriptor, Operation};
use crate::inflight::{Op, Orphan, Step};

pub(crate) struct SendTo<B> {
    fd: Descriptor,
    buf: B,
    /// Names the receiver; without, the datagram goes to whom the socket is connected with.
    message: Option<Message>,
    readiness: Readiness,
}

impl<B: IoBuf> SendTo<B> {
    pub(crate) fn new(fd: Descriptor, buf: B, receiver: Option<&RawAddress>) -> SendTo<B> {
        SendTo {
            fd,
            buf,
            message: receiver.map(|receiver| Message::to(receiver.as_bytes())),
            readiness: Readiness::default(),
        }
    }

    pub(crate) fn into_buf(self) -> B {
        self.buf
    }
}

// SAFETY: points into the buffer, and to the message header if there is one, both of which it owns and which stay
// where they are: the header is boxed, the buffer keeps the contract of `IoBuf`.
unsafe impl<B: IoBuf> Op for SendTo<B> {
    type Output = BufResult<usize, B>;
    const IDEMPOTENT: bool = false;

    fn operation(&mut self) -> Operation {
        let fd = self.fd;
        if let Some(poll) = self.readiness.operation(fd, libc::POLLOUT) {
            return poll;
        }
        let (pointer, length) = buf::to_send(&self.buf, 0);
        let flags = libc::MSG_NOSIGNAL;
        match &mut self.message {
            Some(message) => Operation::SendMessage {
                fd,
                header: Address::of_mut(message.to_send(pointer, length)),
                flags,
            },
            None => Operation::Send {
                fd,
                address: Address::of(pointer),
                length,
                flags,
            },
        }
    }

    fn advance(&mut self, completion: &mut Completion) -> Step {
        self.readiness.step(*completion).unwrap_or(Step::Done)
    }

    fn orphaned(&mut self) -> Orphan {
        Orphan::Finish
    }

    fn complete(self, completion: Completion) -> BufResult<usize, B> {
        (super::count(completion), self.buf)
    }
}
