//! Reads from a socket or a pipe into an owned buffer.

use std::collections::VecDeque;

use super::{Endpoint, Readiness};
use crate::buf::{self, BufResult, IoBufMut};
use crate::driver::{Address, CURSOR, Completion, Operation};
use crate::inflight::{Op, Orphan, Step};

pub(crate) struct Receive<B> {
    endpoint: Endpoint,
    buf: B,
    readiness: Readiness,
}

impl<B: IoBufMut> Receive<B> {
    pub(crate) fn new(endpoint: Endpoint, buf: B) -> Receive<B> {
        Receive { endpoint, buf, readiness: Readiness::default() }
    }

    pub(crate) fn into_buf(self) -> B {
        self.buf
    }
}

// SAFETY: points into the buffer, which it owns and which stays where it is by the contract of `IoBufMut`.
unsafe impl<B: IoBufMut> Op for Receive<B> {
    type Output = BufResult<usize, B>;
    const ORPHAN: Orphan = Orphan::Adopt;
    const IDEMPOTENT: bool = true;

    fn operation(&mut self) -> Operation {
        let Endpoint { fd, is_socket } = self.endpoint;
        if let Some(poll) = self.readiness.operation(fd, libc::POLLIN) {
            return poll;
        }
        let (pointer, length) = buf::to_fill(&mut self.buf, 0);
        let address = Address::of_mut(pointer);
        if is_socket {
            Operation::Receive { fd, address, length, flags: 0 }
        } else {
            Operation::Read { fd, address, length, offset: CURSOR }
        }
    }

    fn advance(&mut self, completion: &mut Completion) -> Step {
        self.readiness.step(*completion).unwrap_or(Step::Done)
    }

    fn salvage(&self, completion: Completion, queue: &mut VecDeque<u8>) {
        queue.extend(buf::filled(&self.buf, super::count(completion).unwrap_or(0)));
    }

    fn complete(mut self, completion: Completion) -> BufResult<usize, B> {
        let result = super::count(completion);
        if let Ok(count) = result {
            buf::set_filled(&mut self.buf, count);
        }
        (result, self.buf)
    }
}
