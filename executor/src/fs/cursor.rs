//! [`File`]: reading and writing at the cursor.

use std::io::{self, SeekFrom};

use super::positional::no_position;
use super::{File, Metadata};
use crate::buf::{BufResult, IoBuf, IoBufMut};
use crate::io::streams::{self, EndOfWriting, Port, ReadStream, WriteStream};
use crate::io::{AsyncReadOwned, AsyncWriteOwned};
use crate::op::file_change::{Change, FileChange};
use crate::op::receive::Receive;
use crate::op::send::{Send, whole_or_error};
use crate::op::shutdown::Shutdown;
use crate::op::status::Status;
use crate::source::{self, Access, At, Incoming, Outgoing, SourceId, TakeCursor, Transfer};

/// The cursor belongs to this handle. Futures that use it are served in the order in which they were first polled.
///
/// What has no position (a FIFO, a terminal, a socket that was opened by its path) is read and written as a stream, with the
/// promises of a [`pipe`](crate::pipe): bytes of a dropped read go to the next one.
impl File {
    /// Reads some bytes at the cursor into `buf`, as many as fit, fewer at the end of the file; moves the cursor behind
    /// them. Resolves to their count, 0 at the end (and for a buffer without room), and the buffer.
    ///
    /// Dropping this future loses nothing: the cursor stays where it was.
    ///
    /// # Errors
    ///
    /// What the kernel answers; on a core that is not the file's own.
    pub async fn read<B: IoBufMut>(&self, buf: B) -> BufResult<usize, B> {
        if self.has_position {
            return self.fill(At::Cursor, buf, false).await;
        }
        let incoming = Incoming {
            buf,
            whole: false,
            done: 0,
        };
        Transfer::<Receive<B>>::new(self.source(), incoming).await
    }

    /// Reads at the cursor until `buf` is full, up to its capacity: give a `buf.slice(..n)` to read `n` bytes.
    ///
    /// Dropping this future loses nothing: the cursor stays where it was.
    ///
    /// # Errors
    ///
    /// As [`read`](File::read), and `UnexpectedEof` if the file ends before; the bytes that came
    /// are in the buffer then, and the cursor is behind them.
    pub async fn read_exact<B: IoBufMut>(&self, buf: B) -> BufResult<(), B> {
        let (result, buf) = if self.has_position {
            self.fill(At::Cursor, buf, true).await
        } else {
            let incoming = Incoming {
                buf,
                whole: true,
                done: 0,
            };
            Transfer::<Receive<B>>::new(self.source(), incoming).await
        };
        (result.map(drop), buf)
    }

    /// Writes some of `buf` at the cursor, and moves it behind that; at the end of a file that is opened to append. Resolves to
    /// the count, and the buffer.
    ///
    /// Dropping this future before it was first polled, or while it waits for its turn, writes nothing. Dropped
    /// later, the whole buffer is written all the same and the cursor is behind it: what is written afterwards comes
    /// after it. An error of that shows as [`write_at`](File::write_at) says.
    ///
    /// # Errors
    ///
    /// What the kernel answers, for example `ENOSPC`; the error of an earlier write of these bytes whose future was
    /// dropped, once, without writing; on a core that is not the file's own.
    pub async fn write<B: IoBuf>(&self, buf: B) -> BufResult<usize, B> {
        self.write_some(buf, false).await
    }

    /// Writes all of `buf` at the cursor, and moves it behind that; at the end of a file that is opened to append.
    ///
    /// Dropping this future: as [`write`](File::write).
    ///
    /// # Errors
    ///
    /// As `write`. How many bytes were written before an error, the cursor tells.
    pub async fn write_all<B: IoBuf>(&self, buf: B) -> BufResult<(), B> {
        let len = buf.initialized_len();
        let (result, buf) = self.write_some(buf, true).await;
        (whole_or_error(result, len), buf)
    }

    async fn write_some<B: IoBuf>(&self, buf: B, whole: bool) -> BufResult<usize, B> {
        if self.has_position {
            return self.empty(At::Cursor, buf, whole).await;
        }
        Transfer::<Send<B>>::new(
            self.source(),
            Outgoing {
                buf,
                whole,
                committed: None,
            },
        )
        .await
    }

    /// Waits until everything that was written before, also by writes whose futures were dropped, is with the kernel, where
    /// every other reader sees it. Whether it is on the disk only [`sync_data`](File::sync_data) tells.
    ///
    /// Dropping this future does nothing.
    ///
    /// # Errors
    ///
    /// The error of a write whose future was dropped, once; on a core that is not the file's own.
    pub async fn flush(&self) -> io::Result<()> {
        flush(self.source(), self.has_position).await
    }

    /// Moves the cursor, after the reads and writes that were polled before, and resolves to where it is then. It may be
    /// behind the end of the file.
    ///
    /// Dropping this future before it is ready leaves the cursor where it is.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if that is before the beginning, or after `i64::MAX`; `ESPIPE` for a pipe, a terminal and the
    /// like; on a core that is not the file's own.
    pub async fn seek(&self, to: SeekFrom) -> io::Result<u64> {
        match self.has_position {
            true => seek(self.source(), to).await,
            false => Err(no_position()),
        }
    }

