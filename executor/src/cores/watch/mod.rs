//! The newest value, seen by many, on all cores: [`channel`]. As [`sync::watch`](crate::sync::watch), but all halves may be
//! sent to other cores, and to threads that run none.
//!
//! ```
//! use krug::cores::watch;
//!
//! let runtime = krug::Runtime::builder().cores(2).build()?;
//! let (sender, receiver) = watch::channel("old");
//! let other = runtime.core(1).expect("there are two");
//! let mut receiver_there = receiver.clone();
//! let task = krug::spawn_on(other, || async move {
//!     receiver_there.changed().await.map(|()| *receiver_there.borrow_and_update())
//! });
//! sender.send("new").unwrap();
//! assert_eq!(runtime.block_on(task.unwrap()).unwrap(), Ok("new"));
//! assert_eq!(*receiver.borrow(), "new");
//! # std::io::Result::Ok(())
//! ```
//!
//! # Closing
//!
//! | what happens | senders | receivers |
//! |---|---|---|
//! | the last sender is dropped | | can look at the last value; [`changed`](Receiver::changed) tells of it if it is new, then errs |
//! | the last receiver is dropped | [`send`](Sender::send) gives the value back, [`closed`](Sender::closed) resolves, the other methods work | |
//!
//! # Fairness
//!
//! Receivers are woken in the order in which they began to wait; those of other cores run when these come to them.
//!
//! # Values that are being looked at
//!
//! A [`Ref`] keeps the value that it was made for, also while newer ones are sent; it holds up nobody, and may be kept over an
//! `await`. So what changes the value works on a clone of it, and then sets that.
//!
//! # What it costs
//!
//! Looking and sending take a lock for a few instructions, never while code of yours runs. Nothing is
//! allocated by [`send`](Sender::send) unless the value before is being looked at.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use super::line::{Line, lock, wake_all};
use crate::primitives::Mutex;

mod receiver;
mod sender;

pub use receiver::Receiver;
pub use sender::Sender;

/// Makes a channel that holds `value` until another is sent. The receiver counts as having
/// seen it.
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new(value);
    let receiver = sender.subscribe();
    (sender, receiver)
}

/// There are no receivers; here is the value back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

/// All senders were dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecvError;

/// A value of the channel, for as long as this is kept.
#[must_use = "it is for looking at"]
pub struct Ref<'a, T> {
    value: Arc<T>,
    has_changed: bool,
    _channel: PhantomData<&'a T>,
}

type Shared<T> = Arc<Mutex<State<T>>>;

/// What all halves share. While it is locked no waker is woken or dropped, and no value
/// either, and no function of the user's is called.
struct State<T> {
    value: Arc<T>,
    /// How often the value was changed.
    version: u64,
    senders: usize,
    receivers: usize,
    /// Receivers that wait for a change.
    changing: Line,
    /// Senders that wait for the last receiver to leave.
    closing: Line,
}

impl<T> State<T> {
    fn look<'a>(&self, seen: u64) -> Ref<'a, T> {
        Ref {
            value: self.value.clone(),
            has_changed: self.version != seen,
            _channel: PhantomData,
        }
    }
}

impl<T> Ref<'_, T> {
    /// True if the value had not been seen by the receiver that made this; always false for
    /// that of a sender.
    pub fn has_changed(&self) -> bool {
        self.has_changed
    }
}

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Ref<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendError(..)")
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody watches")
    }
}

impl<T> std::error::Error for SendError<T> {}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value will not change any more")
    }
}

impl std::error::Error for RecvError {}
