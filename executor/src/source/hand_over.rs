//! [`HandOver`]: how a descriptor leaves its source without being closed, with all that was received on it.

use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::lanes::{Lanes, release};
use super::{SourceId, at_home, closed_error};

/// A source whose descriptor can go on without it.
pub(crate) trait Movable: Lanes {
    /// The descriptor, with what must not be lost when it goes.
    type Luggage;

    /// As [`close`](Lanes::close), but the descriptor stays open, to be [taken](Movable::take).
    fn close_and_keep(&self);

    /// Nobody wants the descriptor any more: it is closed after all.
    fn unwanted(&self);

    /// What goes, when nothing is in flight any more.
    fn take(&self) -> Option<Self::Luggage>;
}

/// Ends a source and resolves to what goes on, when nothing is in flight on it any more. A source that is not to be had here stays
/// as it is.
pub(crate) struct HandOver<S: Movable> {
    id: SourceId,
    is_over: bool,
    source: PhantomData<fn() -> S>,
}

impl<S: Movable> HandOver<S> {
    pub(crate) fn new(id: SourceId) -> HandOver<S> {
        HandOver {
            id,
            is_over: false,
            source: PhantomData,
        }
    }
}

impl<S: Movable> Future for HandOver<S> {
    type Output = io::Result<S::Luggage>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let source = match S::find(self.id) {
            Ok(source) => source,
            Err(error) => {
                self.is_over = true;
                return Poll::Ready(Err(error));
            }
        };
        source.close_and_keep();
        if !source.closing().is_closed() {
            source.closing().wait(cx);
            return Poll::Pending;
        }
        self.is_over = true;
        let taken = source.take().ok_or_else(closed_error);
        release::<S>(self.id);
        Poll::Ready(taken)
    }
}

impl<S: Movable> Drop for HandOver<S> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let id = self.id;
        at_home(id, move || {
            if let Ok(source) = S::find(id) {
                source.unwanted();
            }
        });
        release::<S>(id);
    }
}
