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

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::sync::PoisonError;

use super::backlog::{Backlog, SPAWN_BACKLOG_DEFAULT};
use super::inbox::{Chain, Closed, Delivery, Inbox, Node, Pushed};
use crate::primitives::{AtomicU32, Cell, Mutex, Ordering};

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
    number: u32,
}

impl Mailbox {
    fn new(number: u32) -> Mailbox {
        Mailbox {
            inbox: Inbox::new(),
            epoch: AtomicU32::new(0),
            backlog: Backlog::new(),
            bell: Mutex::new(None),
            number,
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
        f.debug_struct("Mailbox")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

/// Names one life of one worker: its mailbox, and how often that had been leased before.
#[derive(Clone, Copy)]
pub(crate) struct CoreId {
    pub(super) mailbox: &'static Mailbox,
    pub(super) epoch: u32,
}

impl CoreId {
    #[inline(always)]
    pub(crate) fn new(mailbox: &'static Mailbox, epoch: u32) -> CoreId {
        CoreId { mailbox, epoch }
    }

    pub(crate) fn mailbox(self) -> &'static Mailbox {
        self.mailbox
    }

    pub(crate) fn epoch(self) -> u32 {
        self.epoch
    }

    /// False once that life is over. A "true" may be out of date when it is read.
    pub(crate) fn is_alive(self) -> bool {
        self.mailbox.epoch.load(Ordering::Acquire) == self.epoch && !self.mailbox.inbox.is_closed()
    }
}

impl PartialEq for CoreId {
    fn eq(&self, other: &CoreId) -> bool {
        ptr::eq(self.mailbox, other.mailbox) && self.epoch == other.epoch
    }
}

impl Eq for CoreId {}

impl Hash for CoreId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        ptr::hash(self.mailbox, state);
        self.epoch.hash(state);
    }
}

impl fmt::Display for CoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "core {} (life {})", self.mailbox.number, self.epoch)
    }
}

impl fmt::Debug for CoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CoreId({}.{})", self.mailbox.number, self.epoch)
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
        let mailbox = pool::take();
        let epoch = mailbox.epoch.load(Ordering::Relaxed) + 1;
        mailbox.epoch.store(epoch, Ordering::Release);
        mailbox.backlog.set_bound(SPAWN_BACKLOG_DEFAULT);
        mailbox.inbox.reopen();
        MailboxLease {
            lease: Rc::new(Lease {
                id: CoreId { mailbox, epoch },
                has_scheduler: Cell::new(false),
            }),
        }
    }

    pub(crate) fn id(&self) -> CoreId {
        self.lease.id
    }

    /// How many tasks may be on their way here.
    pub(crate) fn set_spawn_backlog(&self, bound: u32) {
        self.lease.id.mailbox.backlog.set_bound(bound);
    }

    /// The way to wake this worker while it is parked. Replaces what was set before.
    pub(crate) fn set_bell(&self, bell: Box<dyn Ring>) {
        self.lease.id.mailbox.hang(Some(bell));
    }

    /// After this returned, no thread is inside the bell's `ring` and none will enter it.
    pub(crate) fn remove_bell(&self) {
        self.lease.id.mailbox.hang(None);
    }

    /// Announces that the worker is going to sleep: from now on whoever leaves something
    /// rings the bell. False if something has arrived: then the worker must not sleep.
    #[must_use]
    pub(crate) fn prepare_park(&self) -> bool {
        self.lease.id.mailbox.inbox.park()
    }

    /// The worker is awake: nobody needs to ring.
    pub(crate) fn unpark(&self) {
        self.lease.id.mailbox.inbox.unpark();
    }

    /// One load: for a worker that watches its mailbox for a moment before it parks.
    pub(crate) fn has_mail(&self) -> bool {
        !self.lease.id.mailbox.inbox.is_empty()
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
    has_scheduler: Cell<bool>,
}

impl Lease {
    pub(crate) fn id(&self) -> CoreId {
        self.id
    }

    /// Everything that has arrived, oldest first.
    pub(crate) fn take(&self) -> Chain {
        self.id.mailbox.inbox.take()
    }

    /// Ends this life for all who would push; discards what they had left. Idempotent.
    pub(crate) fn close(&self) {
        let leftovers = self.id.mailbox.inbox.close();
        leftovers.deliver_all(Delivery::Discard);
        self.id.mailbox.backlog.close();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.close();
        self.id.mailbox.hang(None);
        pool::give_back(self.id.mailbox);
    }
}

#[cfg(not(krug_loom))]
mod pool {
    use super::{Mailbox, Ordering};
    use std::sync::{Mutex, PoisonError};

    struct Pool {
        made: u32,
        free: Vec<&'static Mailbox>,
    }

    static POOL: Mutex<Pool> = Mutex::new(Pool {
        made: 0,
        free: Vec::new(),
    });

    pub(super) fn take() -> &'static Mailbox {
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mailbox) = pool.free.pop() {
            return mailbox;
        }
        let number = pool.made;
        pool.made += 1;
        Box::leak(Box::new(Mailbox::new(number)))
    }

    pub(super) fn give_back(mailbox: &'static Mailbox) {
        // The next life would share its name with the first one: rest for ever.
        if mailbox.epoch.load(Ordering::Relaxed) == u32::MAX {
            return;
        }
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        pool.free.push(mailbox);
    }
}

/// Under loom nothing may outlive one execution of a model: each life gets a new mailbox.
#[cfg(krug_loom)]
mod pool {
    use super::Mailbox;

    pub(super) fn take() -> &'static Mailbox {
        Box::leak(Box::new(Mailbox::new(0)))
    }

    pub(super) fn give_back(_: &'static Mailbox) {}
}

impl Ring for crate::driver::Bell {
    fn ring(&self) {
        crate::driver::Bell::ring(self);
    }
}
