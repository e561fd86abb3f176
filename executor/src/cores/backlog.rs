//! [`Backlog`]: how many tasks were sent to a core that it has not taken in yet, and who waits until they are fewer.
//!
//! One word holds both the count and whether anybody waits, so they cannot miss each other: who joins the line
//! sets [`WAITED_FOR`], and sees in the same moment all places that were given back before; who gives places back
//! later sees that somebody waits. Who is called out of the line takes a place or, when dropped, calls the next one.

use std::future::poll_fn;
use std::task::{Context, Poll};

use super::line::{Line, Standing, Ticket, lock};
use super::{CoreId, quietly};
use crate::primitives::{AtomicU32, Mutex, Ordering};

/// How many tasks may be on their way to a core, unless set.
pub(crate) const SPAWN_BACKLOG_DEFAULT: u32 = 4096;

/// Somebody is in line. Changed only while that is locked.
const WAITED_FOR: u32 = 1;
/// A place that is taken.
const TAKEN: u32 = 2;
/// What can be counted.
pub(crate) const SPAWN_BACKLOG_MAX: u32 = u32::MAX / TAKEN / 2;

/// See the [module docs](self).
pub(crate) struct Backlog {
    word: AtomicU32,
    bound: AtomicU32,
    line: Mutex<Line>,
}

impl Backlog {
    pub(super) fn new() -> Backlog {
        Backlog {
            word: AtomicU32::new(0),
            bound: AtomicU32::new(SPAWN_BACKLOG_DEFAULT),
            line: Mutex::new(Line::new()),
        }
    }

    pub(super) fn set_bound(&self, bound: u32) {
        self.bound.store(bound, Ordering::Relaxed);
    }

    fn room_beside(&self, word: u32) -> u32 {
        // Tasks that were sent to an earlier life with a larger bound may still be counted.
        self.bound
            .load(Ordering::Relaxed)
            .saturating_sub(word / TAKEN)
    }

    /// Takes a place if there is one; `respects_line`: and if nobody waits for it. What the task is, goes by the
    /// inbox: the count orders nothing.
    fn take_place(&self, respects_line: bool) -> bool {
        let taken = |word| {
            let is_free = self.room_beside(word) > 0 && !(respects_line && word & WAITED_FOR != 0);
            is_free.then_some(word + TAKEN)
        };
        self.word
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken)
            .is_ok()
    }

    /// So many tasks were taken in, or will not come.
    pub(crate) fn give_back(&self, places: u32) {
        let before = self.word.fetch_sub(places * TAKEN, Ordering::Relaxed);
        debug_assert!(before / TAKEN >= places, "a place was given back twice");
        if before & WAITED_FOR != 0 {
            self.serve();
        }
    }

    /// Calls as many as there is room for. Who finds none after all goes back to its place in line.
    #[cold]
    fn serve(&self) {
        for _ in 0..self.room_beside(self.word.load(Ordering::Relaxed)) {
            let Some(waker) = self.change_line(Line::call_first) else {
                break;
            };
            quietly(|| waker.wake());
        }
    }

    /// Nobody is to wait for a core that has ended.
    pub(super) fn close(&self) {
        while let Some(waker) = self.change_line(Line::call_first) {
            quietly(|| waker.wake());
        }
    }

    fn change_line<R>(&self, change: impl FnOnce(&mut Line) -> R) -> R {
        let mut line = lock(&self.line);
        let result = change(&mut line);
        if line.is_empty() {
            self.word.fetch_and(!WAITED_FOR, Ordering::Relaxed);
        } else {
            self.word.fetch_or(WAITED_FOR, Ordering::Relaxed);
        }
        result
    }
}

impl CoreId {
    /// A place for one task, unless the core has none free. Does not ask whether the core has ended.
    pub(crate) fn try_place(self) -> Option<BacklogPlace> {
        let has_room = self.mailbox().backlog().take_place(false);
        has_room.then(|| BacklogPlace { core: self })
    }

    /// Waits for a place for one task; first come, first served, but for those who do not wait. `None` if the core has ended,
    /// before or meanwhile. Dropping the future passes on what it was called for.
    pub(crate) async fn place(self) -> Option<BacklogPlace> {
        let mut waiting = Waiting {
            core: self,
            ticket: None,
        };
        poll_fn(|cx| waiting.poll(cx)).await
    }
}

/// A task that is on its way to this core is counted, until the core takes it in. Dropping this gives the place back.
#[derive(Debug)]
#[must_use]
pub(crate) struct BacklogPlace {
    core: CoreId,
}

impl BacklogPlace {
    pub(crate) fn core(&self) -> CoreId {
        self.core
    }

    /// The task was sent: whoever opens its message gives the place back.
    pub(crate) fn leave_taken(self) {
        std::mem::forget(self);
    }
}

impl Drop for BacklogPlace {
    fn drop(&mut self) {
        self.core.mailbox().backlog().give_back(1);
    }
}

struct Waiting {
    core: CoreId,
    /// From when it first joined the line until it has got its place.
    ticket: Option<Ticket>,
}

impl Waiting {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<BacklogPlace>> {
        let backlog = self.core.mailbox().backlog();
        loop {
            // Asked after joining, so it sees an end that did not see it.
            if !self.core.is_alive() {
                return Poll::Ready(None);
            }
            if self.stays_in_line(cx) {
                return Poll::Pending;
            }
            if backlog.take_place(self.ticket.is_none()) {
                self.ticket = None;
                return Poll::Ready(Some(BacklogPlace { core: self.core }));
            }
            let waker = cx.waker().clone();
            self.ticket = Some(backlog.change_line(|line| line.join(self.ticket, waker)));
            // A place may have been given back before anybody was known to wait.
            backlog.serve();
        }
    }

    /// True if it is in line and was not called yet.
    fn stays_in_line(&self, cx: &Context<'_>) -> bool {
        let Some(ticket) = self.ticket else {
            return false;
        };
        // Declared before the lock, so that what it holds in the end is dropped after it.
        let mut fresh = None;
        loop {
            let mut line = lock(&self.core.mailbox().backlog().line);
            match line.stand(ticket, cx, &mut fresh) {
                Standing::InLine => return true,
                Standing::Called => return false,
                Standing::NeedsWaker => {}
            }
            drop(line);
            fresh = Some(cx.waker().clone());
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else {
            return;
        };
        let backlog = self.core.mailbox().backlog();
        match backlog.change_line(|line| line.leave(ticket)) {
            Some(waker) => drop(waker),
            // It had been called: what it was called for is another one's.
            None => backlog.serve(),
        }
    }
}
