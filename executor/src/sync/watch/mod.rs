//! The newest value, seen by many: [`channel`].
//!
//! ```
//! # krug::Runtime::new().unwrap().block_on(async {
//! let (sender, mut receiver) = krug::sync::watch::channel("old");
//! assert_eq!(*receiver.borrow(), "old");
//! sender.send("newer").unwrap();
//! sender.send("newest").unwrap();
//! receiver.changed().await.unwrap();
//! assert_eq!(*receiver.borrow_and_update(), "newest"); // only the last one is kept
//! drop(sender);
//! assert!(receiver.changed().await.is_err());
//! # });
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
//! Receivers are woken in the order in which they began to wait.
//!
//! # Values that are being looked at
//!
//! A [`Ref`] keeps the value that it was made for, also while newer ones are sent. But what
//! changes the value in place ([`send_modify`](Sender::send_modify),
//! [`send_if_modified`](Sender::send_if_modified)) or takes it out
//! ([`send_replace`](Sender::send_replace)) panics meanwhile: do not keep a `Ref` over an
//! `await`.

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::rc::Rc;

use super::waiting::{WaitQueue, wake_all};

mod receiver;
mod sender;

pub use crate::cores::watch::{RecvError, SendError};
pub use receiver::Receiver;
pub use sender::Sender;

/// Makes a channel that holds `value` until another is sent. The receiver counts as having
/// seen it.
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new(value);
    let receiver = sender.subscribe();
    (sender, receiver)
}

/// A value of the channel. While one is kept, see
/// [there](self#values-that-are-being-looked-at).
#[must_use = "it is for looking at"]
pub struct Ref<'a, T> {
    value: Rc<T>,
    has_changed: bool,
    _channel: PhantomData<&'a T>,
}

type Shared<T> = Rc<RefCell<State<T>>>;

/// What all halves share. While it is borrowed no waker is woken or dropped, and no value
/// either, and no function of the user's is called.
struct State<T> {
    /// `None` while a function of the user's changes it.
    value: Option<Rc<T>>,
    /// How often the value was changed.
    version: u64,
    senders: usize,
    receivers: usize,
    /// Receivers that wait for a change.
    changing: WaitQueue<()>,
    /// Senders that wait for the last receiver to leave.
    closing: WaitQueue<()>,
}

const IN_CHANGE: &str = "the watched value is used by the very function that changes it";
const LOOKED_AT: &str = "the watched value is changed in place while a Ref to it is kept";

impl<T> State<T> {
    #[track_caller]
    fn look<'a>(&self, seen: u64) -> Ref<'a, T> {
        Ref {
            value: self.value.clone().expect(IN_CHANGE),
            has_changed: self.version != seen,
            _channel: PhantomData,
        }
    }
}

/// The value is new: everybody is told.
fn announce<T>(shared: &RefCell<State<T>>) {
    shared.borrow_mut().version += 1;
    wake_all(shared, |state| &mut state.changing);
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
