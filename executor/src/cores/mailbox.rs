//! [`Mailbox`]: where others leave things for a worker. [`MailboxLease`]: the worker's side.
//!
//! A running worker leases a [`Mailbox`] from a global pool. Its [`CoreId`] (the mailbox and
//! how often it had been leased) may be kept and copied anywhere, for ever. Messages are
//! intrusive [`Node`]s, preallocated in what they speak of, so that sending one cannot fail
//! for want of memory or room; only letters ([`CoreId::post`]) allocate.
//!
//! # Sleeping
//!
//! The worker calls [`MailboxLease::prepare_park`] and sleeps in its driver only if that
//! says yes; awake again, it calls [`MailboxLease::unpark`]. In between, the first thread
//! that leaves something rings the bell ([`Ring`]), the others do not. An awake worker costs
//! its callers one atomic exchange and no system call.
//!
//! # Dying
//!
//! The scheduler of the worker first makes every task independent of it, then closes the
//! inbox. A push that comes later fails and the caller keeps what it wanted to send.
//! What a message carries is checked against the epoch when it is opened, so that one which
//! slipped into the next life of the same mailbox is discarded there.

mod name;

use std::fmt;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::PoisonError;

use super::backlog::{Backlog, SPAWN_BACKLOG_DEFAULT};
use super::inbox::{Chain, Closed, Delivery, Inbox, Node, Pushed};
use crate::primitives::{AtomicU32, Cell, Mutex, Ordering};
pub(crate) use name::Name;

/// Wakes a worker that sleeps in its driver.
pub(crate) trait Ring: Send + Sync {
    /// Called by any thread, at most once for each time the worker went to sleep.
    /// A ring that comes too late, when the worker is awake, must do no harm.
    fn ring(&self);
}

/// What others know of a running worker. There is one per worker; between two lives it
/// rests in a pool and is never given back to the allocator, so that a late waker may look
/// at it at any time.
// Aligned so that the words which other cores write do not slow a neighbour down.
#[repr(align(128))]
pub(crate) struct Mailbox {
    inbox: Inbox,
    /// Which life this is; changes only while the inbox is closed.
    epoch: AtomicU32,
    backlog: Backlog,
    /// A lock and not an atomic: it is taken only to ring, which is a system call anyway,
    /// and a worker that takes its bell down waits here until nobody rings it any more.
    bell: Mutex<Option<Box<dyn Ring>>>,
}

impl Mailbox {
    fn new() -> Mailbox {
        Mailbox {
            inbox: Inbox::new(),
            epoch: AtomicU32::new(0),
            backlog: Backlog::new(),
            bell: Mutex::new(None),
        }
    }

    /// Leaves `node` for the worker and wakes it if it sleeps.
    ///
    /// # Safety
    ///
    /// As for [`Inbox::push`]: the caller alone has the node, it stays valid until it is
    /// delivered, and it is not touched after a success.
    pub(crate) unsafe fn push(&self, node: NonNull<Node>) -> Result<(), Closed> {
        // SAFETY: passed on to the caller.
        match unsafe { self.inbox.push(node) }? {
            Pushed::ToTheAwake => {}
            Pushed::ToTheParked => self.ring(),
        }
        Ok(())
    }

    /// How many tasks are on their way into the inbox.
    pub(crate) fn backlog(&self) -> &Backlog {
        &self.backlog
    }

    #[cold]
    fn ring(&self) {
        // Whoever paniced while ringing left nothing half done here.
        let bell = self.bell.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bell) = bell.as_ref() {
            bell.ring();
        }
    }

    /// Puts up a bell, or takes it down. When this returns, the old one is not in use.
    fn hang(&self, bell: Option<Box<dyn Ring>>) {
        let old = {
            let mut hook = self.bell.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *hook, bell)
        };
        drop(old);
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").finish_non_exhaustive()
    }
}

/// Names one life of one worker: its mailbox, and how often that had been leased before. One word: every handle and every
/// task has one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CoreId {
    name: Name,
    epoch: u32,
}

