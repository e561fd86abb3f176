//! Reads from a socket or a pipe into an owned buffer.

use std::collections::VecDeque;
use std::io;

use super::{Endpoint, Readiness, StreamKind};
use crate::buf::{self, BufResult, IoBufMut};
use crate::driver::{Address, CURSOR, Completion, Descriptor, Operation};
use crate::inflight::{Op, Orphan, Step};
use crate::observe::OperationKind;

pub(crate) struct Receive<B> {
    buf: B,
    done: usize,
    fd: Descriptor,
    kind: StreamKind,
    /// Goes on until the buffer is full. Becomes false when the future is dropped.
    whole: bool,
    readiness: Readiness,
}

impl<B: IoBufMut> Receive<B> {
    /// The first `done` bytes of `buf` are filled already. `whole`: a short read is
    /// continued; else it is the result.
    pub(crate) fn new(endpoint: Endpoint, buf: B, done: usize, whole: bool) -> Receive<B> {
        Receive {
            buf,
            done,
            fd: endpoint.fd,
            kind: endpoint.kind,
            whole,
            readiness: Readiness::default(),
        }
    }

    /// The buffer, and how many bytes of it are filled.
    pub(crate) fn into_parts(self) -> (B, usize) {
        (self.buf, self.done)
    }
}

// SAFETY: points into the buffer, which it owns and which stays where it is by the contract of `IoBufMut`.
unsafe impl<B: IoBufMut> Op for Receive<B> {
    type Output = BufResult<usize, B>;
    const IDEMPOTENT: bool = true;
    const KIND: Option<OperationKind> = Some(OperationKind::Receive);

    fn operation(&mut self) -> Operation {
        let fd = self.fd;
        if let Some(poll) = self.readiness.operation(fd, libc::POLLIN) {
            return poll;
        }
        let (pointer, length) = buf::to_fill(&mut self.buf, self.done);
        let address = Address::of_mut(pointer);
        if self.kind.is_socket() {
            Operation::Receive {
                fd,
                address,
                length,
                flags: 0,
                from_afar: self.kind.is_far(),
            }
        } else {
            Operation::read(fd, address, length, CURSOR, buf::fixed(&self.buf))
        }
    }

    fn advance(&mut self, completion: &mut Completion) -> Step {
        if let Some(step) = self.readiness.step(*completion) {
            return step;
        }
        let received = super::count(*completion).unwrap_or(0);
        self.done += received;
        let goes_on = self.whole && received > 0 && self.done < self.buf.capacity();
        if goes_on { Step::Again } else { Step::Done }
    }

    fn has_begun(&self) -> bool {
        self.done > 0
    }

    /// A filled beginning must not wait for the rest: it goes to the next reader.
    fn orphaned(&mut self) -> Orphan {
        self.whole = false;
        if self.done > 0 {
            Orphan::Cancel
        } else {
            Orphan::Adopt
        }
    }

    fn salvage(&self, _: Completion, queue: &mut VecDeque<u8>) {
        queue.extend(buf::filled(&self.buf, self.done));
    }

    fn complete(mut self, completion: Completion) -> BufResult<usize, B> {
        if self.done > 0 || completion.result == 0 {
            buf::set_filled(&mut self.buf, self.done);
        }
        let is_short = self.whole && self.done < self.buf.capacity();
        let result = match super::count(completion) {
            Ok(_) if is_short => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(self.done),
            Err(error) => Err(error),
        };
        (result, self.buf)
    }
}
