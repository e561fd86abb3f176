//! A queue with one sender and one receiver, each on whatever core: [`channel`].
//!
//! ```
//! let runtime = krug::Runtime::builder().cores(2).build()?;
//! let other = runtime.core(1).expect("there are two");
//! let (mut sender, mut receiver) = krug::cores::spsc::channel(128);
//! let sending = krug::spawn_on(other, move || async move {
//!     for number in 0..1000 {
//!         sender.send(number).await.unwrap();
//!     }
//! });
//! let sum = runtime.block_on(async move {
//!     let mut sum = 0;
//!     while let Some(number) = receiver.recv().await {
//!         sum += number;
//!     }
//!     sum
//! });
//! assert_eq!(sum, 499_500);
//! # drop(sending);
//! # std::io::Result::Ok(())
//! ```
//!
//! # What a message costs
//!
//! One atomic change on each side, of a word of that side's own. Each side remembers how far the other one had come when it looked
//! last, and looks again only when that is used up. No lock, no allocation; who waits is woken, once, and nobody else is; a system call is
//! made only if the core of who waits sleeps. It works between any two threads, also those of other executors or of none.
//!
//! # Closing
//!
//! | what happens | sender | receiver |
//! |---|---|---|
//! | the sender is dropped | | gets what is queued, then `None` |
//! | [`Receiver::close`] | gets its value back, at once if it waits; from a [`Permit`], too | gets what is queued, then `None` |
//! | the receiver is dropped | gets its value back | what is queued is dropped |
//!
//! A value that was sent is received, or dropped with the receiver; there is no third.

mod receiver;
mod ring;
mod sender;

pub use super::errors::{ReserveError, SendError, TryRecvError, TrySendError};
pub use receiver::Receiver;
pub use sender::{Permit, ReserveFuture, SendFuture, Sender};

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
    let (producer, consumer) = ring::ring(capacity);
    (Sender::new(producer), Receiver::new(consumer))
}
