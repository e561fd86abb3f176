//! [`Perform`]: an operation that works for no source, from its start to its end.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::op::Op;
use super::pending::InFlight;
use crate::driver::Completion;

/// Starts `op` when it is first polled, and waits for it: it comes back with what came of it, or, if it could not be
/// started, with the reason. Dropping this future does what [`Op::orphaned`] says.
#[inline]
pub(crate) fn perform<T: Op>(op: T) -> Perform<T> {
    Perform::Waiting(op)
}

/// As [`perform`], for an operation that gives nothing back but its result.
#[inline]
pub(crate) fn submit<R, T: Op<Output = io::Result<R>>>(op: T) -> Submit<T> {
    Submit(perform(op))
}

/// See [`submit`].
pub(crate) struct Submit<T: Op>(Perform<T>);

impl<R, T: Op<Output = io::Result<R>>> Future for Submit<T> {
    type Output = io::Result<R>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<R>> {
        Poll::Ready(match ready!(Pin::new(&mut self.0).poll(cx)) {
            Ok((op, completion)) => op.complete(completion),
            Err((_, error)) => Err(error),
        })
    }
}

/// See [`perform`].
pub(crate) enum Perform<T: Op> {
    Waiting(T),
    Submitted(InFlight<T>),
    Over,
}

// Nothing inside is pinned: the operation lives in its slot.
impl<T: Op> Unpin for Perform<T> {}

impl<T: Op> Future for Perform<T> {
    type Output = Result<(T, Completion), (T, io::Error)>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Perform::Submitted(in_flight) = &mut *self {
            let ended = ready!(in_flight.poll(cx));
            *self = Perform::Over;
            return Poll::Ready(Ok(ended));
        }
        let Perform::Waiting(op) = std::mem::replace(&mut *self, Perform::Over) else {
            panic!("a future was polled again after it had finished");
        };
        match InFlight::start(op, None, cx) {
            Ok(in_flight) => {
                *self = Perform::Submitted(in_flight);
                Poll::Pending
            }
            Err(failed) => Poll::Ready(Err(failed)),
        }
    }
}
