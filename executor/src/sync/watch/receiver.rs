//! The half that watches.

use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;

use super::super::budget;
use super::super::waiting::{wait_until, wake_all};
use super::{RecvError, Ref, Shared};

/// The watching half of a [`channel`](super::channel). A clone has seen what this one has.
pub struct Receiver<T> {
    shared: Shared<T>,
    /// The version that was seen last.
    seen: u64,
}

impl<T> Receiver<T> {
    pub(super) fn new(shared: Shared<T>, seen: u64) -> Receiver<T> {
        shared.borrow_mut().receivers += 1;
        Receiver { shared, seen }
    }

    /// The value. It does not count as seen.
    ///
    /// # Panics
    ///
    /// In a function that changes the value of the same channel.
    #[track_caller]
    pub fn borrow(&self) -> Ref<'_, T> {
        self.shared.borrow().look(self.seen)
    }

    /// The value, which counts as seen.
    ///
    /// # Panics
    ///
    /// In a function that changes the value of the same channel.
    #[track_caller]
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        let state = self.shared.borrow();
        let value = state.look(self.seen);
        self.seen = state.version;
        value
    }

    /// True if there is a value that this receiver has not seen.
    ///
    /// # Errors
    ///
    /// [`RecvError`] if all senders were dropped, seen or not.
    pub fn has_changed(&self) -> Result<bool, RecvError> {
        let state = self.shared.borrow();
        match state.senders {
            0 => Err(RecvError),
            _ => Ok(state.version != self.seen),
        }
    }

    /// Waits until there is a value that this receiver has not seen; it counts as seen then.
    ///
    /// # Errors
    ///
    /// [`RecvError`] if there is none and all senders were dropped, before or while this waits.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses no change: the value counts as seen only when this resolves.
    pub async fn changed(&mut self) -> Result<(), RecvError> {
        let seen = self.seen;
        wait_until(
            &self.shared,
            |state| &mut state.changing,
            |state| state.version != seen || state.senders == 0,
        )
        .await;
        self.seen = self.shared.borrow().version;
        match self.seen == seen {
            true => Err(RecvError),
            false => Ok(()),
        }
    }

    /// Waits until `is_wanted` says yes, first to the value there is, then to each newer one
    /// that is not overwritten before this is polled. Each that was asked about counts as
    /// seen.
    ///
    /// # Errors
    ///
    /// [`RecvError`] if it says no to the last value and all senders were dropped.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing but what counts as seen.
    ///
    /// # Panics
    ///
    /// If `is_wanted` does; the channel stays usable.
    ///
    /// ```
    /// # krug::Runtime::new().unwrap().block_on(async {
    /// let (sender, mut receiver) = krug::sync::watch::channel(0);
    /// let task = krug::spawn(async move {
    ///     for i in 1..=3 {
    ///         sender.send(i).unwrap();
    ///         krug::task::yield_now().await;
    ///     }
    /// });
    /// assert!(*receiver.wait_for(|value| *value >= 2).await.unwrap() >= 2);
    /// # });
    /// ```
    pub async fn wait_for(
        &mut self,
        mut is_wanted: impl FnMut(&T) -> bool,
    ) -> Result<Ref<'_, T>, RecvError> {
        // Also a task whose values are always there lets the others run.
        poll_fn(budget::consume).await;
        loop {
            // In a block: a value that is not wanted must not be kept while this waits.
            {
                let state = self.shared.borrow();
                let value = state.look(self.seen);
                self.seen = state.version;
                drop(state);
                if is_wanted(&value) {
                    return Ok(value);
                }
            }
            self.changed().await?;
        }
    }

    /// Makes the value count as not seen: [`changed`](Receiver::changed) resolves at once.
    pub fn mark_changed(&mut self) {
        self.seen = self.shared.borrow().version.wrapping_sub(1);
    }

    /// Makes the value count as seen.
    pub fn mark_unchanged(&mut self) {
        self.seen = self.shared.borrow().version;
    }

    /// True if both watch the same channel.
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        Rc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Receiver<T> {
        Receiver::new(self.shared.clone(), self.seen)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.shared.borrow_mut();
        state.receivers -= 1;
        let is_last = state.receivers == 0;
        drop(state);
        if is_last {
            wake_all(&self.shared, |state| &mut state.closing);
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.borrow();
        f.debug_struct("Receiver")
            .field("has_changed", &(state.version != self.seen))
            .field("closed", &(state.senders == 0))
            .finish()
    }
}
