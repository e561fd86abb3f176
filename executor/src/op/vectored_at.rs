//! Reads from, and writes to, a place in a file with several owned buffers at once.

use super::Readiness;
use super::send::progress;
use super::write_at::Target;
use crate::buf::{self, BufResult, IoVectoredBuf, IoVectoredBufMut, Vectors};
use crate::driver::{Address, Completion, Descriptor, Operation};
use crate::inflight::{Op, Orphan, Step};

/// `READV` at an offset.
pub(crate) struct ReadVectoredAt<B> {
    fd: Descriptor,
    bufs: B,
    vectors: Box<Vectors>,
    offset: u64,
    done: usize,
    readiness: Readiness,
}

impl<B: IoVectoredBufMut> ReadVectoredAt<B> {
    pub(crate) fn new(fd: Descriptor, bufs: B, offset: u64) -> ReadVectoredAt<B> {
        ReadVectoredAt {
            fd,
            bufs,
            vectors: Box::new(Vectors::new()),
            offset,
            done: 0,
            readiness: Readiness::default(),
        }
    }

    pub(crate) fn into_bufs(self) -> B {
        self.bufs
    }

    /// How many bytes were read.
    pub(crate) fn done(&self) -> usize {
        self.done
    }
}

// SAFETY: points to the boxed vectors, and through them into the buffers, all of which it owns.
unsafe impl<B: IoVectoredBufMut> Op for ReadVectoredAt<B> {
    type Output = BufResult<usize, B>;
    const IDEMPOTENT: bool = true;

    fn operation(&mut self) -> Operation {
        let fd = self.fd;
        if let Some(poll) = self.readiness.operation(fd, libc::POLLIN) {
            return poll;
        }
        self.vectors.set_to_fill(&mut self.bufs);
        let (list, count) = self.vectors.list();
        Operation::ReadVectored {
            fd,
            vectors: Address::of(list),
            count,
            offset: self.offset,
        }
    }

    fn advance(&mut self, completion: &mut Completion) -> Step {
        if let Some(step) = self.readiness.step(*completion) {
            return step;
        }
        self.done = super::count(*completion).unwrap_or(0);
        Step::Done
    }

    fn complete(mut self, completion: Completion) -> BufResult<usize, B> {
        let result = super::count(completion);
        if let Ok(count) = result {
            buf::set_filled_vectored(&mut self.bufs, count);
        }
        (result, self.bufs)
    }
}

/// `WRITEV` at an offset, or at the end.
pub(crate) struct WriteVectoredAt<B> {
    fd: Descriptor,
    bufs: B,
    vectors: Box<Vectors>,
    /// With `appends` its [`Target`].
    offset: u64,
    done: usize,
    /// Goes on until everything is written. Becomes true when the future is dropped.
    whole: bool,
    appends: bool,
    readiness: Readiness,
}

impl<B: IoVectoredBuf> WriteVectoredAt<B> {
    fn target(&self) -> Target {
        Target::joined(self.offset, self.appends)
    }

    pub(crate) fn new(fd: Descriptor, bufs: B, target: Target, whole: bool) -> WriteVectoredAt<B> {
        let (offset, appends) = target.apart();
        WriteVectoredAt {
            fd,
            bufs,
            vectors: Box::new(Vectors::new()),
            offset,
            done: 0,
            whole,
            appends,
            readiness: Readiness::default(),
        }
    }

    pub(crate) fn into_bufs(self) -> B {
        self.bufs
    }

    /// How many bytes were written.
    pub(crate) fn done(&self) -> usize {
        self.done
    }
}

// SAFETY: points to the boxed vectors, and through them into the buffers, all of which it owns.
unsafe impl<B: IoVectoredBuf> Op for WriteVectoredAt<B> {
    type Output = BufResult<usize, B>;
    const IDEMPOTENT: bool = true;

    fn repeats(&self, errno: i32) -> bool {
        self.target().repeats(errno)
    }

    fn operation(&mut self) -> Operation {
        let fd = self.fd;
        if let Some(poll) = self.readiness.operation(fd, libc::POLLOUT) {
            return poll;
        }
        self.vectors.set_to_send(&self.bufs, self.done);
        let (list, count) = self.vectors.list();
        Operation::WriteVectored {
            fd,
            vectors: Address::of(list),
            count,
            offset: self.target().after(self.done),
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
