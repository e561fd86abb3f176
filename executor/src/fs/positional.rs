//! [`File`]: reading and writing at an offset.

use std::io;

use super::File;
use crate::buf::{BufResult, IoBuf, IoBufMut};
use crate::op::read_at::ReadAt;
use crate::op::send::whole_or_error;
use crate::op::write_at::WriteAt;
use crate::source::{Access, At, Incoming, Outgoing};

impl File {
    /// Reads some bytes from `offset` on into `buf`: as many as fit, fewer at the end of the file. Resolves to their count, 0 at
    /// and beyond the end (and for a buffer without room), and the buffer. The cursor does not move.
    ///
    /// Bytes that a write whose future was dropped is still changing are waited for.
    ///
    /// Dropping this future cancels it.
    ///
    /// # Errors
    ///
    /// What the kernel answers; `EINVAL` for an offset above `i64::MAX`; `ESPIPE` for a pipe, a terminal and
    /// the like; on a core that is not the file's own.
    pub async fn read_at<B: IoBufMut>(&self, buf: B, offset: u64) -> BufResult<usize, B> {
        self.fill(At::Offset(offset), buf, false).await
    }

    /// Reads from `offset` on until `buf` is full, up to its capacity: give a `buf.slice(..n)` to read `n` bytes.
    /// The cursor does not move.
    ///
    /// Dropping this future cancels it.
    ///
    /// # Errors
    ///
    /// As [`read_at`](File::read_at), and `UnexpectedEof` if the file ends before; the bytes that came
    /// are in the buffer then.
    pub async fn read_exact_at<B: IoBufMut>(&self, buf: B, offset: u64) -> BufResult<(), B> {
        let (result, buf) = self.fill(At::Offset(offset), buf, true).await;
        (result.map(drop), buf)
    }

    /// Writes some of `buf` at `offset`: mostly all, less for example when the disk is full. Resolves to the count, and the
    /// buffer. Beyond the end the file grows, with a hole between. The cursor does not move.
    ///
    /// Bytes that an earlier write whose future was dropped is still changing are waited for.
    ///
    /// Dropping this future before it was first polled, or while it waits for another change, writes nothing. Dropped later,
    /// the whole buffer is written all the same; whatever touches the same bytes waits for that, and
    /// its error shows at the next change of them, sync, `set_len`, `allocate` or `close`.
    ///
    /// # Errors
    ///
    /// What the kernel answers, for example `ENOSPC`; the error of an earlier write of these bytes whose future was
    /// dropped, once, without writing; `EINVAL` for an offset above `i64::MAX`; `ESPIPE` for a pipe, a terminal and
    /// the like; on a core that is not the file's own.
    pub async fn write_at<B: IoBuf>(&self, buf: B, offset: u64) -> BufResult<usize, B> {
        self.empty(At::Offset(offset), buf, false).await
    }

    /// Writes all of `buf` at `offset`. The cursor does not move.
    ///
    /// Dropping this future: as [`write_at`](File::write_at).
    ///
    /// # Errors
    ///
    /// As `write_at`. How many bytes were written before an error is not known.
    pub async fn write_all_at<B: IoBuf>(&self, buf: B, offset: u64) -> BufResult<(), B> {
        let len = buf.initialized_len();
        let (result, buf) = self.empty(At::Offset(offset), buf, true).await;
        (whole_or_error(result, len), buf)
    }

    pub(super) async fn fill<B: IoBufMut>(
        &self,
        at: At,
        buf: B,
        whole: bool,
    ) -> BufResult<usize, B> {
        if !self.has_position {
            return (Err(no_position()), buf);
        }
        Access::<ReadAt<B>>::new(
            self.source(),
            at,
            Incoming {
                buf,
                whole,
                done: 0,
            },
        )
        .await
    }

    pub(super) async fn empty<B: IoBuf>(&self, at: At, buf: B, whole: bool) -> BufResult<usize, B> {
        if !self.has_position {
            return (Err(no_position()), buf);
        }
        Access::<WriteAt<B>>::new(
            self.source(),
            at,
            Outgoing {
                buf,
                whole,
                committed: None,
            },
        )
        .await
    }
}

pub(super) fn no_position() -> io::Error {
    io::Error::from_raw_os_error(libc::ESPIPE)
}
