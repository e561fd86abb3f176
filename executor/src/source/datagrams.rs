//! [`Datagrams`]: a socket that sends and receives messages, and the operations on it.
//!
//! At most one receive is in flight. If its future is dropped, the receive goes on, and the datagram that it takes waits
//! in `received` for the next one, whole, with its sender. Nothing more is received while one waits there,
//! so there is never more than one.
//!
//! Several sends are in flight on a UDP socket. They are told not to wait, so the kernel sends each when it is
//! submitted, one after the other, and their order is kept; only one that finds no room waits, and those behind
//! it may overtake it, as on the net. On a Unix socket, where nothing overtakes, there is one.
//!
//! A socket may receive ahead instead: see [`ahead`](super::ahead).
//!
//! A datagram may be empty, and an error says nothing about the next one: unlike a stream, this source
//! has no end.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::task::Context;
use std::time::Duration;

use super::SourceId;
use super::ahead::Ahead;
use super::closing::Closing;
use super::hand_over::Movable;
use super::lanes::Lanes;
use super::waiters::Lane;
use crate::buf::{self, Inbox, IoBufMut};
use crate::context::{self, Counters};
use crate::cores::quietly;
use crate::driver::RawAddress;
use crate::driver::{Completion, Descriptor, Key, OwnedDescriptor};
use crate::inflight::{self, Attachment, Datagram, Finished, Role};
use crate::op::receive_from::Received;

/// How many sends of one UDP socket are in flight at most.
pub(crate) const SENDS_MAX: u8 = 32;

/// What kind of datagram socket it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traits {
    /// How many sends may be in flight.
    pub(crate) sends_max: u8,
    /// Whether datagrams are received before anybody asks for them.
    pub(crate) receives_ahead: bool,
}

pub(crate) struct Datagrams {
    id: SourceId,
    fd: Descriptor,
    /// Taken by the operation that closes it, or by whoever gets the descriptor back.
    owned: Cell<Option<OwnedDescriptor>>,
    receive_lane: Lane,
    pub(super) receive: Cell<Option<Key>>,
    send_lane: Lane,
    /// How many sends are in flight, and the keys of all of them; of some that have ended, too.
    sends: Cell<usize>,
    send_keys: RefCell<Vec<Key>>,
    /// What receives have brought whose futures were dropped, and what was received ahead, in order.
    pub(super) received: Rc<Inbox>,
    pub(super) ahead: Ahead,
    linger: Cell<Duration>,
    /// What was being sent when the socket was closed has not been sent.
    was_given_up: Cell<bool>,
    /// The descriptor is not to be closed, but to be given back.
    is_wanted: Cell<bool>,
    pub(super) closing: Closing,
}

impl Datagrams {
    pub(super) fn new(
        id: SourceId,
        fd: OwnedDescriptor,
        traits: Traits,
        linger: Duration,
    ) -> Datagrams {
        Datagrams {
            id,
            fd: fd.as_raw_fd(),
            owned: Cell::new(Some(fd)),
            receive_lane: Lane::default(),
            receive: Cell::new(None),
            send_lane: Lane::of_width(traits.sends_max),
            sends: Cell::new(0),
            send_keys: RefCell::default(),
            received: Rc::default(),
            ahead: Ahead::new(traits.receives_ahead),
            linger: Cell::new(linger),
            was_given_up: Cell::new(false),
            is_wanted: Cell::new(false),
            closing: Closing::default(),
        }
    }

    pub(super) fn id(&self) -> SourceId {
        self.id
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
        let first = self.received.first(peeks, |datagram| Received {
            count: buf::fill_from_slice(buf, &datagram.bytes),
            length: datagram.length,
            sender: RawAddress::new(datagram.sender.as_bytes()),
        })?;
        self.go_on_ahead();
        Some(first.map_err(io::Error::from_raw_os_error))
    }

    fn ended(&self, role: Role) {
        if role == Role::Receive {
            return self.receive.set(None);
        }
        self.sends.set(self.sends.get().saturating_sub(1));
        if self.sends.get() == 0 {
            self.send_keys.borrow_mut().clear();
        }
    }

    /// An operation has ended, whoever gets its result.
    pub(super) fn observe(&self, role: Role, completion: Completion) {
        self.take_note(role, completion);
        self.progress();
    }

