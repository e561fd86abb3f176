//! [`Datagrams`]: a socket that sends and receives messages, and the operations on it.
//!
//! At most one receive and one send are in flight: so what is sent first leaves first. If the future of a
//! receive is dropped, the receive goes on, and the datagram that it takes waits in `received` for the next one,
//! whole, with its sender. Nothing more is received while one waits there, so there is never more than one.
//!
//! A datagram may be empty, and an error says nothing about the next one: unlike a stream, this source
//! has no end.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use super::SourceId;
use super::closing::Closing;
use super::stream::Direction;
use super::transfer::Lanes;
use crate::buf::{self, IoBufMut};
use crate::context::{self, Counters};
use crate::cores::quietly;
use crate::driver::{Completion, Descriptor};
use crate::inflight::{self, Attachment, Datagram, Finished, Role};
use crate::op::address::RawAddress;
use crate::op::receive_from::Received;

pub(crate) struct Datagrams {
    id: SourceId,
    fd: Descriptor,
    /// Taken by the operation that closes it, or by whoever gets the descriptor back.
    owned: Cell<Option<OwnedFd>>,
    receive: Direction,
    send: Direction,
    /// What receives have brought whose futures were dropped, in order: datagrams, and errors (the number), which
    /// the kernel reports only once.
    received: RefCell<VecDeque<Result<Datagram, i32>>>,
    linger: Cell<Duration>,
    /// What was being sent when the socket was closed has not been sent.
    was_given_up: Cell<bool>,
    /// The descriptor is not to be closed, but to be given back.
    is_wanted: Cell<bool>,
    pub(super) closing: Closing,
}

impl Datagrams {
    pub(super) fn new(id: SourceId, fd: OwnedFd, linger: Duration) -> Datagrams {
        Datagrams {
            id,
            fd: fd.as_raw_fd(),
            owned: Cell::new(Some(fd)),
            receive: Direction::default(),
            send: Direction::default(),
            received: RefCell::default(),
            linger: Cell::new(linger),
            was_given_up: Cell::new(false),
            is_wanted: Cell::new(false),
            closing: Closing::default(),
        }
    }

    pub(crate) fn descriptor(&self) -> Descriptor {
        self.fd
    }

    pub(crate) fn set_linger(&self, linger: Duration) {
        self.linger.set(linger);
    }

    /// Serves a receive without the kernel, if a datagram waits here. One that only `peeks` leaves it there.
    pub(super) fn receive_without_kernel<B: IoBufMut>(
        &self,
        buf: &mut B,
        peeks: bool,
    ) -> Option<io::Result<Received>> {
        let mut received = self.received.borrow_mut();
        let datagram = match received.pop_front()? {
            Ok(datagram) => datagram,
            Err(errno) => return Some(Err(io::Error::from_raw_os_error(errno))),
        };
        let answer = Received {
            count: buf::fill_with(buf, &datagram.bytes),
            length: datagram.length,
            sender: RawAddress::new(datagram.sender.as_bytes()),
        };
        if peeks {
            received.push_front(Ok(datagram));
        }
        Some(Ok(answer))
    }

    /// An operation has ended, whoever gets its result.
    pub(super) fn observe(&self, role: Role, completion: Completion) {
        self.direction(role).in_flight.set(None);
        if role == Role::Send && completion.result < 0 && self.closing.was_given_up() {
            self.was_given_up.set(true);
        }
        self.progress();
    }

    /// Takes the result of an operation whose future is gone, and ends its turn. The error of a send is dropped with
    /// it: a datagram that was lost leaves no gap.
    pub(super) fn adopt(&self, role: Role, finished: Finished) {
        if role == Role::Receive {
            self.keep(&finished);
        }
        // The user's buffer is dropped while nothing of ours is borrowed, and may panic.
        quietly(|| drop(finished));
        self.end_turn(role);
    }

    fn keep(&self, finished: &Finished) {
        let result = finished.completion().result;
        if let Some(datagram) = finished.datagram() {
            context::with(|core| Counters::add(&core.counters.adopted, 1));
            self.received.borrow_mut().push_back(Ok(datagram));
        } else if result < 0 && result != -libc::ECANCELED {
            self.received.borrow_mut().push_back(Err(-result));
        }
    }

    /// Stops receiving, lets the datagram that is being sent go, then closes the descriptor.
    pub(super) fn close(&self) {
        if !self.closing.begin() {
            return;
        }
        self.receive.lane.wake_all();
        self.send.lane.wake_all();
        self.cancel(Role::Receive);
        if self.has_unsent() {
            self.closing.set_deadline(self.id, self.linger.get());
        }
        self.progress();
    }

    /// As [`close`](Datagrams::close), but the descriptor stays open, to be [taken](Datagrams::take).
    pub(super) fn close_and_keep(&self) {
        if self.closing.is_open() {
            self.is_wanted.set(true);
            self.close();
        }
    }

    /// Nobody wants the descriptor any more.
    pub(super) fn unwanted(&self) {
        self.is_wanted.set(false);
        self.progress();
    }

    /// The descriptor, and what was received and not asked for. Errors are left out: the kernel has forgotten
    /// them, too.
    pub(super) fn take(&self) -> Option<(OwnedFd, Vec<Datagram>)> {
        let received = self.received.take();
        let owned = self.owned.take()?;
        Some((owned, received.into_iter().flatten().collect()))
    }

    /// The linger time is over: what has not been sent is given up.
    pub(super) fn linger_is_over(&self) {
        if !self.has_unsent() {
            return;
        }
        context::with(|core| Counters::add(&core.counters.lingered_out, 1));
        self.closing.give_up();
        self.cancel(Role::Send);
    }

    fn cancel(&self, role: Role) {
        if let Some(key) = self.direction(role).in_flight.get() {
            inflight::with(|slots| slots.cancel(key));
        }
    }

    pub(super) fn has_unsent(&self) -> bool {
        self.send.in_flight.get().is_some()
    }

    /// Goes on with closing, if nothing is in flight any more.
    fn progress(&self) {
        let idle = self.receive.in_flight.get().is_none() && self.send.in_flight.get().is_none();
        if !idle || !self.closing.may_close() {
            return;
        }
        if self.is_wanted.get() {
            self.closing.finish_without_closing();
        } else {
            self.closing.close(self.id, self.owned.take());
        }
    }
}

impl Lanes for Datagrams {
    fn find(id: SourceId) -> io::Result<Rc<Datagrams>> {
        super::datagrams(id)
    }

    fn closing(&self) -> &Closing {
        &self.closing
    }

    fn direction(&self, role: Role) -> &Direction {
        if role == Role::Receive {
            &self.receive
        } else {
            &self.send
        }
    }

    fn attachment(&self, role: Role) -> Attachment {
        self.id.attachment(role)
    }

    fn end_turn(&self, role: Role) {
        self.direction(role).lane.release();
    }

    fn taken_back(&self, role: Role) {
        self.direction(role).in_flight.set(None);
        self.end_turn(role);
        self.progress();
    }

    fn abandoned(&self, role: Role, finished: Finished) {
        self.adopt(role, finished);
    }

    fn close(&self) {
        Datagrams::close(self);
    }

    fn outcome(&self) -> io::Result<()> {
        if self.was_given_up.get() {
            return Err(io::Error::from_raw_os_error(libc::ETIMEDOUT));
        }
        Ok(())
    }
}
