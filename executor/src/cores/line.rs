//! [`Line`]: futures that wait for something, in the order of their arrival, each on whatever core it is.
//!
//! What a line belongs to is locked for a moment to join it, to leave it, or to call somebody out of it. No waker is cloned,
//! dropped or woken meanwhile: it is handed in, or out.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::PoisonError;
use std::task::{Context, Poll, Waker, ready};

use super::quietly;
use crate::primitives::{Mutex, MutexGuard};
use crate::task::budget;

/// Who waits. Each is known by its ticket, from when it joins until it has left or was called.
pub(super) struct Line {
    // A tree and not a queue: who leaves from the middle leaves no gap, however long the first one waits.
    waiting: BTreeMap<Ticket, Waker>,
    arrivals: u64,
}

/// A place in line: the smaller, the earlier.
pub(super) type Ticket = u64;

/// What [`Line::stand`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    InLine,
    NeedsWaker,
    /// Out of the line.
    Called,
}

impl Line {
    pub(super) fn new() -> Line {
        Line {
            waiting: BTreeMap::new(),
            arrivals: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// To the end of the line; with a ticket, to the place that this had.
    pub(super) fn join(&mut self, ticket: Option<Ticket>, waker: Waker) -> Ticket {
        let ticket = ticket.unwrap_or_else(|| {
            self.arrivals += 1;
            self.arrivals
        });
        let before = self.waiting.insert(ticket, waker);
        debug_assert!(before.is_none(), "nobody is in line twice");
        ticket
    }

    /// Whether this one is still in line. If its waker is another than that of `cx`, that is exchanged for `fresh`, a clone of
    /// the latter; if there is none, make one while nothing is locked, and ask again.
    pub(super) fn stand(
        &mut self,
        ticket: Ticket,
        cx: &Context<'_>,
        fresh: &mut Option<Waker>,
    ) -> Standing {
        let Some(own) = self.waiting.get_mut(&ticket) else {
            return Standing::Called;
        };
        if own.will_wake(cx.waker()) {
            return Standing::InLine;
        }
        match fresh {
            Some(fresh) => std::mem::swap(own, fresh),
            None => return Standing::NeedsWaker,
        }
        Standing::InLine
    }

    /// `None`: it had been called.
    pub(super) fn leave(&mut self, ticket: Ticket) -> Option<Waker> {
        self.waiting.remove(&ticket)
    }

    /// Calls the first one out of the line, to be woken when nothing is locked.
    pub(super) fn call_first(&mut self) -> Option<Waker> {
        self.waiting.pop_first().map(|(_, waker)| waker)
    }

    fn call_first_until(&mut self, last: Ticket) -> Option<Waker> {
        let first = self.waiting.first_entry()?;
        (*first.key() <= last).then(|| first.remove())
    }
}

/// Locks what is never left half changed: no code of the user runs while it is locked.
pub(super) fn lock<S>(mutex: &Mutex<S>) -> MutexGuard<'_, S> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Unlocks `state`, which is what `mutex` holds and has just been changed, and wakes all who were in line when that happened. Who joins
/// afterwards has seen the change already and waits for the next one: to call it, too, would be to tell it of what it knows.
pub(super) fn wake_all<S>(
    mutex: &Mutex<S>,
    mut state: MutexGuard<'_, S>,
    line: fn(&mut S) -> &mut Line,
) {
    let last = line(&mut state).arrivals;
    drop(state);
    let next = || line(&mut lock(mutex)).call_first_until(last);
    while let Some(waker) = next() {
        // A waker that panics must not keep the others from hearing of it.
        quietly(|| waker.wake());
    }
}

/// Waits in the line that `line` finds behind `mutex` until `is_ready`, or until it was called out of the line: for what is
/// told to everybody. Dropping it leaves the line.
pub(super) async fn wait_until<S>(
    mutex: &Mutex<S>,
    line: fn(&mut S) -> &mut Line,
    is_ready: impl Fn(&S) -> bool,
) {
    let mut waiting = Waiting {
        mutex,
        line,
        ticket: None,
    };
    poll_fn(|cx| waiting.poll(cx, &is_ready)).await;
}

struct Waiting<'a, S> {
    mutex: &'a Mutex<S>,
    line: fn(&mut S) -> &mut Line,
    ticket: Option<Ticket>,
}

impl<S> Waiting<'_, S> {
    fn poll(&mut self, cx: &mut Context<'_>, is_ready: &impl Fn(&S) -> bool) -> Poll<()> {
        // Declared before the lock, so that what it holds in the end is dropped after it.
        let mut fresh = None;
        loop {
            let mut state = lock(self.mutex);
            let standing = match self.ticket {
                Some(ticket) => (self.line)(&mut state).stand(ticket, cx, &mut fresh),
                None => Standing::NeedsWaker,
            };
            if standing == Standing::Called || is_ready(&state) {
                drop(state);
                ready!(budget::consume(cx));
                self.leave();
                return Poll::Ready(());
            }
            if standing == Standing::InLine {
                return Poll::Pending;
            }
            if self.ticket.is_none()
                && let Some(waker) = fresh.take()
            {
                self.ticket = Some((self.line)(&mut state).join(None, waker));
                return Poll::Pending;
            }
            drop(state);
            fresh = Some(cx.waker().clone());
        }
    }

    fn leave(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let waker = (self.line)(&mut lock(self.mutex)).leave(ticket);
            drop(waker);
        }
    }
}

impl<S> Drop for Waiting<'_, S> {
    fn drop(&mut self) {
        self.leave();
    }
}
