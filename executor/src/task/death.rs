//! The end of a worker: every task becomes independent of it.

use super::header::{ABORTED, COMPLETE, RUNNING, RawTask, SCHEDULED};
use super::home;
use super::queue::TaskList;
use crate::primitives::yield_now;

/// Marks every task that still has a future, so that its next turn drops it. Runs no code of the user.
pub(crate) fn abort_all(tasks: &TaskList) {
    let mut next = tasks.first();
    while let Some(task) = next {
        home::abort(task);
        next = task.list_next.get();
    }
}

/// Gives the counts of all tasks to their remote words, after which this worker is nothing to
/// them and they are nothing to it. `receive` empties the mailbox.
///
/// A thread that has set `QUEUED` before its task was merged pushes the node in a moment; it
/// is waited for, so that no node comes to a closed mailbox.
pub(crate) fn merge_all(tasks: &TaskList, receive: impl Fn() -> usize) {
    while let Some(task) = tasks.first() {
        end_main_task(task);
        if !home::give_up(task) && receive() == 0 {
            yield_now();
        }
    }
}

/// A main task lasts as long as its `block_on`. When its worker dies it only loses its home.
fn end_main_task(task: RawTask) {
    debug_assert!(task.has(COMPLETE) || task.has(RUNNING));
    task.clear(RUNNING | SCHEDULED | ABORTED);
    task.set(COMPLETE);
}
