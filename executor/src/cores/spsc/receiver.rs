//! The receiving half.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::TryRecvError;
use super::ring::Consumer;
use crate::task::budget;

/// The receiving half of a [`channel`](super::channel). A [`Stream`] of the messages, too.
///
/// Dropping it closes the channel and drops what is queued.
pub struct Receiver<T> {
    consumer: Consumer<T>,
}

impl<T> Receiver<T> {
    pub(super) fn new(consumer: Consumer<T>) -> Receiver<T> {
        Receiver { consumer }
    }

    /// Waits for the next message; `None` when nothing is queued and nothing will be.
    ///
    /// # Cancellation
    ///
    /// Dropping this future loses no message: it takes one only when it resolves.
    pub async fn recv(&mut self) -> Option<T> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// [`recv`](Receiver::recv) for futures written by hand; wakes the task that polled last.
    #[inline]
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let is_there = ready!(self.poll_message(cx));
        Poll::Ready(if is_there { self.try_recv().ok() } else { None })
    }

    /// Waits for a message, then appends what is queued to `messages`, at most `limit`, and returns how many these
    /// are; 0 when nothing is queued and nothing will be, or if `limit` is 0. That their places are free is published once.
    /// Allocates only if `messages` has not got the room.
    ///
    /// # Cancellation
    ///
    /// Dropping this future loses no message: it takes them only when it resolves.
    pub async fn recv_many(&mut self, messages: &mut Vec<T>, limit: usize) -> usize {
        if limit == 0 {
            return 0;
        }
        poll_fn(|cx| self.poll_message(cx)).await;
        self.consumer.pop_many(messages, limit)
    }

    /// Takes the next message if there is one.
    ///
    /// # Errors
    ///
    /// Says whether one may still come.
    #[inline]
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.consumer.pop()
    }

    /// Refuses further messages. What is queued can be received.
    pub fn close(&mut self) {
        self.consumer.close();
    }

    /// How many messages are queued.
    pub fn len(&self) -> usize {
        self.consumer.len() as usize
    }

    /// True if no message is queued.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ready with true when there is a message, with false when there will be none.
    #[inline]
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            if self.consumer.has_message() {
                ready!(budget::consume(cx));
                return Poll::Ready(true);
            }
            if self.consumer.is_finished() {
                return Poll::Ready(false);
            }
            if self.consumer.wait(cx.waker()) {
                return Poll::Pending;
            }
        }
    }
}

impl<T> Stream for Receiver<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.get_mut().poll_recv(cx)
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("queued", &self.len())
            .field("bound", &self.consumer.capacity())
            .finish()
    }
}
