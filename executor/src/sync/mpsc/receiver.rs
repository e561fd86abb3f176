//! The receiving half.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::super::waiting::poll_wait_alone;
use super::{Shared, TryRecvError, Waiter, close};

/// The receiving half of a [`channel`](super::channel) or of an
/// [`unbounded`](super::unbounded()) one. A [`Stream`] of the messages, too.
///
/// Dropping it closes the channel and drops what is queued.
pub struct Receiver<T> {
    shared: Shared<T>,
}

impl<T> Receiver<T> {
    pub(super) fn new(shared: Shared<T>) -> Receiver<T> {
        Receiver { shared }
    }

    /// Waits for the next message; `None` when nothing is queued and nothing will be.
    ///
    /// # Cancellation
    ///
    /// Dropping this future loses no message: it takes one only when it resolves.
    pub fn recv(&mut self) -> impl Future<Output = Option<T>> {
        // Not an `async fn`: that would put states of its own around each receive.
        poll_fn(|cx| self.poll_recv(cx))
    }

    /// [`recv`](Receiver::recv) for futures written by hand; wakes the task that polled last.
    #[inline]
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let popped = ready!(poll_wait_alone(
            &self.shared,
            |state| &mut state.receiving,
            cx,
            |state| !state.messages.is_empty() || state.is_finished(),
            |state| state.pop(),
        ));
        Poll::Ready(give_place(popped))
    }

    /// Takes the next message if there is one.
    ///
    /// # Errors
    ///
    /// Says whether one may still come.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        match self.pop() {
            Some(message) => Ok(message),
            None if self.shared.borrow().is_finished() => Err(TryRecvError::Closed),
            None => Err(TryRecvError::Empty),
        }
    }

    /// Refuses further messages. What is queued, and what permits still bring, can be received.
    pub fn close(&mut self) {
        close(&self.shared);
    }

    /// How many messages are queued.
    pub fn len(&self) -> usize {
        self.shared.borrow().messages.len()
    }

    /// True if no message is queued.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn pop(&mut self) -> Option<T> {
        let popped = self.shared.borrow_mut().pop();
        give_place(popped)
    }
}

/// The message, after whoever gets its place was woken.
#[inline]
fn give_place<T>(popped: Option<(T, Option<Waiter>)>) -> Option<T> {
    let (message, next) = popped?;
    if let Some(waiter) = next {
        waiter.wake();
    }
    Some(message)
}

impl<T> Stream for Receiver<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.get_mut().poll_recv(cx)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.borrow_mut().receiver_dropped = true;
        close(&self.shared);
        let mut state = self.shared.borrow_mut();
        let unread = (std::mem::take(&mut state.messages), state.receiving.take());
        drop(state);
        drop(unread);
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.borrow();
        f.debug_struct("Receiver")
            .field("queued", &state.messages.len())
            .field("bound", &state.bound)
            .field("closed", &state.closed)
            .finish()
    }
}
