//! [`Op`]: what a kind of operation says of itself to the slot that keeps it.

use std::collections::VecDeque;

use super::datagram::Datagram;
use crate::driver::{Completion, Operation, OwnedDescriptor};
use crate::observe::OperationKind;

/// What becomes of an operation in flight when its future is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Orphan {
    /// Asked to stop; what it made all the same is disposed of.
    Cancel,
    /// Goes on; the source that it is attached to keeps its result for the next caller.
    Adopt,
    /// Goes on to its end; the source learns how it ended.
    Finish,
}

/// What follows a completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The operation has ended.
    Done,
    /// It goes in again as [`Op::operation`] now says.
    Again,
}

/// One operation: the memory and descriptors that it needs, how it lowers itself
/// to plain data, and what its result means. See the folder `op/`, one file each.
///
/// # Safety
///
/// The kernel reads and writes where the value that [`operation`](Op::operation)
/// returns points. The implementer warrants that this memory is owned by the
/// operation (or is part of it) and stays where it is, valid for what the kernel
/// does with it, until the operation is moved, completed or dropped. The slot
/// warrants that it calls `operation` only when the operation has its final
/// address, and moves, completes or drops it only after the last completion or
/// when it has never been submitted.
pub(crate) unsafe trait Op: Sized + 'static {
    /// What the future resolves to.
    type Output;

    /// True if doing it twice does no harm: a cancellation that nobody asked for,
    /// which kernels answer when a submitting thread exits, is then submitted again.
    const IDEMPOTENT: bool;

    /// What it is about, where that is always the same and known without a look at its [`operation`](Op::operation): for those that are
    /// started most.
    const KIND: Option<OperationKind> = None;

    /// True if it may go in again after `errno`: `EINTR`, or an `ECANCELED` that nobody asked for.
    fn repeats(&self, errno: i32) -> bool {
        errno == libc::EINTR || Self::IDEMPOTENT
    }

    /// Lowers itself to plain data; called at its final address, again after each [`Step::Again`].
    fn operation(&mut self) -> Operation;

    /// Takes over the provided buffers that a completion names, whatever its result. Called for each such completion
    /// before anything else is done with it, once.
    fn take_buffers(&mut self, completion: Completion) {
        let _ = completion;
    }

    /// Looks at the last completion and says whether the operation has ended. May
    /// change the completion, for example to the sum of several short sends.
    fn advance(&mut self, completion: &mut Completion) -> Step {
        let _ = completion;
        Step::Done
    }

    /// True if part of its effect has been seen by the world, so that it may not be taken back.
    fn has_begun(&self) -> bool {
        false
    }

    /// Its future was dropped while it is in flight: what becomes of it.
    fn orphaned(&mut self) -> Orphan {
        Orphan::Cancel
    }

    /// Its future was dropped after it had ended with `completion`, unread. True if that leaves
    /// something to do, for which it goes in again.
    fn resumes(&mut self, completion: Completion) -> bool {
        let _ = completion;
        false
    }

    /// Appends what was received to `queue`, for the source that adopts it.
    fn salvage(&self, completion: Completion, queue: &mut VecDeque<u8>) {
        let _ = (completion, queue);
    }

    /// The message that was received, for the source that adopts it.
    fn datagram(&self, completion: Completion) -> Option<Datagram> {
        let _ = completion;
        None
    }

    /// Turns the result into what the future resolves to.
    fn complete(self, completion: Completion) -> Self::Output;

    /// Takes the descriptor that came of an operation nobody waits for, to be closed.
    fn leftover(&self, completion: Completion) -> Option<OwnedDescriptor> {
        let _ = completion;
        None
    }
}
