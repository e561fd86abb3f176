//! Tasks that have a span of `tracing`: it is entered for each poll, and dropped when the task has ended.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tracing::Span;

use super::header::{RawTask, TRACED};
use super::here;
use crate::cores::{discard, quietly};
use crate::observe;
use crate::scheduler::Scheduler;

/// Gives a new task its span, if somebody wants that. Runs code of the user.
#[cold]
pub(super) fn begin(scheduler: &Scheduler, task: RawTask) {
    let mut span = None;
    quietly(|| span = observe::span_of_task(task.spawned_at));
    if let Some(span) = span {
        scheduler.spans().put(key(task), span);
        task.set(TRACED);
    }
}

/// Polls the task, or drops its future, inside its span. True, as from `step`: it is complete.
#[cold]
pub(super) fn step(task: RawTask, step: impl FnOnce() -> bool) -> bool {
    let span = here::with(|scheduler| scheduler.spans().take(key(task))).flatten();
    let Some(span) = span else {
        return step();
    };
    let complete = inside(&span, step);
    if complete {
        quietly(|| drop(span));
    } else {
        here::with(|scheduler| scheduler.spans().put(key(task), span));
    }
    complete
}

fn inside(span: &Span, step: impl FnOnce() -> bool) -> bool {
    let entered = catch_unwind(AssertUnwindSafe(|| span.enter()));
    let complete = step();
    match entered {
        Ok(entered) => quietly(|| drop(entered)),
        Err(payload) => discard(payload),
    }
    complete
}

fn key(task: RawTask) -> usize {
    task.as_ptr().addr().get()
}
