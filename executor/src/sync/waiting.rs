//! How futures wait: alone in a slot ([`poll_wait_alone`]), or in a [`WaitQueue`] in the
//! order of their arrival ([`poll_wait`]).
//!
//! In both, nothing is borrowed while a waker is cloned, dropped or woken, and as these may
//! do anything, the state is looked at again afterwards.

use std::cell::RefCell;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use slab::Slab;

use super::{Waiter, budget};

/// A queue of waiting futures. Each owns its entry, from [`poll_wait`] until it has
/// collected what it was granted or [`remove`](WaitQueue::remove)d the entry; so a grant
/// to a future that is then dropped is seen, and can be passed on.
///
/// Entries are linked by their indexes: leaving from the middle moves nobody, and no
/// entry is allocated once the queue has been as long as now.
///
/// `G` is what is granted, `R` what a future in line asks for.
pub(super) struct WaitQueue<G, R = ()> {
    entries: Slab<Entry<G, R>>,
    first: usize,
    last: usize,
    /// How many have ever lined up.
    arrivals: u64,
}

struct Entry<G, R> {
    state: State<G>,
    request: R,
    arrival: u64,
    previous: usize,
    next: usize,
}

enum State<G> {
    /// In line.
    Waiting(Waiter),
    /// Out of line, and not yet collected.
    Granted(G),
}

/// What was in an entry that its owner gave up.
pub(super) enum Removed<G> {
    /// To be dropped when nothing is borrowed.
    Waiting(#[expect(dead_code, reason = "held to be dropped later")] Waiter),
    /// To be passed on.
    Granted(G),
}

const NONE: usize = usize::MAX;

impl<G: Copy, R: Copy> WaitQueue<G, R> {
    pub(super) const fn new() -> WaitQueue<G, R> {
        WaitQueue {
            entries: Slab::new(),
            first: NONE,
            last: NONE,
            arrivals: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first == NONE
    }

    /// What the first in line asks for.
    pub(super) fn first_request(&self) -> Option<R> {
        self.entries.get(self.first).map(|entry| entry.request)
    }

    /// Grants `grant` to the first in line and returns whom to wake when nothing is borrowed.
    #[inline]
    pub(super) fn grant_first(&mut self, grant: G) -> Option<Waiter> {
        if self.is_empty() {
            return None;
        }
        self.grant_first_before(u64::MAX, grant)
    }

    /// A mark between those who are in line and those who come later.
    pub(super) fn mark(&self) -> u64 {
        self.arrivals
    }

    /// Like [`grant_first`](WaitQueue::grant_first), for those who came before the mark.
    pub(super) fn grant_first_before(&mut self, mark: u64, grant: G) -> Option<Waiter> {
        let index = self.first;
        let entry = self.entries.get_mut(index)?;
        if entry.arrival >= mark {
            return None;
        }
        let State::Waiting(waiter) = std::mem::replace(&mut entry.state, State::Granted(grant))
        else {
            unreachable!("who was granted something is not in line");
        };
        self.unlink(index);
        Some(waiter)
    }

    /// What the owner of the entry was granted.
    pub(super) fn granted(&self, index: usize) -> Option<G> {
        match self.entries[index].state {
            State::Waiting(_) => None,
            State::Granted(grant) => Some(grant),
        }
    }

    /// Takes the entry out, in line or not.
    #[must_use]
    pub(super) fn remove(&mut self, index: usize) -> Removed<G> {
        if let State::Waiting(_) = self.entries[index].state {
            self.unlink(index);
        }
        match self.entries.remove(index).state {
            State::Waiting(waiter) => Removed::Waiting(waiter),
            State::Granted(grant) => Removed::Granted(grant),
        }
    }

    fn is_waiting_for(&self, index: usize, cx: &Context<'_>) -> bool {
        matches!(&self.entries[index].state, State::Waiting(waiter) if waiter.is_for(cx))
    }

    /// Goes to the end of the line.
    fn push(&mut self, waiter: Waiter, request: R) -> usize {
        let index = self.entries.insert(Entry {
            state: State::Waiting(waiter),
            request,
            arrival: self.arrivals,
            previous: self.last,
            next: NONE,
        });
        match self.last {
            NONE => self.first = index,
            last => self.entries[last].next = index,
        }
        self.last = index;
        self.arrivals += 1;
        index
    }

    /// Keeps its place in line, but wakes somebody else from now on.
    fn replace(&mut self, index: usize, waiter: &mut Option<Waiter>) {
        if let (State::Waiting(old), Some(new)) = (&mut self.entries[index].state, waiter) {
            std::mem::swap(old, new);
        }
    }

    fn unlink(&mut self, index: usize) {
        let Entry { previous, next, .. } = self.entries[index];
        match previous {
            NONE => self.first = next,
            previous => self.entries[previous].next = next,
        }
        match next {
            NONE => self.last = previous,
            next => self.entries[next].previous = previous,
        }
    }
}

/// One poll of a future that waits in the queue that `queue` finds in `cell`; `index` is
/// the future's entry, if it has one.
///
/// `is_ready` says whether what the future waits for is there, given what it was granted
/// and whether it has an entry. When `Ready` is returned the entry is gone, and the caller
/// takes what it waited for, at once.
#[inline]
pub(super) fn poll_wait<S, G: Copy>(
    cell: &RefCell<S>,
    queue: impl Fn(&mut S) -> &mut WaitQueue<G>,
    index: &mut Option<usize>,
    cx: &mut Context<'_>,
    is_ready: impl Fn(&S, Option<G>, bool) -> bool,
) -> Poll<Option<G>> {
    poll_wait_for(cell, queue, (), index, cx, is_ready)
}

/// [`poll_wait`], for futures that do not all ask for the same.
#[inline]
pub(super) fn poll_wait_for<S, G: Copy, R: Copy>(
    cell: &RefCell<S>,
    queue: impl Fn(&mut S) -> &mut WaitQueue<G, R>,
    request: R,
    index: &mut Option<usize>,
    cx: &mut Context<'_>,
    is_ready: impl Fn(&S, Option<G>, bool) -> bool,
) -> Poll<Option<G>> {
    loop {
        let mut state = cell.borrow_mut();
        let granted = index.and_then(|index| queue(&mut state).granted(index));
        if is_ready(&state, granted, index.is_some()) {
            drop(state);
            ready!(budget::consume(cx));
            if let Some(index) = index.take() {
                let removed = queue(&mut cell.borrow_mut()).remove(index);
                drop(removed);
            }
            return Poll::Ready(granted);
        }
        drop(state);
        if wait(cell, &queue, request, index, cx, &is_ready) {
            return Poll::Pending;
        }
    }
}

/// Sees to it that whoever polls with `cx` is woken; false if there is nothing to wait for
/// any more.
#[inline(never)]
fn wait<S, G: Copy, R: Copy>(
    cell: &RefCell<S>,
    queue: impl Fn(&mut S) -> &mut WaitQueue<G, R>,
    request: R,
    index: &mut Option<usize>,
    cx: &Context<'_>,
    is_ready: impl Fn(&S, Option<G>, bool) -> bool,
) -> bool {
    if index.is_some_and(|index| queue(&mut cell.borrow_mut()).is_waiting_for(index, cx)) {
        return true;
    }
    // Declared before the borrow, so that what it holds in the end is dropped after it.
    let mut fresh = Some(Waiter::new(cx));
    let mut state = cell.borrow_mut();
    let granted = index.and_then(|index| queue(&mut state).granted(index));
    if is_ready(&state, granted, index.is_some()) {
        return false;
    }
    let line = queue(&mut state);
    match *index {
        Some(index) => line.replace(index, &mut fresh),
        None => *index = fresh.take().map(|waiter| line.push(waiter, request)),
    }
    true
}

/// Waits in the line that `queue` finds in `cell` until `is_ready`, or until [`wake_all`]
/// found this in line: for what is told to everybody. Dropping it leaves the line.
pub(super) async fn wait_until<S>(
    cell: &RefCell<S>,
    queue: fn(&mut S) -> &mut WaitQueue<()>,
    is_ready: impl Fn(&S) -> bool,
) {
    struct InLine<'a, S> {
        cell: &'a RefCell<S>,
        queue: fn(&mut S) -> &mut WaitQueue<()>,
        entry: Option<usize>,
    }

