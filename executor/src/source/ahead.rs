//! Receiving datagrams ahead: the operation that a socket keeps in flight for itself, if it was asked to.
//!
//! The socket is *armed* with a multishot receive by the first future that wants a datagram and finds none. From then on
//! the kernel puts every datagram into a buffer of the core's [`Post`](crate::buf::Post), from where it is copied to the
//! socket's [`Inbox`](crate::buf::Inbox): as many in one turn as have come. Futures take from the inbox, and
//! wait there when it is empty, so dropping one loses nothing.
//!
//! | it ends | then |
//! |---|---|
//! | the inbox is full ([`AHEAD_DATAGRAMS_MAX`], [`AHEAD_BYTES_MAX`]): cancelled by the socket | armed again below [`AHEAD_AGAIN`]; meanwhile datagrams wait in the kernel |
//! | with a datagram (an empty one, for example) or without | armed again by the next receive |
//! | for want of buffers | the next receive uses its own buffer, then it is armed again |
//! | the kernel does not know it | every receive uses its own buffer from then on |
//! | with an error | a receive reports it, once |

use std::cell::Cell;
use std::task::Context;

use super::datagrams::Datagrams;
use super::lanes::Lanes;
use crate::buf::Message;
use crate::inflight::{self, Finished, Role};
use crate::op::receive_ahead_from::ReceiveAheadFrom;
use crate::task::Waiter;

/// How much one socket receives ahead, looked at once a turn: a turn may bring more.
pub(crate) const AHEAD_DATAGRAMS_MAX: usize = 64;
pub(crate) const AHEAD_BYTES_MAX: usize = 256 << 10;
/// It receives again when so many datagrams are left.
const AHEAD_AGAIN: usize = AHEAD_DATAGRAMS_MAX / 4;

/// What a socket remembers of its receiving ahead.
#[derive(Default)]
pub(super) struct Ahead {
    /// It was asked to, and nothing has shown that it cannot.
    is_allowed: Cell<bool>,
    is_armed: Cell<bool>,
    /// The kernel had no buffer: the next receive uses its own.
    is_starved: Cell<bool>,
    /// Has the turn and waits for what arrives.
    reader: Cell<Option<Waiter>>,
}

impl Ahead {
    pub(super) fn new(is_allowed: bool) -> Ahead {
        let ahead = Ahead::default();
        ahead.is_allowed.set(is_allowed);
        ahead
    }

    pub(super) fn wait(&self, cx: &Context<'_>) {
        let waiter = match self.reader.take() {
            Some(waiter) if waiter.is_for(cx) => waiter,
            _ => Waiter::new(cx),
        };
        self.reader.set(Some(waiter));
    }

    pub(super) fn wait_no_more(&self) {
        drop(self.reader.take());
    }

    pub(super) fn wake(&self) {
        if let Some(reader) = self.reader.take() {
            reader.wake_quietly();
        }
    }
}

impl Datagrams {
    pub(super) fn is_armed(&self) -> bool {
        self.ahead.is_armed.get()
    }

    /// True if the socket receives by itself, from now on if need be: whoever wants a datagram waits for that.
    pub(super) fn receives_ahead(&self) -> bool {
        self.is_armed() || self.arm()
    }

    /// A datagram was taken: goes on receiving if few are left.
    pub(super) fn go_on_ahead(&self) {
        if !self.is_armed() && self.received.len() <= AHEAD_AGAIN {
            self.arm();
        }
    }

    fn arm(&self) -> bool {
        let ahead = &self.ahead;
        let may = ahead.is_allowed.get() && self.receive.get().is_none() && self.closing.is_open();
        if !may || ahead.is_starved.take() {
            return false;
        }
        let Some(post) = super::post() else {
            ahead.is_allowed.set(false);
            return false;
        };
        let receive = ReceiveAheadFrom {
            fd: self.descriptor(),
            post,
            inbox: self.received.clone(),
            message: Message::new(),
        };
        let key = inflight::start_for_source(receive, self.attachment(Role::Receive));
        self.receive.set(key);
        ahead.is_armed.set(key.is_some());
        self.is_armed()
    }

    /// A datagram has come, and the operation goes on.
    pub(super) fn one_more(&self) {
        let is_full =
            self.received.len() >= AHEAD_DATAGRAMS_MAX || self.received.bytes() >= AHEAD_BYTES_MAX;
        if is_full {
            self.cancel_receive();
        }
        self.ahead.wake();
    }

    /// The operation has ended.
    pub(super) fn disarmed(&self, finished: Finished) {
        let result = finished.completion().result;
        drop(finished);
        self.receive.set(None);
        self.ahead.is_armed.set(false);
        match -result {
            libc::EINVAL => self.ahead.is_allowed.set(false),
            libc::ENOBUFS | libc::EAGAIN => self.ahead.is_starved.set(true),
            errno if errno > 0 && errno != libc::ECANCELED => self.received.push(Err(errno)),
            _ => {}
        }
        self.ahead.wake();
        self.progress();
    }
}
