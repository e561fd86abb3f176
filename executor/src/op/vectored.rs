//! Reads into, and writes from, several owned buffers at once.

use std::collections::VecDeque;

use super::send::progress;
use super::{Endpoint, Readiness, StreamKind};
use crate::buf::{self, BufResult, IoVectoredBuf, IoVectoredBufMut, Vectors};
use crate::driver::{Address, CURSOR, Completion, Descriptor, Operation};
use crate::inflight::{Op, Orphan, Step};

/// `RECVMSG` on sockets, `READV` on pipes.
pub(crate) struct ReceiveVectored<B> {
    bufs: B,
    vectors: Box<Vectors>,
    fd: Descriptor,
    kind: StreamKind,
    readiness: Readiness,
}

impl<B: IoVectoredBufMut> ReceiveVectored<B> {
    pub(crate) fn new(endpoint: Endpoint, bufs: B) -> ReceiveVectored<B> {
        let (vectors, readiness) = (Box::new(Vectors::new()), Readiness::default());
        ReceiveVectored {
            bufs,
            vectors,
            fd: endpoint.fd,
            kind: endpoint.kind,
            readiness,
        }
    }

    pub(crate) fn into_buf(self) -> B {
        self.bufs
    }
}

// SAFETY: points to the boxed vectors, and through them into the buffers, all of which it owns.
unsafe impl<B: IoVectoredBufMut> Op for ReceiveVectored<B> {
    type Output = BufResult<usize, B>;
    const IDEMPOTENT: bool = true;

    fn operation(&mut self) -> Operation {
        let fd = self.fd;
        if let Some(poll) = self.readiness.operation(fd, libc::POLLIN) {
            return poll;
        }
        self.vectors.set_to_fill(&mut self.bufs);
        if self.kind.is_socket() {
            let header = Address::of(self.vectors.header());
            return Operation::ReceiveMessage {
                fd,
                header,
                flags: 0,
            };
        }
        let (list, count) = self.vectors.list();
        Operation::ReadVectored {
            fd,
            vectors: Address::of(list),
            count,
            offset: CURSOR,
        }
    }

    fn advance(&mut self, completion: &mut Completion) -> Step {
        self.readiness.step(*completion).unwrap_or(Step::Done)
    }

    fn salvage(&self, completion: Completion, queue: &mut VecDeque<u8>) {
        buf::salvage_vectored(&self.vectors, super::count(completion).unwrap_or(0), queue);
    }

    fn orphaned(&mut self) -> Orphan {
        Orphan::Adopt
    }

    fn complete(mut self, completion: Completion) -> BufResult<usize, B> {
        let result = super::count(completion);
        if let Ok(count) = result {
            buf::set_filled_vectored(&mut self.bufs, count);
        }
        (result, self.bufs)
    }
}

/// `SENDMSG` on sockets, `WRITEV` on pipes.
pub(crate) struct SendVectored<B> {
    bufs: B,
    vectors: Box<Vectors>,
    fd: Descriptor,
    kind: StreamKind,
    done: usize,
    /// Goes on until everything is sent. Becomes true when the future is dropped.
    whole: bool,
    readiness: Readiness,
}

impl<B: IoVectoredBuf> SendVectored<B> {
    pub(crate) fn new(endpoint: Endpoint, bufs: B, whole: bool) -> SendVectored<B> {
        let (vectors, readiness) = (Box::new(Vectors::new()), Readiness::default());
        SendVectored {
            bufs,
            vectors,
            fd: endpoint.fd,
            kind: endpoint.kind,
            done: 0,
            whole,
            readiness,
        }
    }

    pub(crate) fn into_buf(self) -> B {
        self.bufs
    }
}

// SAFETY: points to the boxed vectors, and through them into the buffers, all of which it owns.
unsafe impl<B: IoVectoredBuf> Op for SendVectored<B> {
    type Output = BufResult<usize, B>;
    const IDEMPOTENT: bool = false;

    fn operation(&mut self) -> Operation {
        let fd = self.fd;
        if let Some(poll) = self.readiness.operation(fd, libc::POLLOUT) {
            return poll;
        }
        self.vectors.set_to_send(&self.bufs, self.done);
        if self.kind.is_socket() {
            let header = Address::of(self.vectors.header());
            return Operation::SendMessage {
                fd,
                header,
                flags: libc::MSG_NOSIGNAL,
            };
        }
        let (list, count) = self.vectors.list();
        Operation::WriteVectored {
            fd,
            vectors: Address::of(list),
            count,
            offset: CURSOR,
        }
    }

    fn advance(&mut self, completion: &mut Completion) -> Step {
        if let Some(step) = self.readiness.step(*completion) {
            return step;
        }
        let len = self.bufs.total_len();
        progress(completion, &mut self.done, len, self.whole)
    }

    fn has_begun(&self) -> bool {
        self.done > 0
    }

    fn orphaned(&mut self) -> Orphan {
        self.whole = true;
        Orphan::Finish
    }

    fn resumes(&mut self, completion: Completion) -> bool {
        self.whole = true;
        completion.result >= 0 && self.done < self.bufs.total_len()
    }

    fn complete(self, completion: Completion) -> BufResult<usize, B> {
        (super::unit(completion).map(|()| self.done), self.bufs)
    }
}
