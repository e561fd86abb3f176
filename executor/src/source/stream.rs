//! [`Stream`]: a connected socket, or one end of a pipe, and the operations on it.
//!
//! At most one receive and one send are in flight. A future that wants to read or
//! write takes the lane of its direction, in order of arrival, and keeps it until it
//! has its result. If it is dropped before, the operation goes on and belongs to the
//! stream: what was received waits in `received` for the next reader, what was to be
//! sent is sent whole.

#[cfg(feature = "futures-io")]
mod borrowed;
mod outbox;

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use super::closing::Closing;
use super::waiters::Lane;
use super::{SourceId, closed_error};
use crate::buf::{self, IoBufMut, IoVectoredBufMut};
use crate::context::{self, Counters};
use crate::cores::quietly;
use crate::driver::{Completion, Control, Descriptor, Key, SocketOption};
use crate::inflight::{self, Attachment, Finished, Role};
use crate::op::Endpoint;
use crate::op::shutdown::Shutdown;

#[cfg(all(test, feature = "futures-io"))]
pub(crate) use borrowed::ACCEPTED_MAX;
use outbox::Outbox;

/// What kind of descriptor a stream has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Tcp,
    Unix,
    Pipe,
}

/// How receiving ended, for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Terminal {
    EndOfStream,
    Error(i32),
}

/// How far the end of the stream is that a dropped writing half sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum HalfClose {
    #[default]
    NotWanted,
    Wanted,
    Sent,
}

/// One direction of a stream.
#[derive(Default)]
pub(super) struct Direction {
    pub(super) lane: Lane,
    pub(super) in_flight: Cell<Option<Key>>,
}

pub(crate) struct Stream {
    id: SourceId,
    kind: Kind,
    fd: Descriptor,
    /// Taken by the operation that closes it.
    owned: Cell<Option<OwnedFd>>,
    receive: Direction,
    send: Direction,
    outbox: OnceCell<Box<Outbox>>,
    /// Bytes of receives whose futures were dropped, in order.
    received: RefCell<VecDeque<u8>>,
    terminal: Cell<Option<Terminal>>,
    /// The error of a send whose future was dropped: the stream has a gap from then on.
    poison: Cell<Option<i32>>,
    linger: Cell<Duration>,
    /// The writing half is gone: the end of the stream follows what is still to be sent.
    half_close: Cell<HalfClose>,
    pub(super) closing: Closing,
}

impl Stream {
    pub(super) fn new(id: SourceId, fd: OwnedFd, kind: Kind, linger: Duration) -> Stream {
        Stream {
            id,
            kind,
            fd: fd.as_raw_fd(),
            owned: Cell::new(Some(fd)),
            receive: Direction::default(),
            send: Direction::default(),
            outbox: OnceCell::new(),
            received: RefCell::default(),
            terminal: Cell::new(None),
            poison: Cell::new(None),
            linger: Cell::new(linger),
            half_close: Cell::default(),
            closing: Closing::default(),
        }
    }

    pub(crate) fn descriptor(&self) -> Descriptor {
        self.fd
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint {
            fd: self.descriptor(),
            is_socket: self.kind != Kind::Pipe,
        }
    }

    pub(crate) fn set_linger(&self, linger: Duration) {
        self.linger.set(linger);
    }

    pub(super) fn direction(&self, role: Role) -> &Direction {
        if role == Role::Receive {
            &self.receive
        } else {
            &self.send
        }
    }

    pub(super) fn attachment(&self, role: Role) -> Attachment {
        self.id.attachment(role)
    }

    pub(super) fn check_open(&self) -> io::Result<()> {
        if self.closing.is_open() {
            Ok(())
        } else {
            Err(closed_error())
        }
    }

    /// Serves a read without the kernel, if that can be: with adopted bytes, or with the end.
    pub(super) fn receive_without_kernel<B: IoBufMut>(
        &self,
        buf: &mut B,
    ) -> Option<io::Result<usize>> {
        if buf.capacity() == 0 {
            return Some(Ok(0));
        }
        if !self.received.borrow().is_empty() {
            return Some(Ok(buf::fill_from(buf, &mut self.received.borrow_mut())));
        }
        self.ended(|| buf::set_filled(buf, 0))
    }

