//! The receiving half.

use std::fmt;
use std::sync::Arc;

use super::super::line::wait_until;
use super::{RecvError, Shared, TryRecvError, lock, wake_all};

/// The receiving half of a [`channel`](super::channel). Dropping it gives up what it has not
/// received.
pub struct Receiver<T> {
    shared: Shared<T>,
    /// The position of the next message.
    next: u64,
}

impl<T> Receiver<T> {
    pub(super) fn new(shared: Shared<T>) -> Receiver<T> {
        let mut state = lock(&shared);
        state.receivers += 1;
        let next = state.end();
        drop(state);
        Receiver { shared, next }
    }

    /// Makes another receiver, of what is sent from now on: it does not get what this one
    /// has not received yet, nor what was dropped before it could.
    pub fn resubscribe(&self) -> Receiver<T> {
        Receiver::new(self.shared.clone())
    }

    /// How many messages this receiver has not received, those that were dropped included.
    pub fn len(&self) -> usize {
        let unread = lock(&self.shared).end() - self.next;
        usize::try_from(unread).unwrap_or(usize::MAX)
    }

    /// True if this receiver has received everything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True if all senders were dropped. Messages may still be queued.
    pub fn is_closed(&self) -> bool {
        lock(&self.shared).senders == 0
    }

    /// True if both receive from the same channel.
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<T: Clone> Receiver<T> {
    /// Waits for the next message.
    ///
    /// # Errors
    ///
    /// [`RecvError::Lagged`] if messages were dropped before they could be received, then
    /// what is left can be; [`RecvError::Closed`] if nothing is queued and all senders were
    /// dropped.
    ///
    /// # Cancellation
    ///
    /// Dropping this future loses no message: it takes one only when it resolves.
    ///
    /// # Panics
    ///
    /// If `T::clone` does; the message counts as received then.
    pub async fn recv(&mut self) -> Result<T, RecvError> {
        let next = self.next;
        wait_until(
            &self.shared,
            |state| &mut state.receiving,
            |state| state.end() != next || state.senders == 0,
        )
        .await;
        self.try_recv().map_err(|error| match error {
            TryRecvError::Lagged(count) => RecvError::Lagged(count),
            TryRecvError::Closed => RecvError::Closed,
            TryRecvError::Empty => unreachable!("what was sent or closed stays so"),
        })
    }

    /// Receives the next message if there is one.
    ///
    /// # Errors
    ///
    /// Says why there is none.
    ///
    /// # Panics
    ///
    /// If `T::clone` does; the message counts as received then.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let mut state = lock(&self.shared);
        let missed = state.gone.saturating_sub(self.next);
        if missed > 0 {
            self.next = state.gone;
            return Err(TryRecvError::Lagged(missed));
        }
        let Some(taken) = state.read(self.next) else {
            return Err(match state.senders {
                0 => TryRecvError::Closed,
                _ => TryRecvError::Empty,
            });
        };
        self.next += 1;
        drop(state);
        Ok(taken.into_message())
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = lock(&self.shared);
        state.receivers -= 1;
        // All at once, and dropped later: a destructor may use the channel, or panic.
        let positions = self.next.max(state.gone)..state.end();
        let unread: Vec<_> = positions
            .filter_map(|position| state.read(position))
            .collect();
        if state.receivers == 0 {
            wake_all(&self.shared, state, |state| &mut state.closing);
        } else {
            drop(state);
        }
        drop(unread);
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("unread", &self.len())
            .field("closed", &self.is_closed())
            .finish()
    }
}
