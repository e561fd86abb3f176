//! What a stream does for those who only lend their memory: accepts bytes into its outbox, takes back what was
//! read and not used.

use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use super::Stream;
use crate::task::budget;

impl Stream {
    /// Accepts as much of `bufs` as there is room for, at least one byte unless they are empty; waits if there
    /// is no room. What was accepted is sent, or its error stays for every later write, flush and close.
    pub(crate) fn poll_accept(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check_open()?;
        self.check_poison()?;
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        ready!(budget::consume(cx));
        let Some(accepted) = self.outbox().accept(cx, bufs) else {
            return Poll::Pending;
        };
        self.begin_accepted();
        Poll::Ready(Ok(accepted))
    }

    /// Bytes that were read and not used come back, before all others.
    pub(crate) fn give_back(&self, bytes: &[u8]) {
        self.unread(bytes.to_vec());
    }
}
