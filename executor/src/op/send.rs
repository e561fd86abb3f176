//! Writes an owned buffer to a socket or a pipe.

use std::io;

use super::{Endpoint, Readiness, StreamKind};
use crate::buf::{self, BufResult, IoBuf};
use crate::driver::{Address, CURSOR, Completion, Descriptor, Operation};
use crate::inflight::{Op, Orphan, Step};
use crate::observe::OperationKind;

pub(crate) struct Send<B> {
    buf: B,
    done: usize,
    fd: Descriptor,
    kind: StreamKind,
    /// Goes on until everything is sent. Becomes true when the future is dropped.
    whole: bool,
    /// Promised to be sent: never taken back.
    committed: bool,
    readiness: Readiness,
}

impl<B: IoBuf> Send<B> {
    /// `whole`: a short send is continued; else it is the result.
    pub(crate) fn new(endpoint: Endpoint, buf: B, whole: bool) -> Send<B> {
        Send {
            buf,
            done: 0,
            fd: endpoint.fd,
            kind: endpoint.kind,
            whole,
            committed: false,
            readiness: Readiness::default(),
        }
    }

    /// The same, sent also if the future is dropped before the kernel has seen it.
    pub(crate) fn committed(self) -> Send<B> {
        Send {
            committed: true,
            ..self
        }
    }

    pub(crate) fn into_buf(self) -> B {
        self.buf
    }
}

// SAFETY: points into the buffer, which it owns and which stays where it is by the contract of `IoBuf`.
unsafe impl<B: IoBuf> Op for Send<B> {
    type Output = BufResult<usize, B>;
    const IDEMPOTENT: bool = false;
    const KIND: Option<OperationKind> = Some(OperationKind::Send);

    fn operation(&mut self) -> Operation {
        let fd = self.fd;
        if let Some(poll) = self.readiness.operation(fd, libc::POLLOUT) {
            return poll;
        }
        let (pointer, length) = buf::to_send(&self.buf, self.done);
        let address = Address::of(pointer);
        if self.kind.is_socket() {
            Operation::Send {
                fd,
                address,
                length,
                flags: libc::MSG_NOSIGNAL,
            }
        } else {
            Operation::write(fd, address, length, CURSOR, buf::fixed(&self.buf))
        }
    }

    fn advance(&mut self, completion: &mut Completion) -> Step {
        if let Some(step) = self.readiness.step(*completion) {
            return step;
        }
        let len = self.buf.initialized_len();
        progress(completion, &mut self.done, len, self.whole)
    }

    fn has_begun(&self) -> bool {
        self.committed || self.done > 0
    }

    fn orphaned(&mut self) -> Orphan {
        self.whole = true;
        Orphan::Finish
    }

    fn resumes(&mut self, completion: Completion) -> bool {
        self.whole = true;
        completion.result >= 0 && self.done < self.buf.initialized_len()
    }

    fn complete(self, completion: Completion) -> BufResult<usize, B> {
        (super::unit(completion).map(|()| self.done), self.buf)
    }
}

/// Counts what was sent, and says whether to go on. Shared with the vectored send.
pub(super) fn progress(
    completion: &mut Completion,
    done: &mut usize,
    len: usize,
    whole: bool,
) -> Step {
    let Ok(sent) = super::count(*completion) else {
        return Step::Done;
    };
    *done += sent;
    if !whole || *done >= len {
        return Step::Done;
    }
    if sent == 0 {
        // No kernel does this to a stream; an endless loop would be the wrong answer if one did.
        completion.result = -libc::EIO;
        return Step::Done;
    }
    Step::Again
}

/// The result of a `write_all`: short of an error, it ends before its end only if it was cancelled.
pub(crate) fn whole_or_error(result: io::Result<usize>, len: usize) -> io::Result<()> {
    match result {
        Ok(done) if done < len => Err(io::Error::from_raw_os_error(libc::ECANCELED)),
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    }
}
