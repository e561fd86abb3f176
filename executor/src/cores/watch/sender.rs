//! The half that changes the value.

use std::fmt;
use std::sync::Arc;

use super::super::line::wait_until;
use super::{Line, Mutex, Receiver, Ref, SendError, Shared, State, lock, wake_all};

/// The sending half of a [`channel`](super::channel). Clones send into the same one; when
/// the last is dropped, the receivers are told.
pub struct Sender<T> {
    shared: Shared<T>,
}

/// What a new value took the place of: to be dropped when nothing is locked.
enum Old<T> {
    Value(T),
    /// Others look at it.
    Shared(Arc<T>),
}

impl<T> Sender<T> {
    /// A channel that nobody watches yet: [`subscribe`](Sender::subscribe).
    pub fn new(value: T) -> Sender<T> {
        Sender {
            shared: Arc::new(Mutex::new(State {
                value: Arc::new(value),
                version: 0,
                senders: 1,
                receivers: 0,
                changing: Line::new(),
                closing: Line::new(),
            })),
        }
    }

    /// Sets the value and wakes all receivers that wait. Drops the value before.
    ///
    /// # Errors
    ///
    /// Gives the value back if there is no receiver; then nothing changes.
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        if self.is_closed() {
            return Err(SendError(value));
        }
        drop(self.put(value));
        Ok(())
    }

    /// Sets the value, wakes all receivers that wait, and returns the value before: itself, or, if somebody looks at it, a
    /// clone. Also if there is no receiver.
    pub fn send_replace(&self, value: T) -> T
    where
        T: Clone,
    {
        match self.put(value) {
            Old::Value(old) => old,
            Old::Shared(old) => Arc::unwrap_or_clone(old),
        }
    }

    /// Changes a clone of the value, sets that, and wakes all receivers that wait. Also if there is no
    /// receiver. `change` is called again, with the newer value, if another sender was faster: nobody's change is lost.
    /// If it panics, the value stays as it is and nobody is told.
    pub fn send_modify(&self, mut change: impl FnMut(&mut T))
    where
        T: Clone,
    {
        self.send_if_modified(|value| {
            change(value);
            true
        });
    }

    /// As [`send_modify`](Sender::send_modify), but sets the clone and wakes the receivers only if `change`
    /// returns true. Returns what `change` did the last time.
    ///
    /// ```
    /// let (sender, receiver) = krug::cores::watch::channel(3);
    /// let raise_to = |new: i32| sender.send_if_modified(|highest| {
    ///     let is_higher = new > *highest;
    ///     *highest = new.max(*highest);
    ///     is_higher
    /// });
    /// assert!(!raise_to(2) && raise_to(4));
    /// assert_eq!(*receiver.borrow(), 4);
    /// ```
    pub fn send_if_modified(&self, mut change: impl FnMut(&mut T) -> bool) -> bool
    where
        T: Clone,
    {
        loop {
            let (before, version) = {
                let state = lock(&self.shared);
                (state.value.clone(), state.version)
            };
            let mut value = (*before).clone();
            drop(before);
            if !change(&mut value) {
                return false;
            }
            let value = Arc::new(value);
            let mut state = lock(&self.shared);
            if state.version != version {
                drop(state);
                continue;
            }
            let old = std::mem::replace(&mut state.value, value);
            state.version += 1;
            wake_all(&self.shared, state, |state| &mut state.changing);
            drop(old);
            return true;
        }
    }

    /// The value.
    pub fn borrow(&self) -> Ref<'_, T> {
        let state = lock(&self.shared);
        state.look(state.version)
    }

    /// Makes a receiver, which counts as having seen the value. Also when the last one was
    /// dropped: the channel is open again.
    pub fn subscribe(&self) -> Receiver<T> {
        let mut state = lock(&self.shared);
        state.receivers += 1;
        Receiver::counted(self.shared.clone(), state.version)
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

    /// True if there is no receiver.
    pub fn is_closed(&self) -> bool {
        self.receiver_count() == 0
    }

    /// How many receivers there are.
    pub fn receiver_count(&self) -> usize {
        lock(&self.shared).receivers
    }

    /// How many senders there are.
    pub fn sender_count(&self) -> usize {
        lock(&self.shared).senders
    }

    /// True if both send into the same channel.
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Sets the value, in the memory of the one before if nobody looks at that.
    fn put(&self, value: T) -> Old<T> {
        let mut state = lock(&self.shared);
        let place = &mut state.value;
        let old = match Arc::get_mut(place) {
            Some(place) => Old::Value(std::mem::replace(place, value)),
            None => Old::Shared(std::mem::replace(place, Arc::new(value))),
        };
        state.version += 1;
        wake_all(&self.shared, state, |state| &mut state.changing);
        old
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
            wake_all(&self.shared, state, |state| &mut state.changing);
        }
    }
}

impl<T: Default> Default for Sender<T> {
    fn default() -> Sender<T> {
        Sender::new(T::default())
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (version, receivers) = {
            let state = lock(&self.shared);
            (state.version, state.receivers)
        };
        f.debug_struct("Sender")
            .field("version", &version)
            .field("receivers", &receivers)
            .finish()
    }
}
