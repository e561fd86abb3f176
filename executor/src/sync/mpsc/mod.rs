//! A queue with many senders and one receiver, on one core: [`channel`] with a bound,
//! [`unbounded()`] without.
//!
//! ```
//! # krug::Runtime::new().unwrap().block_on(async {
//! let (sender, mut receiver) = krug::sync::mpsc::channel(2);
//! sender.send("one").await.unwrap();
//! sender.send("two").await.unwrap();
//! drop(sender);
//! assert_eq!(receiver.recv().await, Some("one"));
//! assert_eq!(receiver.recv().await, Some("two"));
//! assert_eq!(receiver.recv().await, None); // no sender is left
//! # });
//! ```
//!
//! # Closing
//!
//! | what happens | senders | receiver |
//! |---|---|---|
//! | the last sender is dropped | | gets what is queued, then `None` |
//! | [`Receiver::close`] | get their value back, waiting ones at once; a [`Permit`] may still be used | gets what is queued and what permits still bring, then `None` |
//! | the receiver is dropped | get their value back | what is queued is dropped |

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use super::waiting::{Removed, WaitQueue, wait_until};
use super::{Waiter, budget};

mod bounded;
mod receiver;
mod unbounded;

pub use crate::cores::{ReserveError, SendError, TryRecvError, TrySendError};
pub use bounded::{Permit, ReserveFuture, SendFuture, Sender};
pub use receiver::Receiver;
pub use unbounded::UnboundedSender;

/// Makes a queue with room for `bound` messages. Who sends into a full one waits.
///
/// # Panics
///
/// If `bound` is 0: a message needs a place to be between sender and receiver.
#[track_caller]
pub fn channel<T>(bound: usize) -> (Sender<T>, Receiver<T>) {
    assert!(bound > 0, "a channel needs room for at least one message");
    let shared = State::shared(Some(bound));
    (Sender::new(shared.clone()), Receiver::new(shared))
}

/// Makes a queue that is never full. Memory is the limit: use it where something else
/// bounds how much is sent.
pub fn unbounded<T>() -> (UnboundedSender<T>, Receiver<T>) {
    let shared = State::shared(None);
    (UnboundedSender::new(shared.clone()), Receiver::new(shared))
}

type Shared<T> = Rc<RefCell<State<T>>>;

/// What both halves share. While it is borrowed no waker is woken or dropped, and no
/// message either: methods hand these out instead.
struct State<T> {
    messages: VecDeque<T>,
    /// `None` for an unbounded channel.
    bound: Option<usize>,
    /// Places that are neither taken by a message nor reserved by a permit nor granted to
    /// a waiting sender. Only above zero while no sender waits.
    free: usize,
    senders: usize,
    /// Permits that are held: each may still bring a message.
    permits: usize,
    closed: bool,
    receiver_dropped: bool,
    /// Senders in line for a place.
    sending: WaitQueue<()>,
    /// Senders that wait for the channel to close.
    closing: WaitQueue<()>,
    receiving: Option<Waiter>,
}

impl<T> State<T> {
    fn shared(bound: Option<usize>) -> Shared<T> {
        Rc::new(RefCell::new(State {
            messages: VecDeque::new(),
            bound,
            free: bound.unwrap_or(0),
            senders: 0,
            permits: 0,
            closed: false,
            receiver_dropped: false,
            sending: WaitQueue::new(),
            closing: WaitQueue::new(),
            receiving: None,
        }))
    }

    /// Queues a message that has a place, and returns whom to wake.
    #[inline]
    fn push(&mut self, message: T) -> Option<Waiter> {
        self.messages.push_back(message);
        self.receiving.take()
    }

    /// True if there was a place that nobody waits for, and budget to take it.
    #[inline]
    fn take_place(&mut self) -> bool {
        let is_taken = self.free > 0 && !self.closed && budget::take();
        self.free -= usize::from(is_taken);
        is_taken
    }

    /// Takes a message out and returns it with whom to wake: the sender that gets its place.
    #[inline]
    fn pop(&mut self) -> Option<(T, Option<Waiter>)> {
        let message = self.messages.pop_front()?;
        Some((message, self.free_place()))
    }

    /// Gives a place to the sender that waits longest and returns whom to wake.
    #[inline]
    fn free_place(&mut self) -> Option<Waiter> {
        self.bound?;
        let first = self.sending.grant_first(());
        if first.is_none() {
            self.free += 1;
        }
        first
    }

    /// True if nothing is queued and nothing will be.
    fn is_finished(&self) -> bool {
        let no_more = self.senders == 0 || (self.closed && self.permits == 0);
        no_more && self.messages.is_empty()
    }
}

/// Closes the channel and wakes all who wait for a place or for this.
fn close<T>(shared: &RefCell<State<T>>) {
    shared.borrow_mut().closed = true;
    // Who is woken sees `closed`, whatever it was granted.
    let next = || {
        let mut state = shared.borrow_mut();
        state
            .sending
            .grant_first(())
            .or_else(|| state.closing.grant_first(()))
    };
    while let Some(waiter) = next() {
        // A waker that panics must not keep the others from hearing of it.
        waiter.wake_quietly();
    }
}

/// Resolves when the channel is closed.
async fn closed<T>(shared: &RefCell<State<T>>) {
    wait_until(shared, |state| &mut state.closing, |state| state.closed).await;
}

/// Gives up a sender's entry in the line for a place; a place it was granted goes on.
fn leave_line<T>(shared: &RefCell<State<T>>, entry: usize) {
    let mut state = shared.borrow_mut();
    let removed = state.sending.remove(entry);
    let next = match removed {
        Removed::Granted(()) => state.free_place(),
        Removed::Waiting(_) => None,
    };
    drop(state);
    if let Some(waiter) = next {
        waiter.wake();
    }
    drop(removed);
}

/// One sender more.
fn join_senders<T>(shared: &RefCell<State<T>>) {
    shared.borrow_mut().senders += 1;
}

/// One sender less; the last one to leave wakes the receiver.
fn leave_senders<T>(shared: &RefCell<State<T>>) {
    let mut state = shared.borrow_mut();
    state.senders -= 1;
    let receiving = match state.senders {
        0 => state.receiving.take(),
        _ => None,
    };
    drop(state);
    if let Some(waiter) = receiving {
        waiter.wake();
    }
}
