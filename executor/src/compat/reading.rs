//! [`Reading`]: received bytes, for readers that only lend their memory.

use std::io::{self, IoSliceMut};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::buf::BufResult;
use crate::io::streams::Port;
use crate::op::read_at::ReadAt;
use crate::op::receive::Receive;
use crate::source::{self, Access, At, Incoming, Transfer};

/// How much is received at a time.
pub(crate) const PIECE_LENGTH: usize = 16 << 10;

/// One piece of what was received, or a receive on its way. Not both: a receive is begun when the piece is used up.
#[derive(Default)]
pub(super) struct Reading {
    piece: Vec<u8>,
    position: usize,
    receiving: Option<Receiving>,
    /// Where the piece came from.
    origin: Option<Port>,
}

/// A receive on its way.
enum Receiving {
    Stream(Transfer<Receive<Vec<u8>>>),
    File(Access<ReadAt<Vec<u8>>>),
}

impl Receiving {
    fn new(port: Port, buf: Vec<u8>) -> Receiving {
        let incoming = Incoming {
            buf,
            whole: false,
            done: 0,
        };
        match port {
            Port::Stream(id) => Receiving::Stream(Transfer::new(id, incoming)),
            Port::File(id) => Receiving::File(Access::new(id, At::Cursor, incoming)),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<BufResult<usize, Vec<u8>>> {
        match self {
            Receiving::Stream(transfer) => Pin::new(transfer).poll(cx),
            Receiving::File(access) => Pin::new(access).poll(cx),
        }
    }
}

impl Reading {
    /// Nothing is unread any more, and nothing is on its way: it goes back to where it came from.
    pub(super) fn reset(&mut self) {
        drop(std::mem::take(self));
    }

    /// A read on its way has the cursor of its file: whoever needs that takes it back, and loses nothing.
    pub(super) fn let_go_of_cursor(&mut self) {
        if let Some(Receiving::File(_)) = self.receiving {
            self.receiving = None;
        }
    }

    pub(super) fn unread(&self) -> &[u8] {
        &self.piece[self.position..]
    }

    pub(super) fn consume(&mut self, count: usize) {
        self.position = self.piece.len().min(self.position + count);
    }

    /// Waits until there is something unread, or the end.
    pub(super) fn poll_fill(
        &mut self,
        port: Port,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<&[u8]>> {
        if self.unread().is_empty() {
            ready!(self.poll_receive(port, cx))?;
        }
        Poll::Ready(Ok(self.unread()))
    }

    fn poll_receive(&mut self, port: Port, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let piece = &mut self.piece;
        let receiving = self.receiving.get_or_insert_with(|| {
            let mut buf = std::mem::take(piece);
            buf.clear();
            buf.reserve_exact(PIECE_LENGTH);
            Receiving::new(port, buf)
        });
        self.position = 0;
        self.origin = Some(port);
        let (result, mut piece) = ready!(receiving.poll(cx));
        self.receiving = None;
        piece.truncate(*result.as_ref().unwrap_or(&0));
        self.piece = piece;
        Poll::Ready(result.map(|_| ()))
    }

    pub(super) fn poll_read(
        &mut self,
        port: Port,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        let mut unread = ready!(self.poll_fill(port, cx))?;
        let mut copied = 0;
        for buf in bufs {
            let share = buf.len().min(unread.len());
            let (now, later) = unread.split_at(share);
            buf[..share].copy_from_slice(now);
            (unread, copied) = (later, copied + share);
        }
        self.consume(copied);
        Poll::Ready(Ok(copied))
    }
}

impl Drop for Reading {
    /// What is unread goes back to the stream, for its next reader. A receive on its way goes there by itself.
    fn drop(&mut self) {
        let unread = self.unread();
        if let Some(origin) = self.origin
            && !unread.is_empty()
        {
            source::give_back(origin.source(), unread.to_vec());
        }
    }
}
