//! [`State`]: one word that says who has a stealable task's future, and what is to become of it.
//!
//! | bit | meaning | set by | cleared by |
//! |---|---|---|---|
//! | `QUEUED` | a reference to the task is in a queue, or, while `RUNNING`, will be put there by who runs it | whoever wakes or aborts it | who begins to run it |
//! | `RUNNING` | one thread has the future | who took the task from a queue, or ends its core | the same, unless the task is done |
//! | `ABORTED` | the future is to be dropped instead of polled | the handle, or the end of the core that spawned it | |
//! | `DONE` | the future is gone, and the output is there | who had `RUNNING`, which stays set | |
//! | `DETACHED` | the handle is gone | the handle | |
//!
//! All changes are read-modify-writes. Whoever turns `QUEUED` on where neither `QUEUED` nor `RUNNING` was set pushes the task, so it is in a queue at
//! most once, but for one that the end of a core has taken away: what is found in a queue then is done, and is passed over.

use crate::primitives::{AtomicU32, Ordering};

const QUEUED: u32 = 1;
const RUNNING: u32 = 2;
const ABORTED: u32 = 4;
const DONE: u32 = 8;
const DETACHED: u32 = 16;

pub(super) struct State(AtomicU32);

/// What is to be done with a task that was taken from a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    Poll,
    Cancel,
    /// It is another one's.
    Nothing,
}

/// What is to be done after a poll that was pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paused {
    /// The future is no longer ours; whoever wakes the task pushes it.
    Sleeping,
    /// The same, but it was woken meanwhile and is to be pushed.
    Woken,
    /// The future is still ours, and is to be dropped.
    Aborted,
}

impl State {
    /// Of a task that is about to be pushed.
    pub(super) fn queued() -> State {
        State(AtomicU32::new(QUEUED))
    }

    /// True if the caller has to push the task.
    #[must_use]
    pub(super) fn wake(&self) -> bool {
        self.queue_with(0)
    }

    /// True if the caller has to push the task, so that a core drops its future.
    #[must_use]
    pub(super) fn abort(&self) -> bool {
        self.queue_with(ABORTED)
    }

    #[inline]
    fn queue_with(&self, bits: u32) -> bool {
        // Release: the poll that follows sees what was done before; where nothing is pushed, by reading this word.
        let before = self.0.fetch_or(QUEUED | bits, Ordering::AcqRel);
        before & (QUEUED | RUNNING | DONE) == 0
    }

    /// For a task that was taken from a queue.
    #[inline]
    pub(super) fn begin(&self) -> Begun {
        let begin = |word| {
            let is_free = word & (RUNNING | DONE) == 0;
            is_free.then_some((word & !QUEUED) | RUNNING)
        };
        match self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, begin)
        {
            Ok(before) => match before & ABORTED {
                0 => Begun::Poll,
                _ => Begun::Cancel,
            },
            Err(_) => Begun::Nothing,
        }
    }

    /// For who has the future and has found it pending.
    #[inline]
    pub(super) fn pause(&self) -> Paused {
        let pause = |word| (word & ABORTED == 0).then_some(word & !RUNNING);
        match self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, pause)
        {
            Ok(before) => match before & QUEUED {
                0 => Paused::Sleeping,
                _ => Paused::Woken,
            },
            Err(_) => Paused::Aborted,
        }
    }

    /// For the end of the core that spawned it. True if the future is the caller's, to be dropped; else it is gone, or whoever has it
    /// drops it after this poll.
    #[must_use]
    pub(super) fn claim(&self) -> bool {
        let claim = |word| match word & (RUNNING | DONE) {
            0 => word | RUNNING | ABORTED,
            _ => word | ABORTED,
        };
        let before = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| {
                Some(claim(word))
            });
        before.is_ok_and(|before| before & (RUNNING | DONE) == 0)
    }

    /// The output is in its place. True if the handle has gone, and it is still the caller's.
    #[must_use]
    pub(super) fn finish(&self) -> bool {
        self.0.fetch_or(DONE, Ordering::AcqRel) & DETACHED != 0
    }

    /// The handle goes. True if the output is there, and the caller's.
    #[must_use]
    pub(super) fn detach(&self) -> bool {
        self.0.fetch_or(DETACHED, Ordering::AcqRel) & DONE != 0
    }

    pub(super) fn is_done(&self) -> bool {
        self.0.load(Ordering::Acquire) & DONE != 0
    }
}
