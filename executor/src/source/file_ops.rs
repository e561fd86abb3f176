//! What each operation on a file touches, and what it needs no kernel for.

use std::io;

use super::access::FileOp;
use super::file::File;
use super::span::Span;
use super::transfer::{Begin, Incoming, Outgoing};
use crate::buf::{BufResult, IoBuf, IoBufMut, IoVectoredBuf, IoVectoredBufMut};
use crate::driver;
use crate::inflight::Role;
use crate::op::file_change::{Change, FileChange};
use crate::op::read_at::ReadAt;
use crate::op::status::Status;
use crate::op::vectored_at::{ReadVectoredAt, WriteVectoredAt};
use crate::op::write_at::{Target, WriteAt};

/// What a write touches: its own bytes, or everything if only the kernel knows where the end is.
fn written(file: &File, offset: u64, length: usize) -> Span {
    if file.appends() {
        Span::Everything
    } else {
        Span::bytes(offset, length)
    }
}

/// What a read touches: also what is behind it, because a write there makes the file longer, and a hole that
/// reads as zeros of what was its end.
fn read(offset: u64) -> Span {
    Span::Bytes(offset, u64::MAX)
}

pub(super) fn target(file: &File, offset: u64) -> Target {
    if file.appends() {
        Target::End(offset)
    } else {
        Target::Offset(offset)
    }
}

impl<B: IoBufMut> FileOp for ReadAt<B> {
    type Resource = Incoming<B>;
    const ROLE: Role = Role::Look;
    const ASKS_CACHE: bool = true;

    fn span(_: &File, _: &Incoming<B>, offset: u64) -> Span {
        read(offset)
    }

    fn begin(file: &File, Incoming { buf, whole, .. }: Incoming<B>, offset: u64) -> Begin<Self> {
        if buf.capacity() == 0 {
            return Begin::Ready((Ok(0), buf));
        }
        let piece_max = file.piece_max();
        Begin::Submit(ReadAt::new(
            file.descriptor(),
            buf,
            offset,
            whole,
            piece_max,
        ))
    }

    fn failed(error: io::Error, Incoming { buf, .. }: Incoming<B>) -> BufResult<usize, B> {
        (Err(error), buf)
    }

    fn into_resource(self) -> Incoming<B> {
        Incoming {
            buf: self.into_buf(),
            whole: false,
            done: 0,
        }
    }

    fn moved(&self) -> usize {
        self.done()
    }
}

impl<B: IoBuf> FileOp for WriteAt<B> {
    type Resource = Outgoing<B>;
    const ROLE: Role = Role::Change;

    fn span(file: &File, outgoing: &Outgoing<B>, offset: u64) -> Span {
        written(file, offset, outgoing.buf.initialized_len())
    }

    fn begin(file: &File, Outgoing { buf, whole, .. }: Outgoing<B>, offset: u64) -> Begin<Self> {
        if buf.initialized_len() == 0 {
            return Begin::Ready((Ok(0), buf));
        }
        let target = target(file, offset);
        let piece_max = file.piece_max();
        Begin::Submit(WriteAt::new(
            file.descriptor(),
            buf,
            target,
            whole,
            piece_max,
        ))
    }

    fn failed(error: io::Error, Outgoing { buf, .. }: Outgoing<B>) -> BufResult<usize, B> {
        (Err(error), buf)
    }

    fn into_resource(self) -> Outgoing<B> {
        Outgoing {
            buf: self.into_buf(),
            whole: false,
            committed: None,
        }
    }

    fn moved(&self) -> usize {
        self.done()
    }
}

impl FileOp for FileChange {
    type Resource = Change;
    const ROLE: Role = Role::Change;

    fn span(_: &File, change: &Change, _: u64) -> Span {
        match change {
            Change::Sync { .. } => Span::Sync,
            Change::Flush | Change::Truncate { .. } | Change::Allocate { .. } => Span::Everything,
        }
    }

    fn begin(file: &File, change: Change, _: u64) -> Begin<Self> {
        match change {
            Change::Flush => Begin::Ready(Ok(())),
            change => Begin::Submit(FileChange::new(file.descriptor(), change)),
        }
    }

    fn failed(error: io::Error, _: Change) -> io::Result<()> {
        Err(error)
    }

    fn into_resource(self) -> Change {
        self.change
    }
}

impl FileOp for Status {
    type Resource = ();
    const ROLE: Role = Role::Look;

    /// The size among others.
    fn span(_: &File, (): &(), _: u64) -> Span {
        Span::Everything
    }

    fn begin(file: &File, (): (), _: u64) -> Begin<Self> {
        Begin::Submit(Status::of(file.descriptor()))
    }

    fn failed(error: io::Error, (): ()) -> io::Result<Box<driver::Status>> {
        Err(error)
    }

    fn into_resource(self) {}
}

impl<B: IoVectoredBufMut> FileOp for ReadVectoredAt<B> {
    /// The buffers, and how many bytes they have room for.
    type Resource = (B, usize);
    const ROLE: Role = Role::Look;

    fn span(_: &File, _: &(B, usize), offset: u64) -> Span {
        read(offset)
    }

    fn begin(file: &File, (bufs, room): (B, usize), offset: u64) -> Begin<Self> {
        if room == 0 {
            return Begin::Ready((Ok(0), bufs));
        }
        Begin::Submit(ReadVectoredAt::new(file.descriptor(), bufs, offset))
    }

    fn failed(error: io::Error, (bufs, _): (B, usize)) -> BufResult<usize, B> {
        (Err(error), bufs)
    }

    fn into_resource(self) -> (B, usize) {
        (self.into_bufs(), 0)
    }

    fn moved(&self) -> usize {
        self.done()
    }
}

impl<B: IoVectoredBuf> FileOp for WriteVectoredAt<B> {
    type Resource = Outgoing<B>;
    const ROLE: Role = Role::Change;

    fn span(file: &File, outgoing: &Outgoing<B>, offset: u64) -> Span {
        written(file, offset, outgoing.buf.total_len())
    }

    fn begin(file: &File, Outgoing { buf, whole, .. }: Outgoing<B>, offset: u64) -> Begin<Self> {
        if buf.total_len() == 0 {
            return Begin::Ready((Ok(0), buf));
        }
        let target = target(file, offset);
        Begin::Submit(WriteVectoredAt::new(file.descriptor(), buf, target, whole))
    }

    fn failed(error: io::Error, Outgoing { buf, .. }: Outgoing<B>) -> BufResult<usize, B> {
        (Err(error), buf)
    }

    fn into_resource(self) -> Outgoing<B> {
        Outgoing {
            buf: self.into_bufs(),
            whole: false,
            committed: None,
        }
    }

    fn moved(&self) -> usize {
        self.done()
    }
}
