//! A future that polls another one, pinned inside it, together with something that moves freely.
//!
//! An `async` block around a future keeps two places for it, where it is captured and
//! where it is pinned; nested three deep that is eight times the memory. This keeps one.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Polls by calling `poll` with `future` and `state`, until it answers `Ready`.
pub(crate) fn poll_beside<F, S, P, T>(future: F, state: S, poll: P) -> PollBeside<F, S, P>
where
    S: Unpin,
    P: Fn(Pin<&mut F>, &mut S, &mut Context<'_>) -> Poll<T> + Unpin,
{
    PollBeside {
        future,
        state,
        poll,
    }
}

/// The future of [`poll_beside`].
///
/// `future` is pinned whenever the whole is: it is never moved, nothing hands it out
/// unpinned, there is no `Drop`, and the whole is `Unpin` only if all fields are.
pub(crate) struct PollBeside<F, S, P> {
    future: F,
    state: S,
    poll: P,
}

impl<F, S, P, T> Future for PollBeside<F, S, P>
where
    S: Unpin,
    P: Fn(Pin<&mut F>, &mut S, &mut Context<'_>) -> Poll<T> + Unpin,
{
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        // SAFETY: `future` is not moved out of `this`, only pinned in place below; the
        // type's invariant keeps everything else from moving it.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: as above: `self` was pinned, and so is the field.
        let future = unsafe { Pin::new_unchecked(&mut this.future) };
        (this.poll)(future, &mut this.state, cx)
    }
}
