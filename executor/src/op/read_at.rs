//! Reads from a place in a file into an owned buffer.

use std::io;

use super::Readiness;
use crate::buf::{self, BufResult, IoBufMut};
use crate::driver::{Address, Completion, Descriptor, Operation};
use crate::inflight::{Op, Step};

pub(crate) struct ReadAt<B> {
    fd: Descriptor,
    buf: B,
    offset: u64,
    done: usize,
    /// Goes on until the buffer is full.
    whole: bool,
    /// The most bytes that the kernel is asked for at once; after as many it is asked for more.
    piece_max: u32,
    readiness: Readiness,
}

impl<B: IoBufMut> ReadAt<B> {
    /// `whole`: a short read is continued; else it is the result.
    pub(crate) fn new(
        fd: Descriptor,
        buf: B,
        offset: u64,
        whole: bool,
        piece_max: u32,
    ) -> ReadAt<B> {
        ReadAt {
            fd,
            buf,
            offset,
            done: 0,
            whole,
            piece_max,
            readiness: Readiness::default(),
        }
    }

    pub(crate) fn into_buf(self) -> B {
        self.buf
    }

    /// How many bytes were read.
    pub(crate) fn done(&self) -> usize {
        self.done
    }
}

// SAFETY: points into the buffer, which it owns and which stays where it is by the contract of `IoBufMut`.
unsafe impl<B: IoBufMut> Op for ReadAt<B> {
    type Output = BufResult<usize, B>;
    const IDEMPOTENT: bool = true;

    fn operation(&mut self) -> Operation {
        if let Some(poll) = self.readiness.operation(self.fd, libc::POLLIN) {
            return poll;
        }
        let (pointer, length) = buf::to_fill(&mut self.buf, self.done);
        let length = length.min(self.piece_max);
        let offset = self.offset + self.done as u64;
        let registered = buf::fixed(&self.buf);
        Operation::read(
            self.fd,
            Address::of_mut(pointer),
            length,
            offset,
            registered,
        )
    }

    fn advance(&mut self, completion: &mut Completion) -> Step {
        if let Some(step) = self.readiness.step(*completion) {
            return step;
        }
        let read = super::count(*completion).unwrap_or(0);
        self.done += read;
        // Less than a piece is the end of the file.
        let wants_more = self.whole || read == self.piece_max as usize;
        let goes_on = wants_more && read > 0 && self.done < self.buf.capacity();
        if goes_on { Step::Again } else { Step::Done }
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
