//! The sending half of a channel without a bound.

use std::fmt;

use super::{SendError, Shared, closed, join_senders, leave_senders};

/// The sending half of an [`unbounded`](super::unbounded()) channel. Clones send into the same one.
pub struct UnboundedSender<T> {
    shared: Shared<T>,
}

impl<T> UnboundedSender<T> {
    pub(super) fn new(shared: Shared<T>) -> UnboundedSender<T> {
        join_senders(&shared);
        UnboundedSender { shared }
    }

    /// Queues a message, at once.
    ///
    /// # Errors
    ///
    /// Gives the message back if the channel is closed.
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        let mut state = self.shared.borrow_mut();
        if state.closed {
            return Err(SendError(message));
        }
        let receiving = state.push(message);
        drop(state);
        if let Some(waiter) = receiving {
            waiter.wake();
        }
        Ok(())
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
}

impl<T> Clone for UnboundedSender<T> {
    fn clone(&self) -> UnboundedSender<T> {
        UnboundedSender::new(self.shared.clone())
    }
}

impl<T> Drop for UnboundedSender<T> {
    fn drop(&mut self) {
        leave_senders(&self.shared);
    }
}

impl<T> fmt::Debug for UnboundedSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnboundedSender")
            .field("closed", &self.is_closed())
            .finish()
    }
}