impl CoreId {
    pub(crate) fn mailbox(self) -> &'static Mailbox {
        self.name.mailbox()
    }

    /// The same for all lives of a mailbox.
    #[inline(always)]
    pub(crate) fn name(self) -> Name {
        self.name
    }

    pub(crate) fn epoch(self) -> u32 {
        self.epoch
    }

    /// False once that life is over. A "true" may be out of date when it is read.
    pub(crate) fn is_alive(self) -> bool {
        let mailbox = self.mailbox();
        mailbox.epoch.load(Ordering::Acquire) == self.epoch && !mailbox.inbox.is_closed()
    }
}

impl fmt::Display for CoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "core {} (life {})", self.name.number(), self.epoch)
    }
}

impl fmt::Debug for CoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CoreId({}.{})", self.name.number(), self.epoch)
    }
}

/// The right to read one mailbox, for one life. The worker has it; its scheduler shares it,
/// and the mailbox goes back to the pool when both are gone.
#[derive(Debug)]
pub(crate) struct MailboxLease {
    lease: Rc<Lease>,
}

impl MailboxLease {
    /// Takes a mailbox from the pool, or makes one, and opens it.
    pub(crate) fn acquire() -> MailboxLease {
        let name = name::take();
        let mailbox = name.mailbox();
        let epoch = mailbox.epoch.load(Ordering::Relaxed) + 1;
        mailbox.epoch.store(epoch, Ordering::Release);
        mailbox.backlog.set_bound(SPAWN_BACKLOG_DEFAULT);
        mailbox.inbox.reopen();
        MailboxLease {
            lease: Rc::new(Lease {
                id: CoreId { name, epoch },
                mailbox,
                has_scheduler: Cell::new(false),
            }),
        }
    }

    pub(crate) fn id(&self) -> CoreId {
        self.lease.id
    }

    /// How many tasks may be on their way here.
    pub(crate) fn set_spawn_backlog(&self, bound: u32) {
        self.lease.mailbox.backlog.set_bound(bound);
    }

    /// The way to wake this worker while it is parked. Replaces what was set before.
    pub(crate) fn set_bell(&self, bell: Box<dyn Ring>) {
        self.lease.mailbox.hang(Some(bell));
    }

    /// After this returned, no thread is inside the bell's `ring` and none will enter it.
    pub(crate) fn remove_bell(&self) {
        self.lease.mailbox.hang(None);
    }

    /// Announces that the worker is going to sleep: from now on whoever leaves something
    /// rings the bell. False if something has arrived: then the worker must not sleep.
    #[must_use]
    pub(crate) fn prepare_park(&self) -> bool {
        self.lease.mailbox.inbox.park()
    }

    /// The worker is awake: nobody needs to ring.
    pub(crate) fn unpark(&self) {
        self.lease.mailbox.inbox.unpark();
    }

    /// One load: for a worker that watches its mailbox for a moment before it parks.
    pub(crate) fn has_mail(&self) -> bool {
        !self.lease.mailbox.inbox.is_empty()
    }

    /// For the one scheduler of this life.
    pub(crate) fn share_with_scheduler(&self) -> Rc<Lease> {
        assert!(
            !self.lease.has_scheduler.replace(true),
            "a worker has one scheduler"
        );
        Rc::clone(&self.lease)
    }
}

/// See [`MailboxLease`]. Not `Send`, so all of a life happens on one thread.
#[derive(Debug)]
pub(crate) struct Lease {
    id: CoreId,
    mailbox: &'static Mailbox,
    has_scheduler: Cell<bool>,
}

impl Lease {
    pub(crate) fn id(&self) -> CoreId {
        self.id
    }

    /// Everything that has arrived, oldest first.
    pub(crate) fn take(&self) -> Chain {
        self.mailbox.inbox.take()
    }

    /// Ends this life for all who would push; discards what they had left. Idempotent.
    pub(crate) fn close(&self) {
        let leftovers = self.mailbox.inbox.close();
        leftovers.deliver_all(Delivery::Discard);
        self.mailbox.backlog.close();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.close();
        self.mailbox.hang(None);
        name::give_back(self.id.name);
    }
}

impl Ring for crate::driver::Bell {
    fn ring(&self) {
        crate::driver::Bell::ring(self);
    }
}
