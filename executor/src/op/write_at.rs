//! Writes an owned buffer to a place in a file, or to its end.

use super::Readiness;
use super::send::progress;
use crate::buf::{self, BufResult, IoBuf};
use crate::driver::{Address, Completion, Descriptor, Operation};
use crate::inflight::{Op, Orphan, Step};

/// Where a write begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Offset(u64),
    /// Wherever the end of the file is at that moment. The kernel moves its own cursor behind what
    /// it wrote if this is [`CURSOR`](crate::driver::CURSOR), and else does not look at it.
    End(u64),
}

impl Target {
    /// Its offset, and whether it is the end: for operations, which have them apart, so that other small things stand beside
    /// the second.
    pub(super) fn apart(self) -> (u64, bool) {
        match self {
            Target::Offset(offset) => (offset, false),
            Target::End(offset) => (offset, true),
        }
    }

    pub(super) fn joined(offset: u64, is_end: bool) -> Target {
        match is_end {
            true => Target::End(offset),
            false => Target::Offset(offset),
        }
    }

    /// After `done` bytes of it were written.
    pub(super) fn after(self, done: usize) -> u64 {
        match self {
            Target::Offset(offset) => offset + done as u64,
            Target::End(offset) => offset,
        }
    }

    /// Written twice at the end it would be there twice.
    pub(super) fn repeats(self, errno: i32) -> bool {
        errno == libc::EINTR || matches!(self, Target::Offset(_))
    }
}

pub(crate) struct WriteAt<B> {
    fd: Descriptor,
    buf: B,
    /// With `appends` its [`Target`].
    offset: u64,
    done: usize,
    /// Goes on until everything is written. Becomes true when the future is dropped.
    whole: bool,
    /// The most bytes that the kernel is given at once.
    piece_max: u32,
    appends: bool,
    readiness: Readiness,
}

impl<B: IoBuf> WriteAt<B> {
    /// `whole`: a short write is continued; else it is the result.
    pub(crate) fn new(
        fd: Descriptor,
        buf: B,
        target: Target,
        whole: bool,
        piece_max: u32,
    ) -> WriteAt<B> {
        let (offset, appends) = target.apart();
        WriteAt {
            fd,
            buf,
            offset,
            done: 0,
            whole,
            piece_max,
            appends,
            readiness: Readiness::default(),
        }
    }

    fn target(&self) -> Target {
        Target::joined(self.offset, self.appends)
    }

    pub(crate) fn into_buf(self) -> B {
        self.buf
    }

    /// How many bytes were written.
    pub(crate) fn done(&self) -> usize {
        self.done
    }
}

// SAFETY: points into the buffer, which it owns and which stays where it is by the contract of `IoBuf`.
unsafe impl<B: IoBuf> Op for WriteAt<B> {
    type Output = BufResult<usize, B>;
    const IDEMPOTENT: bool = true;

    fn repeats(&self, errno: i32) -> bool {
        self.target().repeats(errno)
    }

    fn operation(&mut self) -> Operation {
        if let Some(poll) = self.readiness.operation(self.fd, libc::POLLOUT) {
            return poll;
        }
        let (pointer, length) = buf::to_send(&self.buf, self.done);
        let length = length.min(self.piece_max);
        let offset = self.target().after(self.done);
        let registered = buf::fixed(&self.buf);
        Operation::write(self.fd, Address::of(pointer), length, offset, registered)
    }

    fn advance(&mut self, completion: &mut Completion) -> Step {
        if let Some(step) = self.readiness.step(*completion) {
            return step;
        }
        let len = self.buf.initialized_len();
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
        completion.result >= 0 && self.done < self.buf.initialized_len()
    }

    fn complete(self, completion: Completion) -> BufResult<usize, B> {
        (super::unit(completion).map(|()| self.done), self.buf)
    }
}