    /// Moves the cursor to the beginning. As [`seek`](File::seek).
    ///
    /// Dropping this future: as `seek`.
    ///
    /// # Errors
    ///
    /// As `seek`.
    pub async fn rewind(&self) -> io::Result<()> {
        self.seek(SeekFrom::Start(0)).await.map(drop)
    }

    /// Where the cursor is, after the reads and writes that were polled before.
    ///
    /// Dropping this future does nothing.
    ///
    /// # Errors
    ///
    /// As [`seek`](File::seek).
    pub async fn stream_position(&self) -> io::Result<u64> {
        self.seek(SeekFrom::Current(0)).await
    }
}

/// As [`File::seek`].
async fn seek(id: SourceId, to: SeekFrom) -> io::Result<u64> {
    let cursor = TakeCursor::new(id).await?;
    let position = match to {
        SeekFrom::Start(offset) => Some(offset),
        SeekFrom::Current(by) => cursor.position()?.checked_add_signed(by),
        SeekFrom::End(by) => {
            let status = Access::<Status>::new(id, At::Offset(0), ()).await?;
            Metadata::new(status).len().checked_add_signed(by)
        }
    };
    match position.filter(|position| i64::try_from(*position).is_ok()) {
        Some(position) => cursor.set_position(position).map(|()| position),
        None => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the cursor of a file can only be from 0 to i64::MAX",
        )),
    }
}

async fn flush(id: SourceId, has_position: bool) -> io::Result<()> {
    match has_position {
        true => Access::<FileChange>::new(id, At::Cursor, Change::Flush).await,
        false => Transfer::<Shutdown>::new(id, None).await,
    }
}

/// Writes `bytes` at the cursor, which are accepted by this call.
fn commit(
    id: SourceId,
    has_position: bool,
    bytes: Vec<u8>,
) -> impl Future<Output = BufResult<(), Vec<u8>>> {
    let (file, stream) = match has_position {
        true => {
            let room = bytes.capacity();
            let accepted = match source::file(id) {
                Ok(file) => file.write_later(bytes),
                Err(error) => Err((error, bytes)),
            };
            (Some(accepted.map(|()| room)), None)
        }
        false => (None, Some(streams::commit(id, bytes))),
    };
    async move {
        match (file, stream) {
            (_, Some(sending)) => sending.await,
            (Some(Ok(room)), None) => {
                let result = flush(id, true).await;
                // Its memory is the file's now; whoever reads on wants as much of it.
                let mut spare = source::file(id)
                    .map(|file| file.spare())
                    .unwrap_or_default();
                spare.reserve(room);
                (result, spare)
            }
            (Some(Err((error, bytes))), None) => (Err(error), bytes),
            (None, None) => unreachable!("a file is one or the other"),
        }
    }
}

macro_rules! owned_traits {
    ($($file:ty),+) => {$(
        impl AsyncReadOwned for $file {
            async fn read<B: IoBufMut>(&mut self, buf: B) -> BufResult<usize, B> {
                File::read(self, buf).await
            }
        }

        impl AsyncWriteOwned for $file {
            async fn write_all<B: IoBuf>(&mut self, buf: B) -> BufResult<(), B> {
                File::write_all(self, buf).await
            }

            fn commit(
                &mut self,
                bytes: Vec<u8>,
            ) -> impl Future<Output = BufResult<(), Vec<u8>>> {
                commit(self.source(), self.has_position, bytes)
            }

            async fn flush(&mut self) -> io::Result<()> {
                File::flush(self).await
            }

            /// As `flush`: a file has no end to send.
            async fn shutdown(&mut self) -> io::Result<()> {
                File::flush(self).await
            }
        }
    )+};
}

owned_traits!(File, &File);

impl File {
    /// As [`seek`](File::seek), without a borrow.
    #[cfg(feature = "futures-io")]
    pub(crate) fn seek_detached(
        &self,
        to: SeekFrom,
    ) -> impl Future<Output = io::Result<u64>> + std::marker::Send + Sync + use<> {
        let (id, has_position) = (self.source(), self.has_position);
        async move {
            match has_position {
                true => seek(id, to).await,
                false => Err(no_position()),
            }
        }
    }

    #[cfg_attr(not(feature = "futures-io"), allow(dead_code))]
    fn port(&self) -> Port {
        match self.has_position {
            true => Port::File(self.source()),
            false => Port::Stream(self.source()),
        }
    }
}

impl ReadStream for File {
    #[allow(private_interfaces)]
    fn read_port(&self) -> Port {
        self.port()
    }
}

impl WriteStream for File {
    #[allow(private_interfaces)]
    const END: EndOfWriting = EndOfWriting::Flush;

    #[allow(private_interfaces)]
    fn write_port(&self) -> Port {
        self.port()
    }
}
