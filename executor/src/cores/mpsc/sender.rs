//! The sending half, and places reserved in the channel.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::places::NoPlace;
use super::{Channel, ReserveError, SendError, TrySendError};
use crate::primitives::{Arc, Ordering};
use crate::task::budget;

/// The sending half of a [`channel`](super::channel). Clones send into the same one, from any core.
pub struct Sender<T> {
    channel: Arc<Channel<T>>,
}

/// The future of [`Sender::send`].
#[must_use = "nothing is sent unless it is awaited"]
pub struct SendFuture<'a, T> {
    place: Place<'a, T>,
    message: Option<T>,
}

/// The future of [`Sender::reserve`].
#[must_use = "futures do nothing unless awaited"]
pub struct ReserveFuture<'a, T> {
    place: Place<'a, T>,
}

/// A place in the channel that is kept for one message.
///
/// Dropping it gives the place to the sender that waits longest.
#[must_use = "the place is given up if the permit is dropped"]
pub struct Permit<'a, T> {
    channel: &'a Channel<T>,
    used: bool,
}

/// Waits in line for a place.
struct Place<'a, T> {
    channel: &'a Channel<T>,
    entry: Option<usize>,
}

/// Waits in line for the end.
struct Closing<'a, T> {
    channel: &'a Channel<T>,
    entry: Option<usize>,
}

impl<T> Channel<T> {
    /// Gives back a place that was not used.
    fn give_back(&self) {
        if self.places.give(1) {
            self.queue.wake();
        }
    }
}

impl<T> Sender<T> {
    pub(super) fn first(channel: Arc<Channel<T>>) -> Sender<T> {
        Sender { channel }
    }

    /// Queues a message, after waiting for a place if the channel is full. Senders get
    /// places in the order in which they began to wait.
    ///
    /// # Errors
    ///
    /// Gives the message back if the channel is closed, before or while this waits.
    ///
    /// # Cancellation
    ///
    /// The message is sent only when this resolves. Dropping the future drops the message
    /// unsent and gives up the place in line; to keep the message,
    /// [`reserve`](Sender::reserve) a place first.
    ///
    /// # Panics
    ///
    /// The future panics if it is polled after it resolved.
    pub fn send(&self, message: T) -> SendFuture<'_, T> {
        SendFuture {
            place: self.place(),
            message: Some(message),
        }
    }

    /// Queues a message if there is a place that nobody waits for.
    ///
    /// # Errors
    ///
    /// Gives the message back if there is none or the channel is closed.
    #[inline]
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        match self.channel.places.try_take() {
            Ok(()) => self
                .channel
                .queue
                .push(message)
                .map_err(TrySendError::Closed),
            Err(NoPlace::Full) => Err(TrySendError::Full(message)),
            Err(NoPlace::Closed) => Err(TrySendError::Closed(message)),
        }
    }

    /// Waits for a place and keeps it for one message.
    ///
    /// # Errors
    ///
    /// [`ReserveError::Closed`] if the channel is closed, before or while this waits.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up the place in line; a place it had just been given
    /// passes to the next sender.
    pub fn reserve(&self) -> ReserveFuture<'_, T> {
        ReserveFuture {
            place: self.place(),
        }
    }

    /// Keeps a place for one message if there is one that nobody waits for.
    ///
    /// # Errors
    ///
    /// Says whether waiting would help.
    pub fn try_reserve(&self) -> Result<Permit<'_, T>, ReserveError> {
        match self.channel.places.try_take() {
            Ok(()) => Ok(Permit::new(&self.channel)),
            Err(NoPlace::Full) => Err(ReserveError::Full),
            Err(NoPlace::Closed) => Err(ReserveError::Closed),
        }
    }

    /// True if both send into the same channel.
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        Arc::ptr_eq(&self.channel, &other.channel)
    }

    /// True if the receiver was dropped or closed.
    pub fn is_closed(&self) -> bool {
        self.channel.places.is_closed()
    }

    /// Resolves when the receiver is dropped or closed.
    ///
    /// # Cancellation
    ///
    /// Dropping this future only stops waiting.
    pub async fn closed(&self) {
        let mut closing = Closing {
            channel: &self.channel,
            entry: None,
        };
        poll_fn(|cx| {
            let Closing { channel, entry } = &mut closing;
            channel.places.poll_closed(entry, cx.waker())
        })
        .await;
    }

    /// How many messages could be sent now without waiting.
    pub fn capacity(&self) -> usize {
        self.channel.places.free() as usize
    }

    fn place(&self) -> Place<'_, T> {
        Place {
            channel: &self.channel,
            entry: None,
        }
    }
}

impl<T> Place<'_, T> {
    /// Ready with true when a place is ours, with false when the channel is closed.
    #[inline]
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let places = &self.channel.places;
        // Asked for first: a place that is taken cannot be left for later.
        ready!(budget::consume(cx));
        if self.entry.is_none() {
            match places.try_take() {
                Ok(()) => return Poll::Ready(true),
                Err(NoPlace::Closed) => return Poll::Ready(false),
                Err(NoPlace::Full) => {}
            }
        }
        let is_ours = ready!(places.poll_line(&mut self.entry, cx.waker()));
        if is_ours && places.is_closed() {
            self.channel.give_back();
            return Poll::Ready(false);
        }
        Poll::Ready(is_ours)
    }
}

impl<T> Drop for Place<'_, T> {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take()
            && self.channel.places.leave_line(entry)
        {
            self.channel.queue.wake();
        }
    }
}

impl<T> Drop for Closing<'_, T> {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            self.channel.places.leave_closing(entry);
        }
    }
}

impl<T> Future for SendFuture<'_, T> {
    type Output = Result<(), SendError<T>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        assert!(this.message.is_some(), "polled after it had resolved");
        let is_ours = ready!(this.place.poll(cx));
        let message = this.message.take().expect("checked above");
        if !is_ours {
            return Poll::Ready(Err(SendError(message)));
        }
        Poll::Ready(this.place.channel.queue.push(message).map_err(SendError))
    }
}

// The message is never pinned: it is moved out of the future when it is sent.
impl<T> Unpin for SendFuture<'_, T> {}

impl<'a, T> Future for ReserveFuture<'a, T> {
    type Output = Result<Permit<'a, T>, ReserveError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let place = &mut self.get_mut().place;
        Poll::Ready(match ready!(place.poll(cx)) {
            true => Ok(Permit::new(place.channel)),
            false => Err(ReserveError::Closed),
        })
    }
}

impl<'a, T> Permit<'a, T> {
    fn new(channel: &'a Channel<T>) -> Permit<'a, T> {
        Permit {
            channel,
            used: false,
        }
    }

    /// Queues the message in the reserved place. This also works when the channel was
    /// closed meanwhile.
    ///
    /// # Errors
    ///
    /// Gives the message back if the receiver was dropped.
    pub fn send(mut self, message: T) -> Result<(), SendError<T>> {
        self.used = true;
        self.channel.queue.push(message).map_err(SendError)
    }
}

impl<T> Drop for Permit<'_, T> {
    fn drop(&mut self) {
        if !self.used {
            self.channel.give_back();
        }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        // Relaxed: who clones has one, so the count is not about to end.
        self.channel.senders.fetch_add(1, Ordering::Relaxed);
        Sender {
            channel: self.channel.clone(),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.channel.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.channel.places.close();
            self.channel.queue.wake();
        }
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
