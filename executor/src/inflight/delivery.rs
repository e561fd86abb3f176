//! What comes of an operation in a slot: for the worker, for a future that is dropped, and for one on another core.

use std::sync::Arc;

use super::finished::Finished;
use super::foreign::Foreign;
use super::slot::Attachment;
use crate::driver::{Completion, Key, OwnedDescriptor};
use crate::task::Waiter;

/// What the worker does about a completion, after the slots are left.
pub(crate) enum Delivery {
    Nothing,
    /// Ended, and somebody waits: tell the source, then wake.
    Ready {
        waiter: Option<Waiter>,
        attachment: Option<Attachment>,
        completion: Completion,
    },
    /// Ended, and somebody waits on another core: tell the source, then send it there.
    Sent {
        foreign: Arc<Foreign>,
        finished: Finished,
        attachment: Option<Attachment>,
    },
    /// One of several results of an operation that its source owns.
    More {
        attachment: Attachment,
        completion: Completion,
        descriptor: Option<OwnedDescriptor>,
    },
    /// Ended, and its source owns it.
    Source {
        key: Key,
        attachment: Attachment,
        finished: Finished,
    },
    /// Ended, and nobody wants it.
    Dispose(Finished),
}

/// What became of an operation whose future was dropped.
pub(crate) enum Abandoned {
    /// It was never submitted.
    TakenBack(Finished),
    /// It had ended: this is its result.
    Ended(Finished),
    /// It goes on without its future.
    GoesOn,
}

/// What a future that waits on another core will see of its result.
pub(super) enum Sent {
    Now(Finished),
    Later,
    /// The operation is not here any more.
    Never,
}
