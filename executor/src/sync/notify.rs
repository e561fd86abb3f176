//! [`Notify`]: a signal without a value.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::waiting::{Removed, WaitQueue, poll_wait};

/// Wakes tasks that wait for something to happen.
///
/// [`notify_one`](Notify::notify_one) wakes the task that waits longest, or, if none does,
/// the next one to wait: a notification is kept, but only one.
/// [`notify_waiters`](Notify::notify_waiters) wakes all that wait now and keeps nothing.
///
/// ```
/// # use std::rc::Rc;
/// # krug::Runtime::new().unwrap().block_on(async {
/// let ready = Rc::new(krug::sync::Notify::new());
/// ready.notify_one();
/// ready.notified().await; // at once
/// # });
/// ```
///
/// To wait for a condition, make the future first, look second, and await third: what is
/// notified in between is not missed.
///
/// ```
/// # use krug::sync::Notify; use std::cell::Cell;
/// async fn until_open(open: &Cell<bool>, changed: &Notify) {
///     loop {
///         let notified = changed.notified();
///         if open.get() {
///             return;
///         }
///         notified.await;
///     }
/// }
/// ```
pub struct Notify {
    state: RefCell<State>,
}

struct State {
    waiting: WaitQueue<Notification>,
    /// A `notify_one` that nobody has had yet. Only set while nobody waits.
    kept: bool,
    /// How often `notify_waiters` was called.
    rounds: u64,
}

#[derive(Clone, Copy)]
enum Notification {
    One,
    All,
}

/// The future of [`Notify::notified`].
#[must_use = "futures do nothing unless awaited"]
pub struct Notified<'a> {
    notify: &'a Notify,
    /// `rounds` when the future was made.
    round: u64,
    entry: Option<usize>,
    done: bool,
}

impl Notify {
    /// Nobody waits, and no notification is kept.
    pub const fn new() -> Notify {
        Notify {
            state: RefCell::new(State {
                waiting: WaitQueue::new(),
                kept: false,
                rounds: 0,
            }),
        }
    }

    /// Wakes the task that waits longest. If none does, the next call of
    /// [`notified`](Notify::notified) resolves at once; several notifications kept that
    /// way count as one.
    pub fn notify_one(&self) {
        let mut state = self.state.borrow_mut();
        let first = state.waiting.grant_first(Notification::One);
        if first.is_none() {
            state.kept = true;
        }
        drop(state);
        if let Some(waiter) = first {
            waiter.wake();
        }
    }

    /// Wakes all that wait now: every [`Notified`] that exists, awaited yet or not. Later
    /// ones wait for the next notification, also those of tasks that this call wakes.
    pub fn notify_waiters(&self) {
        let mut state = self.state.borrow_mut();
        state.rounds += 1;
        let mark = state.waiting.mark();
        drop(state);
        // A waker may do anything, also line up somebody new or let somebody leave.
        let next = || {
            let mut state = self.state.borrow_mut();
            state.waiting.grant_first_before(mark, Notification::All)
        };
        while let Some(waiter) = next() {
            // One that panics must not keep the others from hearing of it.
            waiter.wake_quietly();
        }
    }

    /// Waits for a notification.
    ///
    /// Takes part in [`notify_waiters`](Notify::notify_waiters) from this call on, in
    /// [`notify_one`](Notify::notify_one) from its first poll on.
    ///
    /// # Cancellation
    ///
    /// Dropping the future gives up its place in line. A notification of `notify_one` that
    /// it had been given passes to the next in line, or is kept.
    pub fn notified(&self) -> Notified<'_> {
        Notified {
            notify: self,
            round: self.state.borrow().rounds,
            entry: None,
            done: false,
        }
    }
}

impl Default for Notify {
    fn default() -> Notify {
        Notify::new()
    }
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if this.done {
            return Poll::Ready(());
        }
        let round = this.round;
        let is_ready = |state: &State, granted: Option<Notification>, _| {
            granted.is_some() || state.rounds != round || state.kept
        };
        let cell = &this.notify.state;
        let polled = poll_wait(
            cell,
            |state| &mut state.waiting,
            &mut this.entry,
            cx,
            is_ready,
        );
        let Poll::Ready(granted) = polled else {
            return Poll::Pending;
        };
        this.done = true;
        let mut state = cell.borrow_mut();
        if granted.is_none() && state.rounds == round {
            state.kept = false;
        }
        Poll::Ready(())
    }
}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        let Some(entry) = self.entry.take() else {
            return;
        };
        let removed = self.notify.state.borrow_mut().waiting.remove(entry);
        if let Removed::Granted(Notification::One) = removed {
            self.notify.notify_one();
        }
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.borrow();
        f.debug_struct("Notify")
            .field("waiting", &!state.waiting.is_empty())
            .field("kept", &state.kept)
            .finish()
    }
}

impl fmt::Debug for Notified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notified")
            .field("done", &self.done)
            .finish()
    }
}
