//! Channels, locks and signals between the tasks of one core, and helpers to wait for
//! several futures at once.
//!
//! | what | for | bound | fair | a dropped future |
//! |---|---|---|---|---|
//! | [`oneshot`] | one value, once | 1 | one waits | can be awaited again: `(&mut receiver).await` |
//! | [`mpsc`] | a queue, many senders, one receiver | chosen; [`unbounded`](mpsc::unbounded()): none | senders: first come, first served | loses no message; its place passes on |
//! | [`broadcast`] | a queue, every receiver gets every message | chosen; the oldest leaves, slow receivers are told | woken as they came | loses no message |
//! | [`watch`] | the newest value, seen by many | 1 | woken as they came | loses no change |
//! | [`Notify`] | a signal without a value | 1 is kept | first come, first served | its notification passes on |
//! | [`Semaphore`] | at most so many at the same time | [`MAX_PERMITS`](Semaphore::MAX_PERMITS) | first come, first served, of any size | its permits pass on |
//! | [`Mutex`] | a value in use over an `await`, by one | 1 | first come, first served | the lock passes on |
//! | [`RwLock`] | the same, by many to read or one to write | [`MAX_READERS`](RwLock::MAX_READERS) | first come, first served | the lock passes on |
//! | [`OnceCell`] | a value that is made when first needed | 1 | first come, first served | the next one makes it |
//! | [`Barrier`] | tasks that go on together | its size | woken as they came | does not count as arrived |
//! | [`select!`](crate::select) | the first of several futures | 8 | begins anywhere, or `biased` | drops them all |
//! | [`join!`](crate::join) | all of several futures | 8 | begins anywhere | drops them all |
//!
//! Who waits is never bounded; a future that waits takes some 50 bytes in the line.
//!
//! Everything here stays on one core: nothing is `Send`, nothing is atomic, and nothing
//! allocates per message once the queues have grown. None of it needs a runtime: it works
//! wherever it is polled.
//!
//! # What all of them keep
//!
//! - **Dropping a future loses nothing.** A message is either still in the channel or was
//!   returned; a place in the channel that was just granted, or a notification, passes to
//!   the next in line. Each method says so under "Cancellation".
//! - **First come, first served.** Who waits longest gets the next place, message or
//!   notification; nobody overtakes.
//! - **Closing is told to everybody.** Who sends into a closed channel gets the value
//!   back; who waits for a place is woken and gets it back, too.
//! - **Your code runs when we hold nothing.** A value's destructor, its `clone` or a waker
//!   may use the same channel again. A waker that panics, among several to wake, keeps
//!   nobody from being woken.
//! - **A leaked future keeps what it has.** `mem::forget` of one that waits leaves it in
//!   line; what is granted to it then is lost. Nothing else breaks.

mod barrier;
pub mod broadcast;
mod join;
pub mod mpsc;
mod mutex;
mod notify;
mod once_cell;
pub mod oneshot;
mod rwlock;
mod select;
mod semaphore;
mod waiting;
pub mod watch;

#[cfg(test)]
mod tests;

pub use barrier::{Barrier, BarrierWaitResult};
pub use mutex::{Mutex, MutexGuard, OwnedMutexGuard, TryLockError};
pub use notify::{Notified, Notify};
pub use once_cell::{OnceCell, SetError};
pub use rwlock::{
    OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock, RwLockMappedWriteGuard, RwLockReadGuard,
    RwLockWriteGuard,
};
pub use semaphore::{
    AcquireError, OwnedSemaphorePermit, Semaphore, SemaphorePermit, TryAcquireError,
};

#[doc(hidden)]
pub use select::{branch as __select_branch, start as __select_start};

use crate::task::{Waiter, budget};