    /// As [`receive_without_kernel`](Stream::receive_without_kernel), for several buffers.
    pub(super) fn receive_vectored_without_kernel<B: IoVectoredBufMut>(
        &self,
        bufs: &mut B,
    ) -> Option<io::Result<usize>> {
        if bufs.total_capacity() == 0 {
            return Some(Ok(0));
        }
        if !self.received.borrow().is_empty() {
            return Some(Ok(buf::fill_vectored_from(
                bufs,
                &mut self.received.borrow_mut(),
            )));
        }
        self.ended(|| buf::set_filled_vectored(bufs, 0))
    }

    /// As [`receive_without_kernel`](Stream::receive_without_kernel), but the bytes stay.
    pub(super) fn peek_without_kernel<B: IoBufMut>(
        &self,
        buf: &mut B,
    ) -> Option<io::Result<usize>> {
        if buf.capacity() == 0 {
            return Some(Ok(0));
        }
        if !self.received.borrow().is_empty() {
            return Some(Ok(buf::copy_from(buf, &self.received.borrow())));
        }
        self.ended(|| buf::set_filled(buf, 0))
    }

    /// How receiving ended, if it has, for a reader that wants more: an error in any case.
    pub(super) fn receive_error(&self) -> Option<io::Error> {
        match self.terminal.get()? {
            Terminal::EndOfStream => Some(io::ErrorKind::UnexpectedEof.into()),
            Terminal::Error(errno) => Some(io::Error::from_raw_os_error(errno)),
        }
    }

    fn ended(&self, empty: impl FnOnce()) -> Option<io::Result<usize>> {
        match self.terminal.get()? {
            Terminal::EndOfStream => {
                empty();
                Some(Ok(0))
            }
            Terminal::Error(errno) => Some(Err(io::Error::from_raw_os_error(errno))),
        }
    }

    /// The error of a write whose future was dropped, from then on at every later one.
    pub(super) fn check_poison(&self) -> io::Result<()> {
        match self.poison.get() {
            Some(errno) => Err(io::Error::from_raw_os_error(errno)),
            None => Ok(()),
        }
    }

    /// An operation has ended, whoever gets its result.
    pub(super) fn observe(&self, role: Role, completion: Completion) {
        self.direction(role).in_flight.set(None);
        if role == Role::Receive {
            // A cancellation is ours: the stream itself has not ended.
            let terminal = match completion.result {
                0 => Some(Terminal::EndOfStream),
                result if result < 0 && result != -libc::ECANCELED => {
                    Some(Terminal::Error(-result))
                }
                _ => return self.progress(),
            };
            self.terminal.set(self.terminal.get().or(terminal));
        }
        self.progress();
    }

    /// Takes the result of an operation that had ended before its future was dropped. What a short send has left is
    /// sent now, in the same turn.
    pub(super) fn abandoned(&self, role: Role, finished: Finished) {
        if !self.closing.takes_the_rest() {
            return self.adopt(role, finished);
        }
        match finished.resume(self.attachment(role)) {
            Ok(key) => self.direction(role).in_flight.set(key),
            Err(finished) => self.adopt(role, finished),
        }
    }

    /// Takes the result of an operation whose future is gone, and ends its turn.
    pub(super) fn adopt(&self, role: Role, finished: Finished) {
        let result = finished.completion().result;
        if role == Role::Receive {
            let before = self.received.borrow().len();
            finished.salvage(&mut self.received.borrow_mut());
            if self.received.borrow().len() > before {
                context::with(|core| Counters::add(&core.counters.adopted, 1));
            }
        } else if result < 0 && self.half_close.get() != HalfClose::Sent {
            self.poison.set(self.poison.get().or(Some(-result)));
            let error = io::Error::from_raw_os_error(-result);
            tracing::debug!(%error, "a write that nobody waits for has failed");
        }
        // The user's buffer is dropped while nothing of ours is borrowed, and may panic.
        quietly(|| drop(finished));
        self.end_turn(role);
    }

