//! [`MadeAtHome`]: lets a closure that may be sent become a future that may not.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Makes its future at the first poll, and then is that future.
pub(super) struct MadeAtHome<M, F> {
    /// Taken at the first poll.
    make: Option<M>,
    /// Pinned with the whole.
    future: Option<F>,
}

// SAFETY: it crosses threads only before the first poll, with nothing inside but `make`, which is `Send`. The future comes into
// being where the task is polled, and a task that was polled is polled and dropped by its home only, on the thread of that; what
// becomes of one that no home has taken in, or whose home has ended, was never polled.
unsafe impl<M: Send, F> Send for MadeAtHome<M, F> {}

impl<M, F> MadeAtHome<M, F> {
    pub(super) fn new(make: M) -> MadeAtHome<M, F> {
        MadeAtHome {
            make: Some(make),
            future: None,
        }
    }

    /// What it was made of, if it was never polled.
    pub(super) fn into_closure(self) -> Option<M> {
        self.make
    }
}

impl<M: FnOnce() -> F, F: Future> Future for MadeAtHome<M, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: `make` is never pinned. `future` is not moved from the moment it is there: it is only pinned again below, and
        // dropped in its place.
        let this = unsafe { self.get_unchecked_mut() };
        if let Some(make) = this.make.take() {
            this.future = Some(make());
        }
        let Some(future) = &mut this.future else {
            unreachable!("a task is not polled again after a panic, which making its future was");
        };
        // SAFETY: as above.
        unsafe { Pin::new_unchecked(future) }.poll(cx)
    }
}
