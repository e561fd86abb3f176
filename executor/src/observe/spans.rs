//! Spans of tasks and events of operations, for subscribers of `tracing` that want the level `TRACE`. Where nobody does, each costs a
//! look at one number.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::Location;

use tracing::Span;
use tracing::level_filters::{LevelFilter, STATIC_MAX_LEVEL};
use tracing::span::Entered;

use super::OperationKind;
#[cfg(feature = "console")]
use super::console;

/// Whether somebody may want to hear of tasks and operations.
#[inline(always)]
pub(crate) fn is_traced() -> bool {
    STATIC_MAX_LEVEL >= LevelFilter::TRACE && LevelFilter::current() >= LevelFilter::TRACE
}

/// How many spans a task has.
const SPANS: usize = if cfg!(feature = "console") { 2 } else { 1 };

/// The spans of a task.
#[derive(Debug)]
pub(crate) struct TaskSpans([Span; SPANS]);

/// While it lives, spans are entered.
pub(crate) type EnteredSpans<'a> = [Entered<'a>; SPANS];

impl TaskSpans {
    /// Those of a task that was spawned at `place`; `None` if nobody wants any. Runs code of the user, as the next one.
    #[cold]
    pub(crate) fn new(place: &'static Location<'static>) -> Option<TaskSpans> {
        let spans = TaskSpans([
            span_of_task(place),
            #[cfg(feature = "console")]
            console::span_of_task(place),
        ]);
        let is_wanted = !spans.0.iter().all(Span::is_disabled);
        is_wanted.then_some(spans)
    }

    pub(crate) fn enter(&self) -> EnteredSpans<'_> {
        self.0.each_ref().map(Span::enter)
    }

    /// The number of the one that tokio-console reads; 0: it is not wanted.
    #[cfg(feature = "console")]
    pub(crate) fn console_id(&self) -> u64 {
        self.0[1].id().map_or(0, |id| id.into_u64())
    }
}

fn span_of_task(place: &'static Location<'static>) -> Span {
    tracing::trace_span!(
        target: "krug::task",
        "task",
        kind = "task",
        loc.file = place.file(),
        loc.line = place.line(),
        loc.col = place.column(),
    )
}

/// An operation was handed to the driver; until its end `slot` is its own. Runs code of the user.
#[cold]
pub(crate) fn operation_begins(kind: OperationKind, slot: u32) {
    tracing::trace!(target: "krug::operation", kind = kind.name(), slot, "begins");
}

/// An operation has come to this result, a count or a negated errno. Runs code of the user.
#[cold]
pub(crate) fn operation_completes(kind: OperationKind, slot: u32, result: i32, more: bool) {
    tracing::trace!(target: "krug::operation", kind = kind.name(), slot, result, more, "completes");
}

/// The spans of those tasks of a core that have one, by their addresses. Tasks themselves have no room for it.
#[derive(Debug, Default)]
pub(crate) struct Spans(RefCell<BTreeMap<usize, TaskSpans>>);

impl Spans {
    pub(crate) fn put(&self, task: usize, spans: TaskSpans) {
        let before = self.0.borrow_mut().insert(task, spans);
        debug_assert!(before.is_none(), "a task has its spans once");
    }

    pub(crate) fn take(&self, task: usize) -> Option<TaskSpans> {
        self.0.borrow_mut().remove(&task)
    }
}
