//! Cores that talk: starting work on another core, and passing values between them.
//!
//! Nothing is shared between cores unless it is meant to be: a task, a stream, a lock of [`sync`](crate::sync) belongs to
//! one core. What is here may go between them. It is `Send`, takes no lock on the way of a message, and makes no system
//! call towards a core that is awake.
//!
//! | what | for |
//! |---|---|
//! | [`CoreHandle`] | a core: starting tasks there, asking how it is |
//! | [`spawn_on`] | a closure that makes a future on another core, where it stays |
//! | [`spsc`] | a queue from one core to another |
//! | [`mpsc`] | a queue from many cores to one; senders get places first come, first served |
//! | [`mesh()`] | a queue from each core to each other one |
//!
//! Queues have a bound, and who sends into a full one waits. They work between any threads, also those of other executors or of none;
//! within one core, those of [`sync`](crate::sync) do the same without atomics.

mod errors;
mod handle;
mod inbox;
mod letter;
mod mailbox;
mod mesh;
pub mod mpsc;
pub mod spsc;
mod waker_slot;

pub use errors::{ReserveError, SendError, TryRecvError, TrySendError};
pub use handle::{CoreHandle, RuntimeEnded, spawn_on};
pub(crate) use inbox::{Closed, Delivery, Node};
#[cfg(test)]
pub(crate) use mailbox::Ring;
pub(crate) use mailbox::{CoreId, Lease, Mailbox, MailboxLease};
pub use mesh::{MeshReceiver, MeshSenders, mesh};

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

/// Aligned so that who writes to it does not slow down who reads what is beside it; processors fetch lines in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct OwnLine<T>(T);

impl<T> std::ops::Deref for OwnLine<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.0
    }
}

#[cfg(all(test, krug_loom))]
mod channel_models;
#[cfg(all(test, krug_loom))]
mod loom_models;
