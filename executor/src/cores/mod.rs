//! Cores that talk: starting work on another core, passing values between them, sharing what one of them owns.
//!
//! Nothing is shared between cores unless it is meant to be: a task, a stream, a lock of [`sync`](crate::sync) belongs to
//! one core. What is here may go between them: it is `Send`, works also on threads that run no core, and makes no system
//! call towards a core that is awake.
//!
//! | what | for | bound | fair | a dropped future |
//! |---|---|---|---|---|
//! | [`CoreHandle`] | a core: asking how it is, [`spawn`](CoreHandle::spawn)ing a future that is `Send` | [`spawn_backlog`](crate::runtime::Builder::spawn_backlog), beyond it an error | no: never waits | detaches the task |
//! | [`spawn_on`] | a closure that makes a future on another core, where it stays | the same | no: never waits | detaches the task |
//! | [`CoreHandle::call`] | the same, and its result comes back | the same, beyond it waits | first come, first served among those who wait | cancels the work there |
//! | [`spawn_stealable`] | a task that a core with nothing to do takes over from a busy one | none: beyond 1024 that are ready on a core a lock is taken | first in, first out on each core | detaches the task |
//! | [`oneshot`] | one value, once | 1 | one waits | can be awaited again: `(&mut receiver).await` |
//! | [`spsc`] | a queue from one core to another | chosen; the sender waits | one waits | sends nothing, loses nothing that was sent |
//! | [`mpsc`] | a queue from many cores to one | chosen; senders wait | first come, first served | the same |
//! | [`mesh()`] | a queue from each core to each other one | chosen; senders wait | in turn | the same |
//! | [`watch`] | the newest value, seen by many | 1 | woken as they came | loses no change |
//! | [`broadcast`] | a queue, every receiver gets every message | chosen; the oldest leaves, slow receivers are told | woken as they came | loses no message |
//! | [`Shared`] | a value of one core, used from all by closures | as `call` | as `call` | the closure is called or it is not |
//! | [`Placement`] | which core gets the next connection: each in turn, or the least loaded | none | | |
//! | [`actor`] | a state of one core, with a mailbox | chosen; senders wait | first come, first served | the message is sent or it is not; the answer is dropped |
//!
//! Within one core, what is in [`sync`](crate::sync) does the same without atomics.
//!
//! # What all of them keep
//!
//! - **Never blocked.** No thread waits for another one, but for a lock that is held for a few instructions: where `watch` and `broadcast`
//!   keep what they have, and where anybody joins a line to wait. `oneshot`, `spsc`, `mpsc`, actors and sending work where there
//!   is room take none.
//! - **Your code runs when we hold nothing.** A value's destructor, its `clone` or a waker may use the same channel again. A
//!   waker that panics is reported by the panic hook, and keeps nobody else from being woken.
//! - **Control messages are not bounded, and cannot fail**: wakes, aborts, and the drop of what lives elsewhere.
//! - **The end of a core is told to everybody**: what waits for it gets an error, what it had is dropped there.
//! - **A leaked future keeps what it has.** `mem::forget` of one that waits leaves it in line; a place it is given then is lost.

pub mod actor;
mod backlog;
pub mod broadcast;
mod errors;
mod handle;
mod inbox;
mod letter;
mod line;
mod mailbox;
mod mesh;
pub mod mpsc;
pub mod oneshot;
mod placement;
mod shared;
pub mod spsc;
mod stealing;
mod team;
mod waker_slot;
pub mod watch;

pub(crate) use backlog::{BacklogPlace, SPAWN_BACKLOG_DEFAULT, SPAWN_BACKLOG_MAX};
pub use errors::{ReserveError, SendError, TryRecvError, TrySendError};
pub use handle::{CoreHandle, SpawnError, spawn_on};
pub(crate) use inbox::{Closed, Deliver, Delivery, Node};
#[cfg(test)]
pub(crate) use mailbox::Ring;
pub(crate) use mailbox::{CoreId, Lease, MailboxLease, Name};
pub use mesh::{MeshReceiver, MeshSenders, mesh};
pub use placement::{Place, Placement};
pub use shared::{Shared, SharedError};
pub(crate) use stealing::Seat;
pub use stealing::{StealableHandle, spawn_stealable};
pub(crate) use team::Team;

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
