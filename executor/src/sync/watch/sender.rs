//! The half that changes the value.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use super::super::waiting::{WaitQueue, wait_until, wake_all};
use super::{IN_CHANGE, LOOKED_AT, Receiver, Ref, SendError, Shared, State, announce};

/// The sending half of a [`channel`](super::channel). Clones send into the same one; when
/// the last is dropped, the receivers are told.
pub struct Sender<T> {
    shared: Shared<T>,
}

/// What a new value took the place of: to be dropped when nothing is borrowed.
enum Old<T> {
    Value(T),
    Shared(#[expect(dead_code, reason = "held to be dropped later")] Rc<T>),
}

/// Has the value while a function of the user's changes it, and puts it back in any case.
struct InChange<'a, T> {
    shared: &'a RefCell<State<T>>,
    value: Option<Rc<T>>,
}

impl<T> Sender<T> {
    /// A channel that nobody watches yet: [`subscribe`](Sender::subscribe).
    pub fn new(value: T) -> Sender<T> {
        Sender {
            shared: Rc::new(RefCell::new(State {
                value: Some(Rc::new(value)),
                version: 0,
                senders: 1,
                receivers: 0,
                changing: WaitQueue::new(),
                closing: WaitQueue::new(),
            })),
        }
    }

    /// Sets the value and wakes all receivers that wait. Drops the value before.
    ///
    /// # Errors
    ///
    /// Gives the value back if there is no receiver; then nothing changes.
    ///
    /// # Panics
    ///
    /// In a function that changes the value of the same channel.
    #[track_caller]
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        if self.is_closed() {
            return Err(SendError(value));
        }
        drop(self.put(value));
        Ok(())
    }

    /// Sets the value, wakes all receivers that wait, and returns the value before. Also if
    /// there is no receiver.
    ///
    /// # Panics
    ///
    /// If a [`Ref`] to the value before is kept, which then stays; in a function that
    /// changes the value of the same channel.
    #[track_caller]
    pub fn send_replace(&self, value: T) -> T {
        self.demand_unobserved();
        match self.put(value) {
            Old::Value(old) => old,
            Old::Shared(_) => unreachable!("nobody else had it"),
        }
    }

    /// Changes the value in place and wakes all receivers that wait. Also if there is no
    /// receiver. If `change` panics, the value stays as it is then and nobody is told.
    ///
    /// # Panics
    ///
    /// If a [`Ref`] to the value is kept. If `change` uses this channel's value.
    #[track_caller]
    pub fn send_modify(&self, change: impl FnOnce(&mut T)) {
        self.send_if_modified(|value| {
            change(value);
            true
        });
    }

    /// As [`send_modify`](Sender::send_modify), but wakes the receivers only if `change`
    /// returns true. Returns what `change` did.
    ///
    /// # Panics
    ///
    /// If a [`Ref`] to the value is kept. If `change` uses this channel's value.
    ///
    /// ```
    /// let (sender, receiver) = krug::sync::watch::channel(3);
    /// let raise_to = |new: i32| sender.send_if_modified(|highest| {
    ///     let is_higher = new > *highest;
    ///     *highest = new.max(*highest);
    ///     is_higher
    /// });
    /// assert!(!raise_to(2) && raise_to(4));
    /// assert_eq!(*receiver.borrow(), 4);
    /// ```
    #[track_caller]
    pub fn send_if_modified(&self, change: impl FnOnce(&mut T) -> bool) -> bool {
        self.demand_unobserved();
        let mut in_change = InChange {
            shared: &self.shared,
            value: self.shared.borrow_mut().value.take(),
        };
        let value = in_change.value.as_mut().and_then(Rc::get_mut);
        let is_modified = change(value.expect(LOOKED_AT));
        drop(in_change);
        if is_modified {
            announce(&self.shared);
        }
        is_modified
    }

    /// The value.
    ///
    /// # Panics
    ///
    /// In a function that changes the value of the same channel.
    #[track_caller]
    pub fn borrow(&self) -> Ref<'_, T> {
        let state = self.shared.borrow();
        state.look(state.version)
    }

    /// Makes a receiver, which counts as having seen the value. Also when the last one was
    /// dropped: the channel is open again.
    pub fn subscribe(&self) -> Receiver<T> {
        let version = self.shared.borrow().version;
        Receiver::new(self.shared.clone(), version)
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
        self.shared.borrow().receivers
    }

    /// How many senders there are.
    pub fn sender_count(&self) -> usize {
        self.shared.borrow().senders
    }

    /// True if both send into the same channel.
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        Rc::ptr_eq(&self.shared, &other.shared)
    }

    /// Before the value is taken out or changed in place.
    #[track_caller]
    fn demand_unobserved(&self) {
        let mut state = self.shared.borrow_mut();
        let value = state.value.as_mut().expect(IN_CHANGE);
        assert!(Rc::get_mut(value).is_some(), "{LOOKED_AT}");
    }

    /// Sets the value, in the memory of the one before if nobody looks at that.
    #[track_caller]
    fn put(&self, value: T) -> Old<T> {
        let mut state = self.shared.borrow_mut();
        let place = state.value.as_mut().expect(IN_CHANGE);
        let old = match Rc::get_mut(place) {
            Some(place) => Old::Value(std::mem::replace(place, value)),
            None => Old::Shared(std::mem::replace(place, Rc::new(value))),
        };
        drop(state);
        announce(&self.shared);
        old
    }
}

impl<T> Drop for InChange<'_, T> {
    fn drop(&mut self) {
        self.shared.borrow_mut().value = self.value.take();
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        self.shared.borrow_mut().senders += 1;
        Sender {
            shared: self.shared.clone(),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.shared.borrow_mut();
        state.senders -= 1;
        let is_last = state.senders == 0;
        drop(state);
        if is_last {
            wake_all(&self.shared, |state| &mut state.changing);
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
        let state = self.shared.borrow();
        f.debug_struct("Sender")
            .field("version", &state.version)
            .field("receivers", &state.receivers)
            .finish()
    }
}
