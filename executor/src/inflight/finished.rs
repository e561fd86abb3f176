//! [`Finished`]: an operation that has ended, with its result.

use std::collections::VecDeque;
use std::os::fd::IntoRawFd;

use super::datagram::Datagram;
use super::erased::Erased;
use super::op::Op;
use super::slot::Attachment;
use crate::context;
use crate::driver::{Completion, Key, OwnedDescriptor};

/// An operation that the kernel has let go of. Dropping it drops what the operation
/// owned, a user's buffer among it, and closes a descriptor that came of it.
pub(crate) struct Finished {
    /// Taken by `into_parts` alone.
    op: Option<Erased>,
    completion: Completion,
}

impl Finished {
    pub(super) fn new(op: Erased, completion: Completion) -> Finished {
        Finished {
            op: Some(op),
            completion,
        }
    }

    pub(crate) fn completion(&self) -> Completion {
        self.completion
    }

    /// Appends what was received to `queue`.
    pub(crate) fn salvage(&self, queue: &mut VecDeque<u8>) {
        if let Some(op) = &self.op {
            op.salvage(self.completion, queue);
        }
    }

    /// The message that was received.
    pub(crate) fn datagram(&self) -> Option<Datagram> {
        let op = self.op.as_ref()?;
        op.datagram(self.completion)
    }

    /// Takes the descriptor that came of it.
    pub(crate) fn take_descriptor(mut self) -> Option<OwnedDescriptor> {
        let op = self.op.take()?;
        op.leftover(self.completion)
    }

    /// Starts it again for its source, if it left something to do: see [`Op::resumes`].
    pub(crate) fn resume(mut self, attachment: Attachment) -> Result<Option<Key>, Finished> {
        let completion = self.completion;
        match self.op.take_if(|op| op.resumes(completion)) {
            Some(op) => Ok(super::with(|slots| slots.start(op, Some(attachment), true))),
            None => Err(self),
        }
    }

    /// The operation and its result.
    ///
    /// # Safety
    ///
    /// The operation that ended is a `T`.
    pub(super) unsafe fn into_parts<T: Op>(mut self) -> (T, Completion) {
        let op = self.op.take().expect("taken only here, which consumes");
        // SAFETY: the caller names the type.
        (unsafe { op.into_inner::<T>() }, self.completion)
    }
}

impl Drop for Finished {
    fn drop(&mut self) {
        let leftover = self.op.as_ref().and_then(|op| op.leftover(self.completion));
        if let Some(descriptor) = leftover {
            close(descriptor);
        }
    }
}

/// Closes a descriptor that nobody wants: with the next submission, or at once outside a runtime.
fn close(descriptor: OwnedDescriptor) {
    let mut descriptor = Some(descriptor);
    context::with(|core| {
        if let Ok(mut driver) = core.driver.try_borrow_mut() {
            let descriptor = descriptor.take().expect("still there");
            driver.close(descriptor.into_raw_fd());
        }
    });
    drop(descriptor);
}
