//! Cores that talk: starting work on another core, and passing values between them.
//!
//! Nothing is shared between cores unless it is meant to be: a task, a stream, a lock of [`sync`](crate::sync) belongs to
//! one core. What is here may go between them. It is `Send`, takes no lock on the way of a message, and makes no system
//! call towards a core that is awake.
//!
//! | what | for |
//! |---|---|
//! | [`CoreHandle`] | a core: starting tasks there, asking how it is |
//! | [`Placement`] | which core gets the next connection: each in turn, or the least loaded |
//! | [`spawn_on`] | a closure that makes a future on another core, where it stays |

mod handle;
mod inbox;
mod letter;
mod mailbox;
mod placement;

pub use handle::{CoreHandle, RuntimeEnded, spawn_on};
pub(crate) use inbox::{Closed, Delivery, Node};
#[cfg(test)]
pub(crate) use mailbox::Ring;
pub(crate) use mailbox::{CoreId, Lease, Mailbox, MailboxLease};
pub use placement::{Place, Placement};

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