    /// An operation was taken out of the staging list, as if it had never been.
    pub(super) fn taken_back(&self, role: Role) {
        self.direction(role).in_flight.set(None);
        self.end_turn(role);
    }

    pub(super) fn end_turn(&self, role: Role) {
        if role == Role::Send && self.send_accepted() {
            return;
        }
        self.direction(role).lane.release();
        self.send_end();
        self.progress();
    }

    /// The writing half is gone: sends the end of the stream after everything that was written.
    pub(super) fn shutdown_write(&self) {
        if self.half_close.get() == HalfClose::NotWanted {
            self.half_close.set(HalfClose::Wanted);
            self.send_end();
        }
    }

    fn send_end(&self) {
        let is_due = self.half_close.get() == HalfClose::Wanted && !self.is_sending();
        if is_due && self.closing.is_open() {
            self.half_close.set(HalfClose::Sent);
            let shutdown = Shutdown {
                fd: self.fd,
                how: libc::SHUT_WR,
            };
            let key = inflight::start_for_source(shutdown, self.attachment(Role::Send));
            self.send.in_flight.set(key);
        }
    }

    /// Stops receiving, lets what was accepted for sending drain, then closes the descriptor.
    pub(super) fn close(&self) {
        if !self.closing.begin() {
            return;
        }
        self.receive.lane.wake_all();
        self.send.lane.wake_all();
        self.refuse_more();
        self.cancel(Role::Receive);
        if self.is_sending() {
            self.closing.set_deadline(self.id, self.linger.get());
        }
        self.progress();
    }

    /// The linger time is over: what has not been sent is given up, and the peer sees a reset.
    pub(super) fn linger_is_over(&self) {
        self.closing.stop_waiting();
        if self.has_accepted() {
            self.poison.set(self.poison.get().or(Some(libc::ETIMEDOUT)));
            self.forget_accepted();
        }
        if self.send.in_flight.get().is_none() {
            return self.progress();
        }
        context::with(|core| Counters::add(&core.counters.lingered_out, 1));
        self.closing.give_up();
        self.cancel(Role::Send);
    }

    /// Cancels whatever is in flight, at shutdown.
    pub(super) fn cancel(&self, role: Role) {
        if let Some(key) = self.direction(role).in_flight.get() {
            inflight::with(|slots| slots.cancel(key));
        }
    }

    pub(super) fn has_unsent(&self) -> bool {
        self.send.in_flight.get().is_some() || self.has_accepted()
    }

    /// True while a write may still leave something to send: it is in flight, or it has ended and its future has not
    /// looked at it yet. A future that was dropped on another core says so by letter, which may arrive after the last
    /// handle is gone here.
    fn is_sending(&self) -> bool {
        self.send.in_flight.get().is_some() || self.send.lane.is_taken()
    }

    /// Goes on with closing, if nothing is in flight any more.
    fn progress(&self) {
        let sends = match self.closing.waits() {
            true => self.is_sending(),
            false => self.send.in_flight.get().is_some(),
        };
        let idle = self.receive.in_flight.get().is_none() && !sends;
        if !idle || !self.closing.may_close() {
            return;
        }
        if self.closing.was_given_up() && self.kind != Kind::Pipe {
            self.poison.set(self.poison.get().or(Some(libc::ETIMEDOUT)));
            let reset = SocketOption::Linger(Some(Duration::ZERO));
            let control = Control::SetOption {
                fd: self.descriptor(),
                option: reset,
            };
            // If it fails, the peer sees an ordinary end: nothing better can be done.
            context::with(|core| core.driver.borrow_mut().control(control).ok());
        }
        self.closing.close(self.id, self.owned.take());
    }

    /// How sending ended, for `close().await`.
    pub(super) fn outcome(&self) -> io::Result<()> {
        self.check_poison()
    }
}
