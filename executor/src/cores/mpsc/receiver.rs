//! The receiving half.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::queue::Reader;
use super::{Channel, TryRecvError};
use crate::primitives::Arc;
use crate::task::budget;

/// The receiving half of a [`channel`](super::channel). A [`Stream`] of the messages, too.
///
/// Dropping it closes the channel and drops what is queued.
pub struct Receiver<T> {
    channel: Arc<Channel<T>>,
    reader: Reader,
}

impl<T> Receiver<T> {
    pub(super) fn new(channel: Arc<Channel<T>>, reader: Reader) -> Receiver<T> {
        Receiver { channel, reader }
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
        Poll::Ready(if is_there { self.pop() } else { None })
    }

    /// Waits for a message, then appends what is queued to `messages`, at most `limit`, and returns how many these
    /// are; 0 when nothing is queued and nothing will be, or if `limit` is 0. Their places are given back at once.
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
        let limit = (self.channel.places.total() as usize).min(limit);
        let mut count = 0;
        while count < limit {
            // Before the message is taken: nothing may fail between that and its arrival in the vector.
            messages.reserve(1);
            let Some(message) = self.channel.queue.pop(&mut self.reader) else {
                break;
            };
            messages.push(message);
            count += 1;
        }
        self.channel.places.give(count as u64);
        count
    }

    /// Takes the next message if there is one.
    ///
    /// # Errors
    ///
    /// Says whether one may still come.
    #[inline]
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        match self.pop() {
            Some(message) => Ok(message),
            None if self.channel.places.is_finished() => Err(TryRecvError::Closed),
            None => Err(TryRecvError::Empty),
        }
    }

    /// Refuses further messages. What is queued, and what permits still bring, can be received.
    pub fn close(&mut self) {
        self.channel.places.close();
    }

    /// How many messages are queued, or just about to be.
    pub fn len(&self) -> usize {
        self.channel.queue.len(&self.reader) as usize
    }

    /// True if no message is queued.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    fn pop(&mut self) -> Option<T> {
        let message = self.channel.queue.pop(&mut self.reader)?;
        self.channel.places.give(1);
        Some(message)
    }

    /// Ready with true when there is a message, with false when there will be none.
    #[inline]
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let Channel { places, queue, .. } = &*self.channel;
        loop {
            if queue.has_message(&self.reader) {
                ready!(budget::consume(cx));
                return Poll::Ready(true);
            }
            if queue.wait(&self.reader, cx.waker()) {
                return match places.is_finished() {
                    true => Poll::Ready(false),
                    false => Poll::Pending,
                };
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

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.close();
        self.channel.queue.end(&mut self.reader);
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("queued", &self.len())
            .field("bound", &self.channel.places.total())
            .field("closed", &self.channel.places.is_closed())
            .finish()
    }
}
