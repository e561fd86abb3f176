//! The sending half.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use super::super::line::wait_until;
use super::{Line, Mutex, Receiver, SendError, Shared, State, lock, wake_all};

/// The sending half of a [`channel`](super::channel). Clones send into the same one; when
/// the last is dropped, the receivers are told.
pub struct Sender<T> {
    shared: Shared<T>,
}

impl<T> Sender<T> {
    /// A queue that nobody receives from yet: [`subscribe`](Sender::subscribe).
    ///
    /// # Panics
    ///
    /// If `bound` is 0: a message needs a place to be between sender and receiver.
    #[track_caller]
    pub fn new(bound: usize) -> Sender<T> {
        assert!(bound > 0, "a channel needs room for at least one message");
        Sender {
            shared: Arc::new(Mutex::new(State {
                messages: VecDeque::new(),
                spare: Vec::new(),
                bound,
                gone: 0,
                senders: 1,
                receivers: 0,
                receiving: Line::new(),
                closing: Line::new(),
            })),
        }
    }

    /// Queues a message for all receivers there are now and returns how many those are. If
    /// the queue is full, drops the oldest message.
    ///
    /// # Errors
    ///
    /// Gives the message back if there is no receiver.
    pub fn send(&self, message: T) -> Result<usize, SendError<T>> {
        let mut state = lock(&self.shared);
        let receivers = state.receivers;
        if receivers == 0 {
            return Err(SendError(message));
        }
        let overwritten = state.push(message);
        wake_all(&self.shared, state, |state| &mut state.receiving);
        drop(overwritten);
        Ok(receivers)
    }

    /// Makes a receiver of what is sent from now on. Also when the last one was dropped: the
    /// channel is open again.
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver::new(self.shared.clone())
    }

    /// Resolves when there is no receiver, or was none for a moment since this is awaited.
    ///
    /// # Cancellation
    ///
    /// Dropping this future only stops waiting.
    pub async fn closed(&self) {
        wait_until(
            &self.shared,
            |state| &mut state.closing,
            |state| state.receivers == 0,
        )
        .await;
    }

    /// How many receivers there are.
    pub fn receiver_count(&self) -> usize {
        lock(&self.shared).receivers
    }

    /// How many messages are queued: those that the slowest receiver can still receive.
    pub fn len(&self) -> usize {
        lock(&self.shared).messages.len()
    }

    /// True if no message is queued.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True if both send into the same channel.
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        lock(&self.shared).senders += 1;
        Sender {
            shared: self.shared.clone(),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = lock(&self.shared);
        state.senders -= 1;
        if state.senders == 0 {
            wake_all(&self.shared, state, |state| &mut state.receiving);
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (queued, bound, receivers) = {
            let state = lock(&self.shared);
            (state.messages.len(), state.bound, state.receivers)
        };
        f.debug_struct("Sender")
            .field("queued", &queued)
            .field("bound", &bound)
            .field("receivers", &receivers)
            .finish()
    }
}
