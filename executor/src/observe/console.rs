//! What tokio-console reads: spans and events under the names that its subscriber looks for.
//!
//! A task is a span `runtime.spawn`, a waker's life is events that name the task's span, a source or timer is a span
//! `runtime.resource`, and an operation of it a span `runtime.resource.async_op`, entered in each poll.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use tracing::Span;

/// The span of a task that was spawned at `place`. Runs code of the user, as all functions here.
pub(super) fn span_of_task(place: &'static Location<'static>) -> Span {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    tracing::trace_span!(
        target: "tokio::task",
        parent: None,
        "runtime.spawn",
        kind = "task",
        task.name = "",
        task.id = NUMBER.fetch_add(1, Ordering::Relaxed),
        loc.file = place.file(),
        loc.line = place.line(),
        loc.col = place.column(),
    )
}

/// Something was done with a waker of the task that has this span.
#[cold]
pub(crate) fn waker(op: &'static str, task: u64) {
    tracing::trace!(target: "tokio::task::waker", op, task.id = task);
}

/// What a source, or a timer, is called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resource {
    /// The type that users know it by.
    pub(crate) concrete_type: &'static str,
    pub(crate) kind: &'static str,
}

impl Resource {
    fn span(self) -> Span {
        let Resource {
            concrete_type,
            kind,
        } = self;
        tracing::trace_span!(
            target: "krug::resource",
            parent: None,
            "runtime.resource",
            concrete_type,
            kind,
            is_internal = false,
            inherits_child_attrs = false,
        )
    }
}

/// An operation of a resource that futures wait for.
#[derive(Clone, Debug)]
pub(crate) struct AsyncOperation {
    resource: Span,
    operation: Span,
    poll: Span,
    name: &'static str,
}

impl AsyncOperation {
    /// Of a resource that nobody else has.
    pub(crate) fn alone(resource: Resource, name: &'static str) -> AsyncOperation {
        AsyncOperation::of(resource.span(), name)
    }

    fn of(resource: Span, name: &'static str) -> AsyncOperation {
        let operation = resource.in_scope(|| {
            tracing::trace_span!(
                target: "krug::resource",
                "runtime.resource.async_op",
                source = name,
                inherits_child_attrs = false,
            )
        });
        let poll = operation.in_scope(
            || tracing::trace_span!(target: "krug::resource", "runtime.resource.async_op.poll"),
        );
        AsyncOperation {
            resource,
            operation,
            poll,
            name,
        }
    }

    /// Polls inside of its spans, and tells what came of it.
    pub(crate) fn poll<T>(&self, poll: impl FnOnce() -> Poll<T>) -> Poll<T> {
        let _resource = self.resource.enter();
        let _operation = self.operation.enter();
        let _poll = self.poll.enter();
        let polled = poll();
        tracing::trace!(
            target: "runtime::resource::poll_op",
            op_name = self.name,
            is_ready = polled.is_ready(),
        );
        polled
    }
}

/// The place and the generation of something in its table.
pub(crate) type Name = (u32, u32);

/// What is told of one core's sources and operations.
#[derive(Debug, Default)]
pub(crate) struct Console {
    resources: RefCell<BTreeMap<Name, Span>>,
    operations: RefCell<BTreeMap<Name, AsyncOperation>>,
}

impl Console {
    pub(crate) fn add_resource(&self, source: Name, resource: Resource) {
        let span = resource.span();
        let before = self.resources.borrow_mut().insert(source, span);
        debug_assert!(before.is_none(), "a source has one span");
    }

    pub(crate) fn remove_resource(&self, source: Name) {
        let removed = self.resources.borrow_mut().remove(&source);
        drop(removed);
    }

    /// An operation was started for this source, or for none.
    pub(crate) fn begin(&self, operation: Name, source: Option<Name>, name: &'static str) {
        let known = source.and_then(|source| self.resources.borrow().get(&source).cloned());
        let told = match known {
            Some(resource) => AsyncOperation::of(resource, name),
            None => AsyncOperation::alone(
                Resource {
                    concrete_type: "Operation",
                    kind: "operation",
                },
                name,
            ),
        };
        let before = self.operations.borrow_mut().insert(operation, told);
        debug_assert!(before.is_none(), "an operation has one span");
    }

    pub(crate) fn operation(&self, operation: Name) -> Option<AsyncOperation> {
        self.operations.borrow().get(&operation).cloned()
    }

    pub(crate) fn end(&self, operation: Name) {
        let removed = self.operations.borrow_mut().remove(&operation);
        drop(removed);
    }
}
