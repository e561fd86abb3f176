//! What a stream does for those who only lend their memory: accepts bytes into its outbox, takes back what was
//! read and not used.

use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use super::Stream;
use super::outbox::Outbox;
use crate::task::{Waiter, budget};

/// How many accepted bytes may wait behind those in flight.
pub(crate) const ACCEPTED_MAX: usize = 64 << 10;

impl Outbox {
    fn append(&self, bytes: &[u8]) {
        let mut queue = self.queue.borrow_mut();
        match queue.back_mut() {
            Some(last) if last.len() + bytes.len() <= ACCEPTED_MAX => last.extend_from_slice(bytes),
            _ => {
                let mut next = self.spare.take();
                next.extend_from_slice(bytes);
                queue.push_back(next);
            }
        }
    }

    fn wait(&self, cx: &Context<'_>) {
        if self.waiters.borrow().iter().any(|waiter| waiter.is_for(cx)) {
            return;
        }
        let waiter = Waiter::new(cx);
        self.waiters.borrow_mut().push(waiter);
    }
}

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
        let outbox = self.outbox();
        let room = ACCEPTED_MAX.saturating_sub(outbox.len());
        if room == 0 {
            outbox.wait(cx);
            return Poll::Pending;
        }
        let mut accepted = 0;
        for buf in bufs {
            let share = buf.len().min(room - accepted);
            outbox.append(&buf[..share]);
            accepted += share;
        }
        self.begin_accepted();
        Poll::Ready(Ok(accepted))
    }

    /// Bytes that were read and not used come back, before all others.
    pub(crate) fn give_back(&self, bytes: &[u8]) {
        self.unread(bytes.to_vec());
    }
}
