//! [`Writing`]: the end of what was written by writers that only lend their memory. The bytes themselves are
//! with the stream from the moment in which they are accepted.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::io::streams::{EndOfWriting, Port};
use crate::op::file_change::{Change, FileChange};
use crate::op::shutdown::Shutdown;
use crate::source::{self, Access, At, CloseStream, Transfer};

#[derive(Default)]
pub(super) struct Writing {
    flushing: Option<Flushing>,
    ending: Ending,
}

#[derive(Default)]
enum Ending {
    #[default]
    NotBegun,
    ShuttingDown(Transfer<Shutdown>),
    Closing(CloseStream),
    Flushing(Flushing),
    Over,
}

/// A flush on its way.
enum Flushing {
    Stream(Transfer<Shutdown>),
    File(Access<FileChange>),
}

impl Flushing {
    fn new(port: Port) -> Flushing {
        match port {
            Port::Stream(id) => Flushing::Stream(Transfer::new(id, None)),
            Port::File(id) => Flushing::File(Access::new(id, At::Cursor, Change::Flush)),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Flushing::Stream(transfer) => Pin::new(transfer).poll(cx),
            Flushing::File(access) => Pin::new(access).poll(cx),
        }
    }
}

impl Writing {
    pub(super) fn poll_write(
        &mut self,
        port: Port,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if !matches!(self.ending, Ending::NotBegun) {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::BrokenPipe,
                "this writer was closed",
            )));
        }
        match port {
            Port::Stream(id) => source::stream(id)?.poll_accept(cx, bufs),
            Port::File(id) => source::file(id)?.poll_accept(cx, bufs),
        }
    }

    pub(super) fn poll_flush(&mut self, port: Port, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if matches!(self.ending, Ending::Over) {
            return Poll::Ready(Ok(()));
        }
        let flushing = self.flushing.get_or_insert_with(|| Flushing::new(port));
        let result = ready!(flushing.poll(cx));
        self.flushing = None;
        Poll::Ready(result)
    }

    /// Sends what was accepted, then the end of the stream.
    pub(super) fn poll_close(
        &mut self,
        port: Port,
        end: EndOfWriting,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if matches!(self.ending, Ending::NotBegun) {
            let id = port.source();
            self.ending = match end {
                EndOfWriting::ShutDown => {
                    Ending::ShuttingDown(Transfer::new(id, Some(libc::SHUT_WR)))
                }
                EndOfWriting::Close => Ending::Closing(CloseStream::new(id)),
                EndOfWriting::Flush => Ending::Flushing(Flushing::new(port)),
            };
        }
        let result = match &mut self.ending {
            Ending::ShuttingDown(transfer) => ready!(Pin::new(transfer).poll(cx)),
            Ending::Closing(closing) => ready!(Pin::new(closing).poll(cx)),
            Ending::Flushing(flushing) => ready!(flushing.poll(cx)),
            Ending::NotBegun | Ending::Over => Ok(()),
        };
        self.ending = Ending::Over;
        Poll::Ready(result)
    }
}
