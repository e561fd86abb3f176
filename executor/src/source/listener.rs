//! [`Listener`]: a listening socket, its one accept operation, and the connections that wait.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::os::fd::AsRawFd;
use std::task::{Context, Poll};
use std::time::Duration;

use super::closing::Closing;
use super::waiters::{Place, Waiters};
use super::{SourceId, closed_error};
use crate::context;
use crate::driver::{Completion, Descriptor, Key, OwnedDescriptor};
use crate::inflight::{self, Finished, Role};
use crate::op::accept::Accept;

/// How many connections beyond those that are waited for are taken from the kernel's queue.
pub(crate) const AHEAD_MAX: usize = 16;
/// The first pause after the process ran out of descriptors or the system of memory; doubled up to a second.
pub(crate) const PAUSE_FIRST: Duration = Duration::from_millis(10);
pub(crate) const PAUSE_MAX: Duration = Duration::from_secs(1);

pub(crate) struct Listener {
    id: SourceId,
    fd: Descriptor,
    /// Taken by the operation that closes it.
    owned: Cell<Option<OwnedDescriptor>>,
    accepted: RefCell<VecDeque<io::Result<OwnedDescriptor>>>,
    waiters: Waiters,
    armed: Cell<Option<Key>>,
    /// The kernel, or a test, says that one operation cannot accept several connections.
    is_single: Cell<bool>,
    /// The last pause for want of descriptors or memory; zero after a success.
    pause: Cell<Duration>,
    is_pausing: Cell<bool>,
    pub(super) closing: Closing,
}

impl Listener {
    pub(super) fn new(id: SourceId, fd: OwnedDescriptor) -> Listener {
        let multishot = context::with(|core| core.driver.borrow().capabilities().accept_multishot);
        Listener {
            id,
            fd: fd.as_raw_fd(),
            owned: Cell::new(Some(fd)),
            accepted: RefCell::default(),
            waiters: Waiters::default(),
            armed: Cell::new(None),
            is_single: Cell::new(multishot != Some(true)),
            pause: Cell::new(Duration::ZERO),
            is_pausing: Cell::new(false),
            closing: Closing::default(),
        }
    }

    pub(super) fn id(&self) -> SourceId {
        self.id
    }

    pub(crate) fn descriptor(&self) -> Descriptor {
        self.fd
    }

    /// The next connection, or a place in the queue for it.
    pub(super) fn poll_accept(
        &self,
        place: &mut Option<Place>,
        cx: &Context<'_>,
    ) -> Poll<io::Result<OwnedDescriptor>> {
        if !self.closing.is_open() {
            return Poll::Ready(Err(closed_error()));
        }
        let ahead = self.waiters.ahead_of(*place);
        if ahead < self.accepted.borrow().len() {
            if let Some(place) = place.take() {
                self.waiters.leave(place);
            }
            let next = self
                .accepted
                .borrow_mut()
                .pop_front()
                .expect("longer than who is ahead");
            self.rearm_below_bound();
            return Poll::Ready(next);
        }
        self.waiters.wait(place, cx);
        self.arm();
        Poll::Pending
    }

    /// A future that waited is gone; a connection that it was woken for goes to the next.
    pub(super) fn leave(&self, place: Place) {
        self.waiters.leave(place);
        self.wake();
    }

    fn wake(&self) {
        let ready = self.accepted.borrow().len();
        self.waiters.wake(ready);
    }

    fn bound(&self) -> usize {
        self.waiters.len() + AHEAD_MAX
    }

    fn rearm_below_bound(&self) {
        let wanted = !self.is_single.get() || self.waiters.len() > self.accepted.borrow().len();
        if wanted && self.accepted.borrow().len() < self.bound() {
            self.arm();
        }
    }

    fn arm(&self) {
        if self.armed.get().is_some() || self.is_pausing.get() || !self.closing.is_open() {
            return;
        }
        let accept = Accept {
            listener: self.fd,
            multishot: !self.is_single.get(),
        };
        self.armed.set(inflight::start_for_source(
            accept,
            self.id.attachment(Role::Accept),
        ));
    }

    /// A connection has come, and the operation goes on.
    pub(super) fn one_more(&self, descriptor: Option<OwnedDescriptor>) {
        self.pause.set(Duration::ZERO);
        if let Some(descriptor) = descriptor {
            self.accepted.borrow_mut().push_back(Ok(descriptor));
        }
        if self.accepted.borrow().len() >= self.bound() {
            self.disarm();
        }
        self.wake();
    }

    /// The operation has ended: with a connection, by cancellation or with an error.
    pub(super) fn ended(&self, finished: Finished) {
        self.armed.set(None);
        let completion = finished.completion();
        if let Some(descriptor) = finished.take_descriptor() {
            self.pause.set(Duration::ZERO);
            self.accepted.borrow_mut().push_back(Ok(descriptor));
        } else {
            self.take_error(completion);
        }
        if self.closing.may_close() {
            self.closing
                .close(self.id.attachment(Role::Close), self.owned.take());
            return;
        }
        self.rearm_if_wanted();
        self.wake();
    }

    fn rearm_if_wanted(&self) {
        if self.waiters.len() > self.accepted.borrow().len() {
            self.arm();
        }
    }

    fn take_error(&self, completion: Completion) {
        match -completion.result {
            // The connection was reset while it waited, which is its own affair; see accept(2).
            libc::ECANCELED | libc::ECONNABORTED | libc::EPROTO | libc::EAGAIN => {}
            libc::EINVAL if !self.is_single.get() => self.is_single.set(true),
            libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM => {
                self.wait_for_better_times()
            }
            errno => {
                let error = io::Error::from_raw_os_error(errno);
                self.accepted.borrow_mut().push_back(Err(error));
            }
        }
    }

    /// Out of descriptors or memory: connections stay in the kernel's queue for a while.
    fn wait_for_better_times(&self) {
        let pause = (self.pause.get() * 2).clamp(PAUSE_FIRST, PAUSE_MAX);
        tracing::warn!(
            "accept: out of file descriptors or memory; trying again in {pause:?}. \
             Raise the limit (ulimit -n) or close connections"
        );
        self.pause.set(pause);
        self.is_pausing.set(true);
        self.closing
            .set_deadline(self.id.attachment(Role::Accept), pause);
    }

    /// The pause is over.
    pub(super) fn timer_fired(&self) {
        self.is_pausing.set(false);
        self.rearm_if_wanted();
    }

    fn disarm(&self) {
        if let Some(key) = self.armed.get() {
            inflight::with(|slots| slots.cancel(key));
        }
    }

    /// Stops accepting and closes the socket. Connections that were taken stay queued.
    pub(super) fn close(&self) {
        if !self.closing.begin() {
            return;
        }
        self.waiters.wake_all();
        if self.armed.get().is_some() {
            self.disarm();
        } else {
            self.closing
                .close(self.id.attachment(Role::Close), self.owned.take());
        }
    }

    /// The connections that were taken from the kernel and not yet handed out.
    pub(super) fn take_accepted(&self) -> Vec<OwnedDescriptor> {
        let accepted = self.accepted.take();
        accepted.into_iter().filter_map(Result::ok).collect()
    }
}
