//! Intrusive lists of tasks: no allocation, no search. Not `Sync`: of one scheduler only.

use super::header::{COMPLETE, RawTask, SCHEDULED};
use std::cell::Cell;
use std::panic::Location;

/// A task taken out of, or on its way into, a run queue. It is alive: `SCHEDULED` and not
/// `COMPLETE` mean that the scheduler's own reference is still there.
#[derive(Debug)]
#[must_use]
pub(crate) struct Runnable(RawTask);

impl Runnable {
    /// # Safety
    ///
    /// `task` belongs to the scheduler entered on this thread, has just become `SCHEDULED`,
    /// and there is no other `Runnable` for it.
    pub(super) unsafe fn new(task: RawTask) -> Runnable {
        debug_assert!(task.has(SCHEDULED) && !task.has(COMPLETE));
        Runnable(task)
    }

    pub(super) fn task(&self) -> RawTask {
        self.0
    }

    pub(crate) fn spawned_at(&self) -> &'static Location<'static> {
        self.0.spawned_at
    }

    /// Polls the task once, or drops its future if it was aborted.
    #[inline]
    pub(crate) fn run(self) {
        super::home::run(self);
    }
}

/// First in, first out.
#[derive(Debug)]
pub(crate) struct RunQueue {
    head: Cell<Option<RawTask>>,
    tail: Cell<Option<RawTask>>,
    length: Cell<usize>,
}

impl RunQueue {
    pub(crate) fn new() -> RunQueue {
        RunQueue {
            head: Cell::new(None),
            tail: Cell::new(None),
            length: Cell::new(0),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.length.get()
    }

    #[inline]
    pub(crate) fn push(&self, runnable: Runnable) {
        let task = runnable.task();
        task.queue_next.set(None);
        match self.tail.replace(Some(task)) {
            Some(last) => last.queue_next.set(Some(task)),
            None => self.head.set(Some(task)),
        }
        self.length.set(self.length.get() + 1);
    }

    #[inline]
    pub(crate) fn pop(&self) -> Option<Runnable> {
        let task = self.head.get()?;
        let next = task.queue_next.get();
        self.head.set(next);
        if next.is_none() {
            self.tail.set(None);
        }
        self.length.set(self.length.get() - 1);
        Some(Runnable(task))
    }
}

/// Every task that the scheduler has to make independent before it dies.
#[derive(Debug)]
pub(crate) struct TaskList {
    first: Cell<Option<RawTask>>,
}

impl TaskList {
    pub(crate) fn new() -> TaskList {
        TaskList {
            first: Cell::new(None),
        }
    }

    pub(crate) fn first(&self) -> Option<RawTask> {
        self.first.get()
    }

    #[inline]
    pub(super) fn insert(&self, task: RawTask) {
        let next = self.first.replace(Some(task));
        task.list_next.set(next);
        if let Some(next) = next {
            next.list_previous.set(Some(task));
        }
    }

    #[inline]
    pub(super) fn remove(&self, task: RawTask) {
        let next = task.list_next.get();
        let previous = task.list_previous.get();
        if let Some(next) = next {
            next.list_previous.set(previous);
        }
        match previous {
            Some(previous) => previous.list_next.set(next),
            None => self.first.set(next),
        }
    }
}
