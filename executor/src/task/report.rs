//! What the tasks of a core are doing, for a dump.

use super::header::{ABORTED, COMPLETE, RUNNING, RawTask, SCHEDULED};
use super::queue::TaskList;
use crate::observe::{TaskEntry, TaskState, Times};

/// Every task that has not ended, the youngest first. Runs no code of the user.
pub(crate) fn report(tasks: &TaskList, times: &Times) -> Vec<TaskEntry> {
    let mut entries = Vec::new();
    let mut next = tasks.first();
    while let Some(task) = next {
        entries.extend(state(task).map(|state| TaskEntry {
            spawned_at: task.spawned_at,
            age: times.since_tick(task.spawned.get()),
            state,
            polls: task.polls.get(),
        }));
        next = task.list_next.get();
    }
    entries
}

/// `None`: it has ended, or is a main task.
fn state(task: RawTask) -> Option<TaskState> {
    if task.is_main() || task.has(COMPLETE) {
        return None;
    }
    Some(if task.has(RUNNING) {
        TaskState::Running
    } else if task.has(ABORTED) {
        TaskState::Aborted
    } else if task.has(SCHEDULED) {
        TaskState::Ready
    } else {
        TaskState::Waiting
    })
}
