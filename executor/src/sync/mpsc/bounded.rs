//! The sending half of a channel with a bound, and places reserved in it.

use std::cell::RefMut;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::super::waiting::poll_wait;
use super::{
    ReserveError, SendError, Shared, State, TrySendError, closed, join_senders, leave_line,
    leave_senders,
};

/// The sending half of a [`channel`](super::channel). Clones send into the same one.
pub struct Sender<T> {
    shared: Shared<T>,
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
    sender: &'a Sender<T>,
    used: bool,
}

/// Waits in line for a place.
struct Place<'a, T> {
    sender: &'a Sender<T>,
    entry: Option<usize>,
}

impl<T> Sender<T> {
    pub(super) fn new(shared: Shared<T>) -> Sender<T> {
        join_senders(&shared);
        Sender { shared }
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
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        match self.try_reserve() {
            Ok(permit) => {
                permit.send(message);
                Ok(())
            }
            Err(ReserveError::Full) => Err(TrySendError::Full(message)),
            Err(ReserveError::Closed) => Err(TrySendError::Closed(message)),
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
        let mut state = self.shared.borrow_mut();
        if state.closed {
            return Err(ReserveError::Closed);
        }
        if state.free == 0 {
            return Err(ReserveError::Full);
        }
        state.free -= 1;
        state.permits += 1;
        Ok(Permit {
            sender: self,
            used: false,
        })
    }

    /// True if the receiver was dropped or closed.
    pub fn is_closed(&self) -> bool {
        self.shared.borrow().closed
    }

    /// Resolves when the receiver is dropped or closed.
    ///
    /// # Cancellation
    ///
    /// Dropping this future only stops waiting.
    pub async fn closed(&self) {
        closed(&self.shared).await;
    }

    /// How many messages could be sent now without waiting.
    pub fn capacity(&self) -> usize {
        self.shared.borrow().free
    }

    fn place(&self) -> Place<'_, T> {
        Place {
            sender: self,
            entry: None,
        }
    }
}

impl<T> Place<'_, T> {
    /// Ready with true when a place is ours, with false when the channel is closed.
    #[inline]
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.entry.is_none() && self.sender.shared.borrow_mut().take_place() {
            return Poll::Ready(true);
        }
        self.poll_in_line(cx)
    }

    #[inline(never)]
    fn poll_in_line(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let cell = &self.sender.shared;
        let granted = ready!(poll_wait(
            cell,
            |state| &mut state.sending,
            &mut self.entry,
            cx,
            |state, granted, in_line| {
                state.closed || granted.is_some() || (!in_line && state.free > 0)
            },
        ));
        let mut state = cell.borrow_mut();
        if state.closed {
            return Poll::Ready(false);
        }
        if granted.is_none() {
            state.free -= 1;
        }
        Poll::Ready(true)
    }
}

impl<T> Drop for Place<'_, T> {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            leave_line(&self.sender.shared, entry);
        }
    }
}

impl<T> SendFuture<'_, T> {
    /// Queues the message in the place that it has.
    #[inline(always)]
    fn send(&mut self, mut state: RefMut<'_, State<T>>) -> Poll<Result<(), SendError<T>>> {
        let message = self.message.take().expect("it is sent once");
        let receiving = state.push(message);
        drop(state);
        if let Some(waiter) = receiving {
            waiter.wake();
        }
        Poll::Ready(Ok(()))
    }
}

impl<T> Future for SendFuture<'_, T> {
    type Output = Result<(), SendError<T>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        assert!(this.message.is_some(), "polled after it had resolved");
        if this.place.entry.is_none() {
            let sender = this.place.sender;
            let mut state = sender.shared.borrow_mut();
            if state.take_place() {
                return this.send(state);
            }
        }
        let is_ours = ready!(this.place.poll_in_line(cx));
        if !is_ours {
            let message = this.message.take().expect("checked above");
            return Poll::Ready(Err(SendError(message)));
        }
        let sender = this.place.sender;
        this.send(sender.shared.borrow_mut())
    }
}

// The message is never pinned: it is moved out of the future when it is sent.
impl<T> Unpin for SendFuture<'_, T> {}

impl<'a, T> Future for ReserveFuture<'a, T> {
    type Output = Result<Permit<'a, T>, ReserveError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let place = &mut self.get_mut().place;
        let is_ours = ready!(place.poll(cx));
        if !is_ours {
            return Poll::Ready(Err(ReserveError::Closed));
        }
        let sender = place.sender;
        sender.shared.borrow_mut().permits += 1;
        Poll::Ready(Ok(Permit {
            sender,
            used: false,
        }))
    }
}

impl<T> Permit<'_, T> {
    /// Queues the message in the reserved place. This also works when the channel was
    /// closed meanwhile; if the receiver was dropped, the message is dropped, too.
    pub fn send(mut self, message: T) {
        self.used = true;
        let mut state = self.sender.shared.borrow_mut();
        state.permits -= 1;
        if state.receiver_dropped {
            drop(state);
            drop(message);
            return;
        }
        let receiving = state.push(message);
        drop(state);
        if let Some(waiter) = receiving {
            waiter.wake();
        }
    }
}

impl<T> Drop for Permit<'_, T> {
    fn drop(&mut self) {
        if self.used {
            return;
        }
        let mut state = self.sender.shared.borrow_mut();
        state.permits -= 1;
        let next = state.free_place();
        // A closed channel may have waited for just this permit.
        let receiving = match state.is_finished() {
            true => state.receiving.take(),
            false => None,
        };
        drop(state);
        for waiter in [next, receiving].into_iter().flatten() {
            waiter.wake();
        }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        Sender::new(self.shared.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        leave_senders(&self.shared);
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