    /// The same, but for what comes of it: true if the socket may go on with closing. Runs no code of the user.
    pub(super) fn take_note(&self, role: Role, completion: Completion) -> bool {
        self.ended(role);
        if role == Role::Send && completion.result < 0 && self.closing.was_given_up() {
            self.was_given_up.set(true);
        }
        self.closing.may_close()
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
            self.received.push(Ok(datagram));
        } else if result < 0 && result != -libc::ECANCELED {
            self.received.push(Err(-result));
        }
    }

    /// Stops receiving, lets the datagram that is being sent go, then closes the descriptor.
    pub(super) fn close(&self) {
        if !self.closing.begin() {
            return;
        }
        self.receive_lane.wake_all();
        self.send_lane.wake_all();
        self.ahead.wake();
        self.cancel_receive();
        if self.has_unsent() {
            self.closing
                .set_deadline(self.id.attachment(Role::Close), self.linger.get());
        }
        self.progress();
    }

    /// The linger time is over: what has not been sent is given up.
    pub(super) fn linger_is_over(&self) {
        if !self.has_unsent() {
            return;
        }
        context::with(|core| Counters::add(&core.counters.lingered_out, 1));
        self.closing.give_up();
        cancel(self.send_keys.take());
    }

    pub(super) fn cancel_receive(&self) {
        cancel(self.receive.get());
    }

    pub(super) fn has_unsent(&self) -> bool {
        self.sends.get() > 0
    }

    /// Goes on with closing, if nothing is in flight any more.
    pub(super) fn progress(&self) {
        // What a receive has that was dropped on another core comes by letter: it is to go along.
        let receives =
            self.receive.get().is_some() || (self.is_wanted.get() && self.receive_lane.is_taken());
        let is_idle = !receives && !self.has_unsent();
        if !is_idle || !self.closing.may_close() {
            return;
        }
        if self.is_wanted.get() {
            self.closing.finish_without_closing();
        } else {
            self.closing
                .close(self.id.attachment(Role::Close), self.owned.take());
        }
    }
}

fn cancel(keys: impl IntoIterator<Item = Key>) {
    for key in keys {
        inflight::with(|slots| slots.cancel(key));
    }
}

impl Movable for Datagrams {
    /// Errors of receives are left out: the kernel has forgotten them, too.
    type Luggage = (OwnedDescriptor, Vec<Datagram>);

    fn close_and_keep(&self) {
        if self.closing.is_open() {
            self.is_wanted.set(true);
            self.close();
        }
    }

    fn unwanted(&self) {
        self.is_wanted.set(false);
        self.progress();
    }

    fn take(&self) -> Option<(OwnedDescriptor, Vec<Datagram>)> {
        let received = self.received.take();
        let owned = self.owned.take()?;
        super::forget(&owned);
        Some((owned, received.into_iter().flatten().collect()))
    }
}

impl Lanes for Datagrams {
    fn find(id: SourceId) -> io::Result<Rc<Datagrams>> {
        super::datagrams(id)
    }

    fn closing(&self) -> &Closing {
        &self.closing
    }

    fn lane(&self, role: Role) -> &Lane {
        if role == Role::Receive {
            &self.receive_lane
        } else {
            &self.send_lane
        }
    }

    fn attachment(&self, role: Role) -> Attachment {
        self.id.attachment(role)
    }

    fn wait(&self, cx: &Context<'_>) {
        self.ahead.wait(cx);
    }

    fn wait_no_more(&self) {
        self.ahead.wait_no_more();
    }

    fn started(&self, role: Role, key: Option<Key>) {
        if role == Role::Receive {
            return self.receive.set(key);
        }
        self.sends.set(self.sends.get() + 1);
        let mut keys = self.send_keys.borrow_mut();
        if keys.len() >= 2 * usize::from(SENDS_MAX) {
            inflight::with(|slots| keys.retain(|key| slots.is_in_use(*key)));
        }
        keys.extend(key);
    }

    fn observe(&self, role: Role, completion: Completion) {
        Datagrams::observe(self, role, completion);
    }

    fn end_turn(&self, role: Role) {
        self.lane(role).release();
        self.progress();
    }

    fn taken_back(&self, role: Role) {
        self.ended(role);
        self.end_turn(role);
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
