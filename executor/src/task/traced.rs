//! Tasks that have spans of `tracing`: they are entered for each poll, and dropped when the task has ended.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::header::{RawTask, TRACED};
use super::here;
use crate::cores::{discard, quietly};
use crate::observe::TaskSpans;
#[cfg(feature = "console")]
use crate::primitives::Ordering;
use crate::scheduler::Scheduler;

/// Gives a new task its spans, if somebody wants that. Runs code of the user.
#[cold]
pub(super) fn begin(scheduler: &Scheduler, task: RawTask) {
    let mut spans = None;
    quietly(|| spans = TaskSpans::new(task.spawned_at));
    if let Some(spans) = spans {
        #[cfg(feature = "console")]
        task.console.store(spans.console_id(), Ordering::Relaxed);
        scheduler.spans().put(key(task), spans);
        task.set(TRACED);
    }
}

/// Polls the task, or drops its future, inside its spans. True, as from `step`: it is complete.
#[cold]
pub(super) fn step(task: RawTask, step: impl FnOnce() -> bool) -> bool {
    let spans = here::with(|scheduler| scheduler.spans().take(key(task))).flatten();
    let Some(spans) = spans else {
        return step();
    };
    let complete = inside(&spans, step);
    if complete {
        quietly(|| drop(spans));
    } else {
        here::with(|scheduler| scheduler.spans().put(key(task), spans));
    }
    complete
}

fn inside(spans: &TaskSpans, step: impl FnOnce() -> bool) -> bool {
    let entered = catch_unwind(AssertUnwindSafe(|| spans.enter()));
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

/// Whether somebody is told of what is done with wakers, by code of the user.
#[inline(always)]
pub(super) fn tells_of_wakers() -> bool {
    cfg!(feature = "console") && crate::observe::is_traced()
}

/// Tells what is done with a waker of the task. Anywhere; runs code of the user.
#[cfg(feature = "console")]
#[inline]
pub(super) fn tell_waker(task: RawTask, op: &'static str) {
    if crate::observe::is_traced() {
        // Relaxed: it was set before the first waker was made, and what brought that here brought it, too.
        match task.console.load(Ordering::Relaxed) {
            0 => {}
            span => quietly(|| crate::observe::waker(op, span)),
        }
    }
}

#[cfg(not(feature = "console"))]
#[inline(always)]
pub(super) fn tell_waker(_: RawTask, _: &'static str) {}
