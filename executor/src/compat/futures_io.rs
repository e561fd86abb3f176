//! [`FuturesIo`]: the traits of `futures-io` for all streams.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncBufRead, AsyncRead, AsyncWrite};

use super::reading::Reading;
use super::seeking::Seeking;
use super::writing::Writing;
use crate::io::streams::{Port, ReadStream, WriteStream};

/// A stream or a file with the borrowing traits of the crate `futures-io`, for libraries that ask for them: `AsyncRead` and
/// `AsyncBufRead` if it can be read from, `AsyncWrite` if it can be written to. It wraps a `TcpStream`, a
/// `UnixStream`, one of their halves, an end of a pipe, a [`File`](crate::fs::File) (which then has `AsyncSeek`, too), or a
/// reference to any of these.
///
/// The kernel never sees the memory that a caller lends: each byte is copied once, between that memory and a
/// buffer that belongs to the stream. Nothing is filled with zeros before.
///
/// ```
/// use futures_util::io::{AsyncBufReadExt, AsyncWriteExt};
/// use krug::compat::FuturesIo;
/// use krug::net::UnixStream;
///
/// # krug::Runtime::new().unwrap().block_on(async {
/// let (client, server) = UnixStream::pair()?;
/// let (mut client, mut server) = (FuturesIo::new(client), FuturesIo::new(server));
/// client.write_all(b"one line\n").await?;
/// client.close().await?;
/// let mut line = String::new();
/// server.read_line(&mut line).await?;
/// assert_eq!(line, "one line\n");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// # What happens when
///
/// | | |
/// |---|---|
/// | a read | hands out what was received, up to 16 KiB of it at a time; if nothing is there it receives |
/// | a future that reads is dropped | nothing is lost: what arrives goes to the next read |
/// | a write | accepts bytes and returns at once; they are sent in the background, in order |
/// | a write while 64 KiB wait | waits until there is room |
/// | a future that writes is dropped | what it has accepted is sent; a `write` that has not resolved has accepted nothing |
/// | sending fails | the error shows at every later write, at `flush` and at `close` |
/// | `flush` | waits until the kernel has everything |
/// | `close` | the same, then ends the stream for writing; a pipe is closed, a file stays open. Whoever writes afterwards gets `BrokenPipe` |
/// | a file is read, then written | what was read ahead and not handed out is forgotten: the write comes where the reader is |
/// | writing to a file fails | what was accepted behind it is given up; the error shows once, at the next write, `flush`, `close`, or sync of the file |
/// | this value is dropped | what was accepted is sent, for at most the linger time of the stream; an error is logged only |
/// | this value is dropped, but the stream lives (a reference, a half) | what was received and not handed out goes to the stream's next read |
///
/// Reading and writing may be done by different tasks: each direction wakes those who wait for it.
///
/// # Errors
///
/// As the methods of the stream.
pub struct FuturesIo<S> {
    /// Dropped before the stream, to which it gives back what is unread.
    pub(super) reading: Reading,
    writing: Writing,
    pub(super) seeking: Option<Seeking>,
    pub(super) stream: S,
}

// Nothing inside is pinned.
impl<S> Unpin for FuturesIo<S> {}

impl<S> FuturesIo<S> {
    /// Wraps a stream.
    pub fn new(stream: S) -> FuturesIo<S> {
        FuturesIo {
            reading: Reading::default(),
            writing: Writing::default(),
            seeking: None,
            stream,
        }
    }

    /// The stream. What is read from it directly may come after bytes that were received for this value; what is
    /// written to it directly comes after everything accepted here.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The stream again. Nothing is lost: what was received and not handed out goes to its next read, what
    /// was accepted is sent.
    pub fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: ReadStream> AsyncRead for FuturesIo<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let port = self.stream.read_port();
        self.reading
            .poll_read(port, cx, &mut [IoSliceMut::new(buf)])
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let port = self.stream.read_port();
        self.reading.poll_read(port, cx, bufs)
    }
}

impl<S: ReadStream> AsyncBufRead for FuturesIo<S> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        let port = this.stream.read_port();
        this.reading.poll_fill(port, cx)
    }

    fn consume(mut self: Pin<&mut Self>, amount: usize) {
        self.reading.consume(amount);
    }
}

impl<S: WriteStream> AsyncWrite for FuturesIo<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let port = self.stream.write_port();
        if let Port::File(_) = port {
            // The file's cursor is where the reader is, not where it has read ahead to.
            self.reading.reset();
        }
        self.writing.poll_write(port, cx, bufs)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let port = self.stream.write_port();
        self.reading.let_go_of_cursor();
        self.writing.poll_flush(port, cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let port = self.stream.write_port();
        self.reading.let_go_of_cursor();
        self.writing.poll_close(port, S::END, cx)
    }
}

impl<S: fmt::Debug> fmt::Debug for FuturesIo<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FuturesIo")
            .field("stream", &self.stream)
            .field("unread", &self.reading.unread().len())
            .finish()
    }
}
