//! A channel for one value: [`channel`].

use std::cell::RefCell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::Waiter;
use super::waiting::poll_wait_alone;
pub use crate::cores::oneshot::{RecvError, TryRecvError};

/// Makes a channel for one value.
///
/// ```
/// # krug::Runtime::new().unwrap().block_on(async {
/// let (sender, receiver) = krug::sync::oneshot::channel();
/// sender.send("answer").unwrap();
/// assert_eq!(receiver.await, Ok("answer"));
/// # });
/// ```
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let shared = Rc::new(RefCell::new(State {
        value: None,
        sender: Side::Alive,
        receiver: Side::Alive,
        receiving: None,
        closing: None,
    }));
    let sender = Sender {
        shared: shared.clone(),
    };
    (sender, Receiver { shared })
}

/// The sending half of a [`channel`]. Dropping it without sending tells the receiver.
pub struct Sender<T> {
    shared: Rc<RefCell<State<T>>>,
}

/// The receiving half of a [`channel`]: a future that resolves with the value, or with
/// [`RecvError`] when the sender was dropped without sending.
///
/// # Cancellation
///
/// Wait with `(&mut receiver).await` to be able to stop waiting and go on later. Dropping
/// the receiver itself closes the channel and drops a value that was sent.
///
/// # Panics
///
/// When polled again after it resolved.
#[must_use = "the value only arrives if it is awaited"]
pub struct Receiver<T> {
    shared: Rc<RefCell<State<T>>>,
}

struct State<T> {
    value: Option<T>,
    sender: Side,
    receiver: Side,
    receiving: Option<Waiter>,
    closing: Option<Waiter>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Alive,
    /// Sent, closed or dropped: nothing more will come from here.
    Finished,
    /// The receiver has resolved.
    Taken,
}

impl<T> Sender<T> {
    /// Sends the value.
    ///
    /// # Errors
    ///
    /// Gives the value back if the receiver was dropped or closed.
    pub fn send(self, value: T) -> Result<(), T> {
        let mut state = self.shared.borrow_mut();
        if state.receiver != Side::Alive {
            drop(state);
            return Err(value);
        }
        state.value = Some(value);
        Ok(()) // Dropping `self` wakes the receiver.
    }

    /// True if nobody will receive the value: the receiver was dropped or closed.
    pub fn is_closed(&self) -> bool {
        self.shared.borrow().receiver != Side::Alive
    }

    /// Resolves when the receiver is dropped or closed: time to stop working on the value.
    ///
    /// # Cancellation
    ///
    /// Dropping this future only stops waiting.
    pub async fn closed(&mut self) {
        poll_fn(|cx| self.poll_closed(cx)).await;
    }

    /// [`closed`](Sender::closed) for futures written by hand; wakes the task that polled last.
    pub fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        poll_wait_alone(
            &self.shared,
            |state| &mut state.closing,
            cx,
            |state| state.receiver != Side::Alive,
            |_| (),
        )
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.shared.borrow_mut();
        state.sender = Side::Finished;
        let (receiving, closing) = (state.receiving.take(), state.closing.take());
        drop(state);
        if let Some(waiter) = receiving {
            waiter.wake();
        }
        drop(closing);
    }
}

impl<T> Receiver<T> {
    /// Takes the value if it is there.
    ///
    /// # Errors
    ///
    /// Says whether it may still come.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let mut state = self.shared.borrow_mut();
        if let Some(value) = state.value.take() {
            state.receiver = Side::Taken;
            return Ok(value);
        }
        let open = state.sender == Side::Alive && state.receiver == Side::Alive;
        match open {
            true => Err(TryRecvError::Empty),
            false => Err(TryRecvError::Closed),
        }
    }

    /// Refuses a value that was not sent yet; one that was can still be received.
    pub fn close(&mut self) {
        finish_receiver(&self.shared);
    }
}

fn finish_receiver<T>(shared: &RefCell<State<T>>) {
    let mut state = shared.borrow_mut();
    if state.receiver == Side::Alive {
        state.receiver = Side::Finished;
    }
    let closing = state.closing.take();
    drop(state);
    if let Some(waiter) = closing {
        waiter.wake();
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let shared = &self.get_mut().shared;
        let is_ready = |state: &State<T>| {
            state.value.is_some() || state.sender != Side::Alive || state.receiver != Side::Alive
        };
        let take = |state: &mut State<T>| {
            assert!(
                state.receiver != Side::Taken,
                "a oneshot receiver was polled after it had resolved"
            );
            state.receiver = Side::Taken;
            state.value.take()
        };
        let value = ready!(poll_wait_alone(
            shared,
            |state| &mut state.receiving,
            cx,
            is_ready,
            take
        ));
        Poll::Ready(value.ok_or(RecvError))
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        finish_receiver(&self.shared);
        let mut state = self.shared.borrow_mut();
        let unread = (state.value.take(), state.receiving.take());
        drop(state);
        drop(unread);
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("closed", &self.is_closed())
            .finish()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.borrow();
        f.debug_struct("Receiver")
            .field("has_value", &state.value.is_some())
            .field("closed", &(state.receiver != Side::Alive))
            .finish()
    }
}
