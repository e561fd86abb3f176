//! [`Writing`]: the end of what was written by writers that only lend their memory. The bytes themselves are
//! with the stream from the moment in which they are accepted.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::io::streams::EndOfWriting;
use crate::op::shutdown::Shutdown;
use crate::source::{self, CloseStream, SourceId, Transfer};

#[derive(Default)]
pub(super) struct Writing {
    flushing: Option<Transfer<Shutdown>>,
    ending: Ending,
}

#[derive(Default)]
enum Ending {
    #[default]
    NotBegun,
    ShuttingDown(Transfer<Shutdown>),
    Closing(CloseStream),
    Over,
}

impl Writing {
    pub(super) fn poll_write(
        &mut self,
        id: SourceId,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if !matches!(self.ending, Ending::NotBegun) {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::BrokenPipe,
                "this writer was closed",
            )));
        }
        source::stream(id)?.poll_accept(cx, bufs)
    }

    pub(super) fn poll_flush(
        &mut self,
        id: SourceId,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if matches!(self.ending, Ending::Over) {
            return Poll::Ready(Ok(()));
        }
        let flushing = self.flushing.get_or_insert_with(|| Transfer::new(id, None));
        let result = ready!(Pin::new(flushing).poll(cx));
        self.flushing = None;
        Poll::Ready(result)
    }

    /// Sends what was accepted, then the end of the stream.
    pub(super) fn poll_close(
        &mut self,
        id: SourceId,
        end: EndOfWriting,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if matches!(self.ending, Ending::NotBegun) {
            self.ending = match end {
                EndOfWriting::ShutDown => {
                    Ending::ShuttingDown(Transfer::new(id, Some(libc::SHUT_WR)))
                }
                EndOfWriting::Close => Ending::Closing(CloseStream::new(id)),
            };
        }
        let result = match &mut self.ending {
            Ending::ShuttingDown(transfer) => ready!(Pin::new(transfer).poll(cx)),
            Ending::Closing(closing) => ready!(Pin::new(closing).poll(cx)),
            Ending::NotBegun | Ending::Over => Ok(()),
        };
        self.ending = Ending::Over;
        Poll::Ready(result)
    }
}
