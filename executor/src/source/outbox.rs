//! [`Outbox`]: bytes that a source has accepted and writes by itself.

use std::cell::RefCell;
use std::collections::VecDeque;
#[cfg(feature = "futures-io")]
use std::task::Context;

use crate::buf::Spare;
use crate::task::Waiter;

/// How many accepted bytes may wait behind those in flight, of those that were only lent.
#[cfg(feature = "futures-io")]
pub(crate) const ACCEPTED_MAX: usize = 64 << 10;

/// Made when the first byte is accepted: most sources never need one.
#[derive(Default)]
pub(super) struct Outbox {
    pub(super) queue: RefCell<VecDeque<Vec<u8>>>,
    /// Who waits for room.
    waiters: RefCell<Vec<Waiter>>,
    pub(super) spare: Spare,
}

impl Outbox {
    pub(super) fn len(&self) -> usize {
        self.queue.borrow().iter().map(Vec::len).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.borrow().is_empty()
    }

    pub(super) fn wake_all(&self) {
        for waiter in self.waiters.take() {
            waiter.wake_quietly();
        }
    }

    /// Copies as much of `bufs` as there is room for. `None` if there is none: who waits is woken.
    #[cfg(feature = "futures-io")]
    pub(super) fn accept(&self, cx: &Context<'_>, bufs: &[std::io::IoSlice<'_>]) -> Option<usize> {
        let room = ACCEPTED_MAX.saturating_sub(self.len());
        if room == 0 {
            self.wait(cx);
            return None;
        }
        let mut accepted = 0;
        for buf in bufs {
            let share = buf.len().min(room - accepted);
            self.append(&buf[..share]);
            accepted += share;
        }
        Some(accepted)
    }

    #[cfg(feature = "futures-io")]
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

    #[cfg(feature = "futures-io")]
    fn wait(&self, cx: &Context<'_>) {
        if self.waiters.borrow().iter().any(|waiter| waiter.is_for(cx)) {
            return;
        }
        let waiter = Waiter::new(cx);
        self.waiters.borrow_mut().push(waiter);
    }
}
