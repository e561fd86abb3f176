//! The sending half, and places reserved in the channel.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::ring::Producer;
use super::{ReserveError, SendError, TrySendError};
use crate::task::budget;

/// The sending half of a [`channel`](super::channel). There is one, and one at a time uses it: hence `&mut`.
///
/// Dropping it ends the channel: the receiver gets what is queued, then `None`.
pub struct Sender<T> {
    producer: Producer<T>,
}

/// The future of [`Sender::send`].
#[must_use = "nothing is sent unless it is awaited"]
pub struct SendFuture<'a, T> {
    sender: &'a mut Sender<T>,
    message: Option<T>,
}

/// The future of [`Sender::reserve`].
#[must_use = "futures do nothing unless awaited"]
pub struct ReserveFuture<'a, T> {
    sender: Option<&'a mut Sender<T>>,
}

/// A place in the channel for one message. Dropping it gives it up.
#[must_use = "the place is given up if the permit is dropped"]
pub struct Permit<'a, T> {
    sender: &'a mut Sender<T>,
}

impl<T> Sender<T> {
    pub(super) fn new(producer: Producer<T>) -> Sender<T> {
        Sender { producer }
    }

    /// Queues a message, after waiting for a place if the channel is full.
    ///
    /// # Errors
    ///
    /// Gives the message back if the channel is closed, before or while this waits.
    ///
    /// # Cancellation
    ///
    /// The message is sent only when this resolves. Dropping the future drops the message
    /// unsent; to keep the message, [`reserve`](Sender::reserve) a place first.
    ///
    /// # Panics
    ///
    /// The future panics if it is polled after it resolved.
    pub fn send(&mut self, message: T) -> SendFuture<'_, T> {
        SendFuture {
            sender: self,
            message: Some(message),
        }
    }

    /// Queues a message if there is a place.
    ///
    /// # Errors
    ///
    /// Gives the message back if there is none or the channel is closed.
    #[inline]
    pub fn try_send(&mut self, message: T) -> Result<(), TrySendError<T>> {
        self.producer.push(message)
    }

    /// Waits for a place for one message. Nobody else can take it.
    ///
    /// # Errors
    ///
    /// [`ReserveError::Closed`] if the channel is closed, before or while this waits.
    ///
    /// # Cancellation
    ///
    /// Dropping the future only stops waiting.
    ///
    /// # Panics
    ///
    /// The future panics if it is polled after it resolved.
    pub fn reserve(&mut self) -> ReserveFuture<'_, T> {
        ReserveFuture { sender: Some(self) }
    }

    /// A place for one message if there is one.
    ///
    /// # Errors
    ///
    /// Says whether waiting would help.
    pub fn try_reserve(&mut self) -> Result<Permit<'_, T>, ReserveError> {
        if self.producer.is_closed() {
            return Err(ReserveError::Closed);
        }
        if !self.producer.has_room() {
            return Err(ReserveError::Full);
        }
        Ok(Permit { sender: self })
    }

    /// True if the receiver was dropped or closed.
    pub fn is_closed(&self) -> bool {
        self.producer.is_closed()
    }

    /// Resolves when the receiver is dropped or closed.
    ///
    /// # Cancellation
    ///
    /// Dropping this future only stops waiting.
    pub async fn closed(&mut self) {
        poll_fn(|cx| match self.producer.wait_for_the_end(cx.waker()) {
            true => Poll::Pending,
            false => Poll::Ready(()),
        })
        .await;
    }

    /// How many messages could be sent now without waiting.
    pub fn capacity(&self) -> usize {
        self.producer.room() as usize
    }

    /// Ready with true when there is room, with false when the channel is closed.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            if self.producer.has_room() {
                ready!(budget::consume(cx));
                return Poll::Ready(true);
            }
            if self.producer.is_closed() {
                return Poll::Ready(false);
            }
            if self.producer.wait_for_room(cx.waker()) {
                return Poll::Pending;
            }
        }
    }
}

impl<T> Future for SendFuture<'_, T> {
    type Output = Result<(), SendError<T>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        assert!(this.message.is_some(), "polled after it had resolved");
        let has_room = ready!(this.sender.poll_room(cx));
        let message = this.message.take().expect("checked above");
        if !has_room {
            return Poll::Ready(Err(SendError(message)));
        }
        Poll::Ready(
            this.sender
                .producer
                .push(message)
                .map_err(TrySendError::into_closed),
        )
    }
}

// The message is never pinned: it is moved out of the future when it is sent.
impl<T> Unpin for SendFuture<'_, T> {}

impl<'a, T> Future for ReserveFuture<'a, T> {
    type Output = Result<Permit<'a, T>, ReserveError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let place = &mut self.get_mut().sender;
        let sender = place.as_mut().expect("polled after it had resolved");
        let is_open = ready!(sender.poll_room(cx)) && !sender.is_closed();
        let sender = place.take().expect("checked above");
        Poll::Ready(match is_open {
            true => Ok(Permit { sender }),
            false => Err(ReserveError::Closed),
        })
    }
}

impl<T> Permit<'_, T> {
    /// Queues the message in the reserved place.
    ///
    /// # Errors
    ///
    /// Gives the message back if the channel was closed meanwhile.
    pub fn send(self, message: T) -> Result<(), SendError<T>> {
        self.sender
            .producer
            .push(message)
            .map_err(TrySendError::into_closed)
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("capacity", &self.capacity())
            .field("closed", &self.is_closed())
            .finish()
    }
}

impl<T> fmt::Debug for SendFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendFuture")
            .field("sent", &self.message.is_none())
            .finish()
    }
}

impl<T> fmt::Debug for ReserveFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReserveFuture")
    }
}

impl<T> fmt::Debug for Permit<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permit")
    }
}
