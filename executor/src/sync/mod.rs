//! Channels and signals between the tasks of one core, and helpers to wait for several
//! futures at once.
//!
//! - [`oneshot`]: one value, once;
//! - [`mpsc`]: a queue with many senders and one receiver, bounded or not;
//! - [`Notify`]: a signal without a value;
//! - [`select!`](crate::select) and [`join!`](crate::join): the first of several futures,
//!   and all of them.
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
//! - **Your code runs when we hold nothing.** A value's destructor or a waker may use the
//!   same channel again.

mod join;
pub mod mpsc;
mod notify;
pub mod oneshot;
mod select;
mod waiting;

#[cfg(test)]
mod tests;

pub use notify::{Notified, Notify};

#[doc(hidden)]
pub use select::{branch as __select_branch, start as __select_start};

use crate::task::{Waiter, budget};