    impl<S> Drop for InLine<'_, S> {
        fn drop(&mut self) {
            if let Some(entry) = self.entry.take() {
                let removed = (self.queue)(&mut self.cell.borrow_mut()).remove(entry);
                drop(removed);
            }
        }
    }

    let mut in_line = InLine {
        cell,
        queue,
        entry: None,
    };
    poll_fn(|cx| {
        poll_wait(cell, queue, &mut in_line.entry, cx, |state, granted, _| {
            granted.is_some() || is_ready(state)
        })
    })
    .await;
}

/// Wakes all who are in line now; who lines up while this happens waits for the next time.
pub(super) fn wake_all<S>(cell: &RefCell<S>, queue: fn(&mut S) -> &mut WaitQueue<()>) {
    let mark = queue(&mut cell.borrow_mut()).mark();
    let next = || queue(&mut cell.borrow_mut()).grant_first_before(mark, ());
    while let Some(waiter) = next() {
        // A waker that panics must not keep the others from hearing of it.
        waiter.wake_quietly();
    }
}

/// One poll of the only future that can wait in the slot that `slot` finds in `cell`, for
/// what `is_ready` looks at. When that is there, `take` takes it out.
#[inline]
pub(super) fn poll_wait_alone<S, T>(
    cell: &RefCell<S>,
    slot: impl Fn(&mut S) -> &mut Option<Waiter>,
    cx: &mut Context<'_>,
    is_ready: impl Fn(&S) -> bool,
    take: impl FnOnce(&mut S) -> T,
) -> Poll<T> {
    loop {
        let mut state = cell.borrow_mut();
        if is_ready(&state) {
            if budget::take() {
                return Poll::Ready(take(&mut state));
            }
            drop(state);
            return budget::give_way(cx);
        }
        if waits(slot(&mut state), cx) {
            return Poll::Pending;
        }
        drop(state);
        if wait_alone(cell, &slot, cx, &is_ready) {
            return Poll::Pending;
        }
    }
}

/// True if the slot wakes whoever polls with `cx`, or does so from now on. Runs no code of the user.
#[inline]
fn waits(slot: &mut Option<Waiter>, cx: &Context<'_>) -> bool {
    match slot {
        Some(waiter) => waiter.is_for(cx),
        None => {
            *slot = Waiter::of_task(cx);
            slot.is_some()
        }
    }
}

/// Like [`wait`], for a slot.
#[inline(never)]
fn wait_alone<S>(
    cell: &RefCell<S>,
    slot: impl Fn(&mut S) -> &mut Option<Waiter>,
    cx: &Context<'_>,
    is_ready: impl Fn(&S) -> bool,
) -> bool {
    // Declared before the borrow, so that what it holds in the end is dropped after it.
    let mut fresh = Some(Waiter::new(cx));
    let mut state = cell.borrow_mut();
    if is_ready(&state) {
        return false;
    }
    std::mem::swap(slot(&mut state), &mut fresh);
    true
}
