//! Bytes that a file has accepted and writes by itself, at its cursor and in order, whoever may still wait for that.
//!
//! While there are any, the cursor belongs to them: whoever uses it afterwards comes after them. Each write of them is an orphan like
//! that of a dropped future. After a failure the rest is given up, so that nothing is written behind a gap.

use std::io;
#[cfg(feature = "futures-io")]
use std::task::{Context, Poll, ready};

use super::File;
use crate::buf::Recycled;
use crate::driver::CURSOR;
use crate::inflight::{self, Role};
use crate::op::write_at::WriteAt;
use crate::source::file_ops::target;
use crate::source::outbox::Outbox;
use crate::source::span::Span;
#[cfg(feature = "futures-io")]
use crate::task::budget;

impl File {
    fn outbox(&self) -> &Outbox {
        self.outbox.get_or_init(Box::default)
    }

    /// True while accepted bytes wait for those before them.
    pub(in crate::source) fn has_accepted(&self) -> bool {
        self.outbox.get().is_some_and(|outbox| !outbox.is_empty())
    }

    /// Memory of what was written, to be used again.
    pub(crate) fn spare(&self) -> Vec<u8> {
        self.outbox().spare.take()
    }

    /// Accepts all of `bytes`, however much waits already. If it cannot, they come back.
    pub(crate) fn write_later(&self, bytes: Vec<u8>) -> Result<(), (io::Error, Vec<u8>)> {
        let may = self.check_open();
        if let Err(error) = may.and_then(|()| self.take_failure(Span::Everything)) {
            return Err((error, bytes));
        }
        if !bytes.is_empty() {
            self.outbox().queue.borrow_mut().push_back(bytes);
            self.begin_accepted();
        }
        Ok(())
    }

    /// Accepts as much of `bufs` as there is room for, at least one byte unless they are empty; waits if there is no room.
    #[cfg(feature = "futures-io")]
    pub(crate) fn poll_accept(
        &self,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check_open()?;
        self.take_failure(Span::Everything)?;
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

    /// Whoever had the cursor is done with it. What was accepted meanwhile comes before all who wait.
    pub(in crate::source) fn end_turn(&self) {
        self.lane.release();
        self.begin_accepted();
    }

    /// Goes on with what was accepted, unless the cursor is in use or orphans are in the way: then their end does it.
    pub(super) fn begin_accepted(&self) {
        let Some(outbox) = self.outbox.get() else {
            return;
        };
        if self.failure.get().is_some() {
            drop(outbox.queue.take());
            outbox.wake_all();
        }
        if self.accepted_in_flight.get().is_some() {
            return;
        }
        if outbox.is_empty() {
            if self.has_lane_for_accepted.replace(false) {
                self.lane.release();
            }
            return self.progress();
        }
        if !self.has_lane_for_accepted.get() && !self.lane.take_if_free() {
            return;
        }
        self.has_lane_for_accepted.set(true);
        self.write_accepted(outbox);
    }

    fn write_accepted(&self, outbox: &Outbox) {
        if !self.knows_position() {
            return;
        }
        let position = match self.position() {
            Ok(position) => position,
            Err(error) => return self.give_up_accepted(error.raw_os_error()),
        };
        let length = outbox.queue.borrow().front().map_or(0, Vec::len);
        let end = position.saturating_add(length as u64);
        if i64::try_from(end).is_err() {
            return self.give_up_accepted(Some(libc::EFBIG));
        }
        let (from, span) = match self.appends {
            true => (CURSOR, Span::Everything),
            false => (position, Span::Bytes(position, end)),
        };
        if self.holds_up(span) {
            return;
        }
        let Some(bytes) = outbox.queue.borrow_mut().pop_front() else {
            return;
        };
        let bytes = Recycled::new(bytes, outbox.spare.clone());
        let target = target(self, from);
        let write = WriteAt::new(self.fd, bytes, target, true, self.piece_max());
        let Some(key) = inflight::start_for_source(write, self.attachment(Role::Change)) else {
            return;
        };
        self.started(Role::Change);
        self.orphan(key, span);
        self.accepted_in_flight.set(Some(key));
        match self.appends {
            true => self.set_behind_appended(),
            false => self.set_position(end),
        }
        outbox.wake_all();
    }

    fn give_up_accepted(&self, errno: Option<i32>) {
        self.fail(errno.unwrap_or(libc::EIO), Span::Everything);
        self.begin_accepted();
    }
}
