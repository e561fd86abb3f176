//! [`Slot`]: one operation at its final address.

use std::cell::{Cell, UnsafeCell};
use std::sync::Arc;

use super::erased::Erased;
use super::foreign::Foreign;
use super::op::Op;
use crate::driver::{Completion, Operation};
use crate::observe::OperationKind;
use crate::task::Waiter;

/// How far an operation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Free,
    /// Handed to the driver; whether it still stages it, the driver knows.
    Submitted,
    /// Handed to the driver once more, after a completion that was not its last: it has begun, also while it is staged.
    SubmittedAgain,
    /// Ended; the result waits for the future.
    Done,
}

impl State {
    pub(super) fn is_with_driver(self) -> bool {
        matches!(self, State::Submitted | State::SubmittedAgain)
    }
}

/// To whom the result belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Future,
    Source,
    Nobody,
}

/// Which source an operation works for, and as what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attachment {
    pub(crate) index: u32,
    pub(crate) generation: u32,
    pub(crate) role: Role,
}

/// What an attached operation does for its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Receive,
    Send,
    Accept,
    /// Reads a file, or asks about it.
    Look,
    /// Changes a file.
    Change,
    Close,
}

/// Who is told of the result: two words.
pub(super) enum Watcher {
    Here(Waiter),
    /// `None`: nobody.
    Elsewhere(Option<Arc<Foreign>>),
}

impl Watcher {
    pub(super) const NOBODY: Watcher = Watcher::Elsewhere(None);
}

pub(super) struct Slot {
    pub(super) generation: Cell<u32>,
    pub(super) state: Cell<State>,
    pub(super) owner: Cell<Owner>,
    pub(super) cancel_asked: Cell<bool>,
    pub(super) kind: Cell<OperationKind>,
    pub(super) attachment: Cell<Option<Attachment>>,
    /// On the clock of [`Times`](crate::observe::Times).
    pub(super) started: Cell<u64>,
    /// Of an operation that is done.
    pub(super) result: Cell<i32>,
    pub(super) watcher: Cell<Watcher>,
    /// `Some` unless free. The kernel may write inside while the state is `Submitted`;
    /// we touch it then only through the functions of [`Erased`], which keep to the operation's
    /// own bookkeeping, and never move it.
    op: UnsafeCell<Option<Erased>>,
}

impl Slot {
    /// The last completion of an operation that is done; the buffers it named were taken over when it came.
    pub(super) fn completion(&self) -> Completion {
        Completion::last(self.result.get())
    }

    pub(super) fn free() -> Slot {
        Slot {
            generation: Cell::new(0),
            state: Cell::new(State::Free),
            owner: Cell::new(Owner::Nobody),
            cancel_asked: Cell::new(false),
            kind: Cell::new(OperationKind::Nop),
            started: Cell::new(0),
            attachment: Cell::new(None),
            result: Cell::new(0),
            watcher: Cell::new(Watcher::NOBODY),
            op: UnsafeCell::new(None),
        }
    }

    /// Calls `f` with the operation at its place.
    pub(super) fn with_op<R>(&self, f: impl FnOnce(&mut Erased) -> R) -> R {
        // SAFETY: slots are used by one thread, and `f` (a function of `Op`, or of this file) has no way
        // back to this slot, so this is the only reference to the cell's content.
        let op = unsafe { &mut *self.op.get() };
        f(op.as_mut().expect("a slot in use holds its operation"))
    }

    /// As `take_op`, straight to its type.
    ///
    /// # Safety
    ///
    /// The operation in the slot is a `T`.
    #[inline]
    pub(super) unsafe fn take_typed<T: Op>(&self) -> T {
        // SAFETY: as in `with_op`; the type is the caller's promise.
        let op = unsafe { Erased::take::<T>(&mut *self.op.get()) };
        op.expect("a slot in use holds its operation")
    }

    pub(super) fn take_op(&self) -> Erased {
        // SAFETY: as in `with_op`. Called only where nothing is in flight any more.
        let op = unsafe { &mut *self.op.get() };
        op.take().expect("a slot in use holds its operation")
    }

    /// As `put_op`, straight from its type; and what it asks of the driver.
    #[inline]
    pub(super) fn put_typed<T: Op>(&self, op: T) -> Operation {
        // SAFETY: as in `with_op`; the slot is free, so nothing is overwritten.
        Erased::put(unsafe { &mut *self.op.get() }, op)
    }

    pub(super) fn put_op(&self, op: Erased) {
        // SAFETY: as in `with_op`; the slot is free, so nothing is overwritten.
        unsafe { *self.op.get() = Some(op) };
    }
}
