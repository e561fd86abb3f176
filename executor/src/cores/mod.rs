//! What cores know of each other: who is alive, and where to leave a message.
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
//! that leaves something rings the bell ([`mailbox::Ring`]), the others do not. An awake worker costs
//! its callers one atomic exchange and no system call.
//!
//! # Dying
//!
//! The scheduler of the worker first makes every task independent of it, then closes the
//! inbox. A push that comes later fails and the caller keeps what it wanted to send.
//! What a message carries is checked against the epoch when it is opened, so that one which
//! slipped into the next life of the same mailbox is discarded there.

mod inbox;
mod letter;
mod mailbox;

pub(crate) use inbox::{Closed, Delivery, Node};
#[cfg(test)]
pub(crate) use mailbox::Ring;
pub(crate) use mailbox::{CoreId, Lease, Mailbox, MailboxLease};

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs code of the user where nobody could receive its panic. The panic hook has reported
/// it already; the core lives on.
pub(crate) fn quietly(f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
        discard(payload);
    }
}

/// Drops a panic's payload, whose destructor may panic once more.
#[cold]
pub(crate) fn discard(payload: Box<dyn std::any::Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // A payload that panics when dropped makes payloads that may do the same: stop here.
        std::mem::forget(second);
    }
}

#[cfg(all(test, krug_loom))]
mod loom_models;
