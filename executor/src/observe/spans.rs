//! Spans of tasks and events of operations, for subscribers of `tracing` that want the level `TRACE`. Where nobody does, each costs a
//! look at one number.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::Location;

use tracing::Span;
use tracing::level_filters::{LevelFilter, STATIC_MAX_LEVEL};

use super::OperationKind;

/// Whether somebody may want to hear of tasks and operations.
#[inline(always)]
pub(crate) fn is_traced() -> bool {
    STATIC_MAX_LEVEL >= LevelFilter::TRACE && LevelFilter::current() >= LevelFilter::TRACE
}

/// The span of a task that was spawned at `place`; `None` if nobody wants it. Runs code of the user.
#[cold]
pub(crate) fn span_of_task(place: &'static Location<'static>) -> Option<Span> {
    let span = tracing::trace_span!(
        target: "krug::task",
        "task",
        kind = "task",
        loc.file = place.file(),
        loc.line = place.line(),
        loc.col = place.column(),
    );
    (!span.is_disabled()).then_some(span)
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
pub(crate) struct Spans(RefCell<BTreeMap<usize, Span>>);

impl Spans {
    pub(crate) fn put(&self, task: usize, span: Span) {
        let before = self.0.borrow_mut().insert(task, span);
        debug_assert!(before.is_none(), "a task has one span");
    }

    pub(crate) fn take(&self, task: usize) -> Option<Span> {
        self.0.borrow_mut().remove(&task)
    }
}
