//! How a stream ends: what was accepted for sending drains, then the descriptor is closed.

use std::time::Duration;

use super::{Stream, StreamKind};
use crate::context::{self, Counters};
use crate::driver::{Control, SocketOption};
use crate::inflight::Role;

impl Stream {
    /// Stops receiving, lets what was accepted for sending drain, then closes the descriptor.
    pub(in crate::source) fn close(&self) {
        if !self.closing.begin() {
            return;
        }
        self.stop_receiving();
        self.let_drain();
        self.progress();
    }

    /// Nobody reads any more; what is in flight is cancelled.
    pub(super) fn stop_receiving(&self) {
        self.inlet.close();
        self.turn_away();
    }

    /// Nobody has a turn any more; the receive that is in flight is cancelled.
    pub(super) fn turn_away(&self) {
        self.receiving.wake();
        self.receive.wake_all();
        self.send.wake_all();
        self.refuse_more();
        self.cancel(Role::Receive);
    }

    /// What was accepted for sending has the linger time to drain.
    pub(super) fn let_drain(&self) {
        if self.is_sending() {
            let linger = self.closing.linger();
            self.closing
                .set_deadline(self.attachment(Role::Send), linger);
        }
    }

    /// The linger time is over: what has not been sent is given up, and the peer sees a reset.
    pub(in crate::source) fn linger_is_over(&self) {
        self.closing.stop_waiting();
        if self.has_accepted() {
            self.poison(libc::ETIMEDOUT);
            self.forget_accepted();
        }
        if self.send.in_flight.get().is_none() {
            return self.progress();
        }
        context::with(|core| Counters::add(&core.counters.lingered_out, 1));
        self.closing.give_up();
        self.cancel(Role::Send);
    }

    /// True while a write may still leave something to send: it is in flight, or it has ended and its future has not
    /// looked at it yet. A future that was dropped on another core says so by letter, which may arrive after the last
    /// handle is gone here.
    pub(super) fn is_sending(&self) -> bool {
        self.send.in_flight.get().is_some() || self.send.is_taken()
    }

    /// Goes on with closing, if nothing is in flight any more.
    #[inline]
    pub(in crate::source) fn progress(&self) {
        if self.closing.may_close() {
            self.close_if_idle();
        }
    }

    pub(super) fn close_if_idle(&self) {
        let sends = match self.closing.waits() {
            true => self.is_sending(),
            false => self.send.in_flight.get().is_some(),
        };
        // What a read has received that was dropped on another core comes by letter: it is to go along.
        let receives = self.receive.in_flight.get().is_some()
            || (self.is_moving.get() && self.receive.is_taken());
        let idle = !receives && !sends;
        if !idle {
            return;
        }
        if self.is_moving.get() {
            return self.closing.finish_without_closing();
        }
        if self.closing.was_given_up() && self.kind != StreamKind::Pipe {
            self.poison(libc::ETIMEDOUT);
            let reset = SocketOption::Linger(Some(Duration::ZERO));
            let control = Control::SetOption {
                fd: self.descriptor(),
                option: reset,
            };
            // If it fails, the peer sees an ordinary end: nothing better can be done.
            context::with(|core| core.driver.borrow_mut().control(control).ok());
        }
        self.closing
            .close(self.attachment(Role::Close), self.owned.take());
    }
}
