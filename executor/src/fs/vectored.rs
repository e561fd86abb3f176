//! [`File`]: reading into, and writing from, several buffers at once.

use super::File;
use super::positional::no_position;
use crate::buf::{BufResult, IoVectoredBuf, IoVectoredBufMut};
use crate::op::send::whole_or_error;
use crate::op::vectored::{ReceiveVectored, SendVectored};
use crate::op::vectored_at::{ReadVectoredAt, WriteVectoredAt};
use crate::source::{Access, At, Outgoing, Transfer};

impl File {
    /// As [`read_at`](File::read_at), into several buffers, each filled before the next.
    ///
    /// Dropping this future cancels it.
    ///
    /// # Errors
    ///
    /// As `read_at`.
    pub async fn read_vectored_at<B: IoVectoredBufMut>(
        &self,
        bufs: B,
        offset: u64,
    ) -> BufResult<usize, B> {
        if !self.has_position {
            return (Err(no_position()), bufs);
        }
        self.fill_all(At::Offset(offset), bufs).await
    }

    /// As [`write_at`](File::write_at), from several buffers, as if they were joined.
    ///
    /// Dropping this future: as `write_at`.
    ///
    /// # Errors
    ///
    /// As `write_at`.
    pub async fn write_vectored_at<B: IoVectoredBuf>(
        &self,
        bufs: B,
        offset: u64,
    ) -> BufResult<usize, B> {
        if !self.has_position {
            return (Err(no_position()), bufs);
        }
        self.empty_all(At::Offset(offset), bufs, false).await
    }

    /// As [`write_all_at`](File::write_all_at), from several buffers, as if they were joined.
    ///
    /// Dropping this future: as `write_at`.
    ///
    /// # Errors
    ///
    /// As `write_all_at`.
    pub async fn write_all_vectored_at<B: IoVectoredBuf>(
        &self,
        bufs: B,
        offset: u64,
    ) -> BufResult<(), B> {
        if !self.has_position {
            return (Err(no_position()), bufs);
        }
        let len = bufs.total_len();
        let (result, bufs) = self.empty_all(At::Offset(offset), bufs, true).await;
        (whole_or_error(result, len), bufs)
    }

    /// As [`read`](File::read), into several buffers, each filled before the next.
    ///
    /// Dropping this future: as `read`.
    ///
    /// # Errors
    ///
    /// As `read`.
    pub async fn read_vectored<B: IoVectoredBufMut>(&self, bufs: B) -> BufResult<usize, B> {
        if self.has_position {
            return self.fill_all(At::Cursor, bufs).await;
        }
        Transfer::<ReceiveVectored<B>>::new(self.source(), bufs).await
    }

    /// As [`write`](File::write), from several buffers, as if they were joined.
    ///
    /// Dropping this future: as `write`.
    ///
    /// # Errors
    ///
    /// As `write`.
    pub async fn write_vectored<B: IoVectoredBuf>(&self, bufs: B) -> BufResult<usize, B> {
        self.write_some_vectored(bufs, false).await
    }

    /// As [`write_all`](File::write_all), from several buffers, as if they were joined.
    ///
    /// Dropping this future: as `write`.
    ///
    /// # Errors
    ///
    /// As `write_all`.
    pub async fn write_all_vectored<B: IoVectoredBuf>(&self, bufs: B) -> BufResult<(), B> {
        let len = bufs.total_len();
        let (result, bufs) = self.write_some_vectored(bufs, true).await;
        (whole_or_error(result, len), bufs)
    }

    async fn write_some_vectored<B: IoVectoredBuf>(
        &self,
        bufs: B,
        whole: bool,
    ) -> BufResult<usize, B> {
        if self.has_position {
            return self.empty_all(At::Cursor, bufs, whole).await;
        }
        let outgoing = Outgoing {
            buf: bufs,
            whole,
            committed: None,
        };
        Transfer::<SendVectored<B>>::new(self.source(), outgoing).await
    }

    async fn fill_all<B: IoVectoredBufMut>(&self, at: At, mut bufs: B) -> BufResult<usize, B> {
        let room = bufs.total_capacity();
        Access::<ReadVectoredAt<B>>::new(self.source(), at, (bufs, room)).await
    }

    async fn empty_all<B: IoVectoredBuf>(
        &self,
        at: At,
        bufs: B,
        whole: bool,
    ) -> BufResult<usize, B> {
        let outgoing = Outgoing {
            buf: bufs,
            whole,
            committed: None,
        };
        Access::<WriteVectoredAt<B>>::new(self.source(), at, outgoing).await
    }
}
