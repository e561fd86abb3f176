//! [`MainTask`]: lets a future that is not a task be woken like one.

use std::panic::Location;
use std::rc::Rc;
use std::task::Waker;

use super::header::{COMPLETE, RUNNING, RawTask, SCHEDULED};
use super::here::Entered;
use super::raw::{Birth, Task};
use super::remote::{MERGED, Word};
use super::waker;
use crate::scheduler::Scheduler;

/// A task without a future, for `block_on`: it is always "running", so no queue ever sees
/// it; being woken only sets its mark.
#[derive(Debug)]
pub(crate) struct MainTask {
    /// Counted: where other tasks have their scheduler's reference, this one has ours.
    task: RawTask,
    scheduler: Rc<Scheduler>,
}

impl MainTask {
    #[track_caller]
    pub(crate) fn new(scheduler: Rc<Scheduler>) -> MainTask {
        let (count, word) = if scheduler.is_dead() {
            (0, Word::new(MERGED, 1))
        } else {
            (1, Word::new(0, 0))
        };
        let birth = Birth {
            blocks: Some(scheduler.blocks()),
            home: scheduler.id(),
            spawned_at: Location::caller(),
            count,
            word,
        };
        let task = Task::allocate(std::future::pending::<()>(), birth);
        task.set(RUNNING | SCHEDULED);
        if !scheduler.is_dead() {
            scheduler.tasks().insert(task);
        }
        MainTask { task, scheduler }
    }

    /// Where `block_on` was called.
    pub(crate) fn spawned_at(&self) -> &'static Location<'static> {
        self.task.spawned_at
    }

    /// May be kept for ever and used on any thread.
    pub(crate) fn waker(&self) -> Waker {
        waker::retain(self.task);
        waker::waker(self.task)
    }

    /// True if it was woken since it was last asked, and at first: then the future is to be polled.
    pub(crate) fn take_notified(&self) -> bool {
        let notified = self.is_notified();
        self.task.clear(SCHEDULED);
        notified
    }

    /// As `take_notified`, but the mark stays.
    pub(crate) fn is_notified(&self) -> bool {
        self.task.has(SCHEDULED)
    }
}

impl Drop for MainTask {
    fn drop(&mut self) {
        let _entered = Entered::borrowing(&self.scheduler);
        self.task.clear(RUNNING | SCHEDULED);
        self.task.set(COMPLETE);
        waker::release(self.task);
    }
}
