//! A queue with many senders and one receiver, each on whatever core: [`channel`].
//!
//! ```
//! let runtime = krug::Runtime::builder().cores(3).build()?;
//! let (sender, mut receiver) = krug::cores::mpsc::channel(128);
//! for core in [1, 2] {
//!     let sender = sender.clone();
//!     let started = krug::spawn_on(runtime.core(core).unwrap(), move || async move {
//!         sender.send(core).await.unwrap();
//!     });
//!     assert!(started.is_ok());
//! }
//! drop(sender);
//! let sum = runtime.block_on(async move {
//!     let mut sum = 0;
//!     while let Some(core) = receiver.recv().await {
//!         sum += core;
//!     }
//!     sum
//! });
//! assert_eq!(sum, 3);
//! # std::io::Result::Ok(())
//! ```
//!
//! # What a message costs
//!
//! The queue is an array whose slots carry sequence numbers, after Dmitry Vyukov's [bounded queue]; a count of free places stands before
//! it. A sender takes a place, draws a number, and fills the slot of that number: three atomic changes, without a lock and without
//! allocation. Only a sender that finds no place takes a lock, to get in line; and the receiver takes it while somebody is in line, to
//! hand places to those who wait longest. Who waits is woken, once, and nobody else is; a system call is made only if the core of who waits sleeps.
//!
//! A sender whose thread is held up between drawing its number and filling the slot holds up what was sent after it, until it goes on.
//! That takes a few instructions, and no code of yours runs in between.
//!
//! # Closing
//!
//! | what happens | senders | receiver |
//! |---|---|---|
//! | the last sender is dropped | | gets what is queued, then `None` |
//! | [`Receiver::close`] | get their value back, waiting ones at once; a [`Permit`] may still be used | gets what is queued and what permits still bring, then `None` |
//! | the receiver is dropped | get their value back, from a [`Permit`], too | what is queued is dropped |
//!
//! A value that was sent is received, or dropped with the receiver; there is no third.
//!
//! [bounded queue]: https://www.1024cores.net/home/lock-free-algorithms/queues/bounded-mpmc-queue

mod line;
mod places;
mod queue;
mod receiver;
mod sender;

pub use super::errors::{ReserveError, SendError, TryRecvError, TrySendError};
pub use receiver::Receiver;
pub use sender::{Permit, ReserveFuture, SendFuture, Sender};

use crate::primitives::{Arc, AtomicU64};
use places::Places;
use queue::{Queue, Reader};

/// What all halves share.
struct Channel<T> {
    places: Places,
    queue: Queue<T>,
    senders: AtomicU64,
}

/// Makes a queue with room for `capacity` messages. Who sends into a full one waits.
///
/// # Panics
///
/// If `capacity` is 0: a message needs a place to be between sender and receiver.
#[track_caller]
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(
        capacity > 0,
        "a channel needs room for at least one message"
    );
    let channel = Arc::new(Channel {
        places: Places::new(capacity as u64),
        queue: Queue::new(capacity),
        senders: AtomicU64::new(1),
    });
    let receiver = Receiver::new(channel.clone(), Reader::first());
    (Sender::first(channel), receiver)
}
