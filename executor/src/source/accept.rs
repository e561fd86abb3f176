//! The futures of a listener.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::waiters::Place;
use super::{SourceId, at_home, listener};
use crate::driver::OwnedDescriptor;
use crate::inflight::{cancelled_error, is_cancelled};
use crate::task::budget;

/// Resolves to the next connection. Dropping it loses none: a connection belongs to
/// the listener until it is handed out.
pub(crate) struct AcceptNext {
    id: SourceId,
    place: Option<Place>,
}

impl AcceptNext {
    pub(crate) fn new(id: SourceId) -> AcceptNext {
        AcceptNext { id, place: None }
    }
}

impl Future for AcceptNext {
    type Output = io::Result<OwnedDescriptor>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let listener = listener(self.id)?;
        if is_cancelled() {
            return Poll::Ready(Err(cancelled_error()));
        }
        ready!(budget::consume(cx));
        listener.poll_accept(&mut self.place, cx)
    }
}

impl Drop for AcceptNext {
    fn drop(&mut self) {
        let (id, Some(place)) = (self.id, self.place) else {
            return;
        };
        at_home(id, move || {
            if let Ok(listener) = listener(id) {
                listener.leave(place);
            }
        });
    }
}

/// Closes a listener; resolves to the connections it had taken, once its address is free.
pub(crate) struct CloseListener {
    id: SourceId,
    is_over: bool,
}

impl CloseListener {
    pub(crate) fn new(id: SourceId) -> CloseListener {
        CloseListener { id, is_over: false }
    }
}

impl Future for CloseListener {
    type Output = io::Result<Vec<OwnedDescriptor>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let listener = listener(self.id)?;
        listener.close();
        if !listener.closing.is_closed() {
            listener.closing.wait(cx);
            return Poll::Pending;
        }
        self.is_over = true;
        // First of all: whoever releases a listener drops what is in its queue.
        let accepted = listener.take_accepted();
        release(self.id);
        Poll::Ready(Ok(accepted))
    }
}

impl Drop for CloseListener {
    fn drop(&mut self) {
        if !self.is_over {
            release(self.id);
        }
    }
}

/// Closes the source if that has not begun, and lets it go when it is closed.
fn release(id: SourceId) {
    super::close(id);
    at_home(id, move || {
        let may_go = listener(id).is_ok_and(|listener| listener.closing.release());
        super::with(|sources| sources.closed(id.index, id.generation, may_go));
    });
}
