//! The half that watches.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;

use super::super::line::wait_until;
use super::{RecvError, Ref, Shared, lock, wake_all};
use crate::task::budget;

/// The watching half of a [`channel`](super::channel). A clone has seen what this one has.
pub struct Receiver<T> {
    shared: Shared<T>,
    /// The version that was seen last.
    seen: u64,
}

impl<T> Receiver<T> {
    /// One that the channel has counted.
    pub(super) fn counted(shared: Shared<T>, seen: u64) -> Receiver<T> {
        Receiver { shared, seen }
    }

    /// The value. It does not count as seen.
    pub fn borrow(&self) -> Ref<'_, T> {
        lock(&self.shared).look(self.seen)
    }

    /// The value, which counts as seen.
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        let state = lock(&self.shared);
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
        let state = lock(&self.shared);
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
        self.seen = lock(&self.shared).version;
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
    /// let runtime = krug::Runtime::builder().cores(2).build()?;
    /// let (sender, mut receiver) = krug::cores::watch::channel(0);
    /// let other = runtime.core(1).expect("there are two");
    /// let task = other.spawn(async move {
    ///     for i in 1..=3 {
    ///         sender.send_modify(|value| *value += i);
    ///     }
    /// });
    /// let sum = runtime.block_on(async { receiver.wait_for(|value| *value >= 6).await.map(|sum| *sum) });
    /// assert_eq!(sum, Ok(6));
    /// # std::io::Result::Ok(())
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
                let state = lock(&self.shared);
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
        self.seen = lock(&self.shared).version.wrapping_sub(1);
    }

    /// Makes the value count as seen.
    pub fn mark_unchanged(&mut self) {
        self.seen = lock(&self.shared).version;
    }

    /// True if both watch the same channel.
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Receiver<T> {
        lock(&self.shared).receivers += 1;
        Receiver::counted(self.shared.clone(), self.seen)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = lock(&self.shared);
        state.receivers -= 1;
        if state.receivers == 0 {
            wake_all(&self.shared, state, |state| &mut state.closing);
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (version, senders) = {
            let state = lock(&self.shared);
            (state.version, state.senders)
        };
        f.debug_struct("Receiver")
            .field("has_changed", &(version != self.seen))
            .field("closed", &(senders == 0))
            .finish()
    }
}
