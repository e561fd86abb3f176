//! [`Inbox`]: many producers, one worker; unbounded, lock-free, without allocation.
//!
//! One atomic word is all there is. It holds
//!
//! | value | meaning | who makes it so |
//! |---|---|---|
//! | null | nothing here, the worker is awake | worker: `take`, `unpark`, `reopen` |
//! | `PARKED` | nothing here, the worker sleeps (or is about to) | worker: `park`, from null only |
//! | `CLOSED` | the worker's life is over, nothing can be pushed | worker: `close` |
//! | a node | head of a chain, the newest first | any thread: `push` |
//!
//! Because "parked" lives in the same word as the chain, sleeping and pushing cannot miss
//! each other: either `park` finds the chain and fails, or `push` replaces `PARKED` and
//! its caller, and only that one, rings the bell.

use std::ptr::{self, NonNull};

use crate::primitives::{AtomicPtr, Ordering, UnsafeCell};

/// What becomes of a node that left its inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// The worker of this life opens it.
    At {
        /// Nodes meant for another life of the mailbox are discarded by their `deliver`.
        epoch: u32,
    },
    /// The life it was sent to is over: whatever it carries is dropped.
    Discard,
}

/// What becomes of a node that has arrived.
///
/// # Safety
///
/// Called once for each successful push, by the worker that took the node.
pub(crate) type Deliver = unsafe fn(NonNull<Node>, Delivery);

/// A link of an inbox, embedded at the start of what travels: a task or a letter.
#[derive(Debug)]
#[repr(align(8))]
pub(crate) struct Node {
    /// Written by the thread that pushes, before the push; read by the worker after
    /// taking. In between it belongs to nobody else: a node is in one inbox at most.
    next: UnsafeCell<*mut Node>,
    /// Where the function is that says what becomes of it. See [`Node::table`].
    deliver: NonNull<Deliver>,
}

impl Node {
    /// # Safety
    ///
    /// `deliver` points to a function that stays there for ever, for all threads to read.
    pub(crate) unsafe fn new(deliver: NonNull<Deliver>) -> Node {
        Node {
            next: UnsafeCell::new(ptr::null_mut()),
            deliver,
        }
    }

    /// The pointer that it was made with: it may lead to a table that begins with the function.
    #[inline(always)]
    pub(crate) fn table(&self) -> NonNull<Deliver> {
        self.deliver
    }
}

/// The push failed: the worker's life is over. The node still belongs to the caller.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Closed;

/// What `push` found.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Pushed {
    ToTheAwake,
    /// The caller, and only this caller, has to ring the bell.
    ToTheParked,
}

// No node is at these addresses: nodes are aligned to 8.
const PARKED: *mut Node = ptr::without_provenance_mut(1);
const CLOSED: *mut Node = ptr::without_provenance_mut(2);

#[derive(Debug)]
pub(super) struct Inbox {
    head: AtomicPtr<Node>,
}

impl Inbox {
    /// A new inbox is closed until a worker leases its mailbox.
    pub(super) fn new() -> Inbox {
        Inbox {
            head: AtomicPtr::new(CLOSED),
        }
    }

    /// # Safety
    ///
    /// - `node` is in no inbox, and nobody else pushes it at the same time.
    /// - Once pushed it stays valid until its `deliver` was called.
    /// - The caller does not touch it after a success.
    pub(super) unsafe fn push(&self, node: NonNull<Node>) -> Result<Pushed, Closed> {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            if head == CLOSED {
                return Err(Closed);
            }
            let next = if head == PARKED {
                ptr::null_mut()
            } else {
                head
            };
            // SAFETY: the caller keeps the node valid and to itself until the exchange below succeeds.
            unsafe { node.as_ref().next.with_mut(|cell| *cell = next) };
            // Release: the worker sees `next`, and all the pusher did before.
            // Acquire on success: a rung worker's state is seen; also keeps loom's model of the bell honest.
            match self.head.compare_exchange_weak(
                head,
                node.as_ptr(),
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(PARKED) => return Ok(Pushed::ToTheParked),
                Ok(_) => return Ok(Pushed::ToTheAwake),
                Err(now) => head = now,
            }
        }
    }

    /// Everything that has arrived, oldest first. Worker only.
    pub(super) fn take(&self) -> Chain {
        let head = self.head.load(Ordering::Relaxed);
        // A turn that finds nothing pays one load.
        if head.is_null() || head == CLOSED {
            return Chain::reversed(ptr::null_mut());
        }
        Chain::reversed(self.head.swap(ptr::null_mut(), Ordering::AcqRel))
    }

    pub(super) fn is_empty(&self) -> bool {
        let head = self.head.load(Ordering::Relaxed);
        head.is_null() || head == PARKED || head == CLOSED
    }

    /// False if something has arrived: then the worker must not sleep. Worker only.
    pub(super) fn park(&self) -> bool {
        self.head
            .compare_exchange(ptr::null_mut(), PARKED, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    /// The worker is awake again, whoever woke it. Worker only.
    pub(super) fn unpark(&self) {
        // A failure means that a push has replaced the mark already.
        let _ = self.head.compare_exchange(
            PARKED,
            ptr::null_mut(),
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
    }

    pub(super) fn reopen(&self) {
        debug_assert!(self.is_closed());
        self.head.store(ptr::null_mut(), Ordering::Release);
    }

    /// Nothing gets in any more; what was in comes back. Worker only.
    pub(super) fn close(&self) -> Chain {
        match self.head.swap(CLOSED, Ordering::AcqRel) {
            CLOSED => Chain::reversed(ptr::null_mut()),
            head => Chain::reversed(head),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.head.load(Ordering::Acquire) == CLOSED
    }
}

/// Nodes taken out of an inbox, oldest first. Each must be delivered.
#[derive(Debug)]
#[must_use]
pub(crate) struct Chain {
    next: *mut Node,
}

impl Chain {
    fn reversed(head: *mut Node) -> Chain {
        let mut newest_first = if head == PARKED {
            ptr::null_mut()
        } else {
            head
        };
        let mut oldest_first = ptr::null_mut();
        while let Some(node) = NonNull::new(newest_first) {
            // SAFETY: whoever pushed the node keeps it valid until it is delivered, and after
            // the exchange that took the chain its links belong to this thread.
            unsafe {
                node.as_ref().next.with_mut(|next| {
                    newest_first = *next;
                    *next = oldest_first;
                });
            }
            oldest_first = node.as_ptr();
        }
        Chain { next: oldest_first }
    }

    /// Delivers the oldest node; false if there was none.
    pub(crate) fn deliver_next(&mut self, delivery: Delivery) -> bool {
        let Some(node) = NonNull::new(self.next) else {
            return false;
        };
        // SAFETY: as above. The link is read first: once delivered, the node may be pushed
        // again by another thread, or be gone.
        let deliver = unsafe {
            self.next = node.as_ref().next.with(|next| *next);
            *node.as_ref().deliver.as_ref()
        };
        // SAFETY: this worker took the node, and the chain yields each node once.
        unsafe { deliver(node, delivery) };
        true
    }

    /// Delivers all that is left.
    pub(crate) fn deliver_all(mut self, delivery: Delivery) -> usize {
        let mut count = 0;
        while self.deliver_next(delivery) {
            count += 1;
        }
        count
    }
}
