//! Looks at what a socket has received without taking it.

use super::Readiness;
use crate::buf::{self, BufResult, IoBufMut};
use crate::driver::{Address, Completion, Descriptor, Operation};
use crate::inflight::{Op, Step};

pub(crate) struct Peek<B> {
    fd: Descriptor,
    buf: B,
    readiness: Readiness,
}

impl<B: IoBufMut> Peek<B> {
    pub(crate) fn new(fd: Descriptor, buf: B) -> Peek<B> {
        Peek {
            fd,
            buf,
            readiness: Readiness::default(),
        }
    }

    pub(crate) fn into_buf(self) -> B {
        self.buf
    }
}

// SAFETY: points into the buffer, which it owns and which stays where it is by the contract of `IoBufMut`.
unsafe impl<B: IoBufMut> Op for Peek<B> {
    type Output = BufResult<usize, B>;
    const IDEMPOTENT: bool = true;

    fn operation(&mut self) -> Operation {
        if let Some(poll) = self.readiness.operation(self.fd, libc::POLLIN) {
            return poll;
        }
        let (pointer, length) = buf::to_fill(&mut self.buf, 0);
        let address = Address::of_mut(pointer);
        Operation::Receive {
            fd: self.fd,
            address,
            length,
            flags: libc::MSG_PEEK,
            from_afar: false,
        }
    }

    fn advance(&mut self, completion: &mut Completion) -> Step {
        self.readiness.step(*completion).unwrap_or(Step::Done)
    }

    fn complete(mut self, completion: Completion) -> BufResult<usize, B> {
        let result = super::count(completion);
        if let Ok(count) = result {
            buf::set_filled(&mut self.buf, count);
        }
        (result, self.buf)
    }
}
