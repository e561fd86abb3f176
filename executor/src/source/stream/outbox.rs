//! What a stream does with the bytes in its [`Outbox`]: sends them by itself, whoever may still wait for that.
//!
//! What is accepted goes out before any future that waits for the send lane: it was written before.

use std::io;

use super::Stream;
use crate::buf::Recycled;
use crate::inflight::{self, Role};
use crate::op::send::Send as SendBuf;
use crate::source::outbox::Outbox;

impl Stream {
    pub(super) fn outbox(&self) -> &Outbox {
        self.outbox.get_or_init(Box::default)
    }

    pub(super) fn has_accepted(&self) -> bool {
        self.outbox.get().is_some_and(|outbox| !outbox.is_empty())
    }

    /// Accepts all of `bytes`, however much waits already.
    pub(crate) fn send_later(&self, bytes: Vec<u8>) -> io::Result<()> {
        self.check_open()?;
        self.check_poison()?;
        if !bytes.is_empty() {
            self.outbox().queue.borrow_mut().push_back(bytes);
            self.begin_accepted();
        }
        Ok(())
    }

    /// Begins with what was accepted, unless another send has the lane: then its end does it.
    pub(super) fn begin_accepted(&self) {
        if self.send.take_if_free() {
            self.send_accepted();
        }
    }

    /// The lane is free for what was accepted. True if it is in use now.
    pub(super) fn send_accepted(&self) -> bool {
        if self.send.in_flight.get().is_some() {
            return true;
        }
        let Some(outbox) = self.outbox.get() else {
            return false;
        };
        if self.poison.get().is_some() {
            self.forget_accepted();
            return false;
        }
        let Some(bytes) = outbox.queue.borrow_mut().pop_front() else {
            return false;
        };
        let bytes = Recycled::new(bytes, outbox.spare.clone());
        let send = SendBuf::new(self.endpoint(), bytes, true);
        let key = inflight::start_for_source(send, self.attachment(Role::Send));
        self.send.in_flight.set(key);
        outbox.wake_all();
        true
    }

    /// Nobody who waits for room will get any more.
    pub(super) fn refuse_more(&self) {
        if let Some(outbox) = self.outbox.get() {
            outbox.wake_all();
        }
    }

    /// What was accepted and not begun cannot be sent any more.
    pub(super) fn forget_accepted(&self) {
        let Some(outbox) = self.outbox.get() else {
            return;
        };
        let lost = outbox.len();
        drop(outbox.queue.take());
        outbox.wake_all();
        if lost > 0 {
            tracing::debug!(
                bytes = lost,
                "written bytes are given up: the stream failed before them"
            );
        }
    }
}
