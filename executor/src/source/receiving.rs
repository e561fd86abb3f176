//! Receiving ahead: the operation that a stream keeps in flight for itself, and [`ReceiveNext`], which waits for it.
//!
//! `recv` does not read into a buffer of its own: the stream is *armed* with an operation that belongs to the stream and puts
//! what arrives into its [`Inlet`](crate::buf::Inlet). The future only waits there, so dropping it loses nothing.
//!
//! | the stream is | armed with | until |
//! |---|---|---|
//! | TCP | a multishot receive into provided buffers, with bundles where the kernel has them | it holds too much memory, is closed, or the kernel ends it |
//! | a Unix stream, a pipe | one receive into a provided buffer | something arrives |
//! | any, without provided buffers to be had | a poll, then one receive into memory of its own | something arrives |
//!
//! A stream is armed only by somebody who waits in `recv`, or takes a chunk there. It *holds* the buffers that wait in
//! its inlet and those that its chunks lease; at its [mark](crate::buf::ReceiveSettings::ahead_max) the multishot
//! is cancelled, and from a quarter of that on `recv` arms it again. In between `recv` receives into memory
//! of its own, one piece for each call: whoever keeps his chunks pays for them, and waits for nobody.
//!
//! Other reads of an armed stream are served from the inlet, by copying, and wait for it when it is empty: the
//! bytes would come out of order if both received. When nothing is armed they receive straight into their buffers.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::stream::{Stream, Terminal};
use super::waiters::Place;
use super::{SourceId, StreamKind, at_home, stream};
use crate::buf::{Chunk, Offer, Receiver, pool};
use crate::driver::Completion;
use crate::inflight::{self, Finished, Role, cancelled_error, is_cancelled};
use crate::op::receive_ahead::{ReceiveAhead, Way};
use crate::task::{Waiter, budget};

/// What a stream remembers of its receiving.
#[derive(Default)]
pub(super) struct Receiving {
    /// How the stream is armed, if it is.
    way: Cell<Option<Way>>,
    /// The kernel had no buffer, and there are no more to be had: the next receive does without.
    starved: Cell<bool>,
    /// How it ended, if it has.
    pub(super) terminal: Cell<Option<Terminal>>,
    /// Has the turn and waits for what arrives.
    reader: Cell<Option<Waiter>>,
}

impl Receiving {
    pub(super) fn wake(&self) {
        if let Some(reader) = self.reader.take() {
            reader.wake_quietly();
        }
    }

    pub(super) fn wait(&self, cx: &Context<'_>) {
        let waiter = match self.reader.take() {
            Some(waiter) if waiter.is_for(cx) => waiter,
            _ => Waiter::new(cx),
        };
        self.reader.set(Some(waiter));
    }

    /// Nobody waits any more.
    pub(super) fn leave(&self) {
        drop(self.reader.take());
    }
}

impl Stream {
    /// True while an operation of the stream's own receives.
    pub(super) fn is_armed(&self) -> bool {
        self.receiving.way.get().is_some()
    }

    /// The next chunk, for whoever has the turn.
    fn poll_chunk(self: &Rc<Self>, cx: &Context<'_>) -> Poll<io::Result<Chunk>> {
        if let Some(chunk) = self.inlet().pop() {
            self.go_on_ahead();
            return Poll::Ready(Ok(chunk));
        }
        if let Some(end) = self.ended(|| {}) {
            return Poll::Ready(end.map(|_| Chunk::empty()));
        }
        if !self.is_armed() {
            self.arm(self.way());
        }
        self.receiving.wait(cx);
        Poll::Pending
    }

    /// Arms the stream again as soon as it may, so that the kernel receives while the chunks are worked on.
    fn go_on_ahead(self: &Rc<Self>) {
        let may = self.kind() == StreamKind::Tcp && !self.is_armed() && self.ended(|| {}).is_none();
        if may
            && !self.receiving.starved.get()
            && self.direction(Role::Receive).in_flight.get().is_none()
            && let way @ Way::Multishot { .. } = self.way()
        {
            self.arm(way);
        }
    }

    fn arm(self: &Rc<Self>, way: Way) {
        let settings = pool::with(|pool| pool.settings()).unwrap_or_default();
        let (length, receiver) = (settings.buffer_size as u32, self.clone());
        let receive = ReceiveAhead::new(self.endpoint(), way, length, receiver);
        let key = inflight::start_for_source(receive, self.attachment(Role::Receive));
        self.receiving.way.set(key.map(|_| way));
        self.direction(Role::Receive).in_flight.set(key);
    }

    fn way(&self) -> Way {
        let settings = pool::with(|pool| pool.settings()).unwrap_or_default();
        let may = !self.receiving.starved.take() && settings.may_go_ahead(self.inlet().held());
        let offer = if may {
            pool::with(|pool| pool.offer())
        } else {
            None
        };
        match offer.flatten() {
            Some(Offer {
                group,
                multishot: true,
                bundle,
                ..
            }) if self.kind() == StreamKind::Tcp => Way::Multishot { group, bundle },
            Some(Offer { group, .. }) => Way::Provided { group },
            None => Way::Plain,
        }
    }

    /// Something has arrived, and the operation goes on.
    pub(super) fn received_more(&self, _: Completion) {
        let settings = pool::with(|pool| pool.settings()).unwrap_or_default();
        if settings.is_far_ahead(self.inlet().held()) {
            self.cancel(Role::Receive);
        }
        self.receiving.wake();
    }

    /// The stream's own operation has ended: with data, by cancellation or with an error.
    pub(super) fn disarmed(&self, finished: Finished) {
        let way = self.receiving.way.take();
        let completion = finished.completion();
        drop(finished);
        match (way, -completion.result) {
            (Some(Way::Multishot { .. } | Way::Provided { .. }), libc::ENOBUFS) => {
                let grew = pool::with(|pool| pool.starved()) == Some(true);
                self.receiving.starved.set(!grew);
                self.ended_without_terminal();
            }
            (Some(Way::Multishot { .. }), libc::EINVAL) => {
                pool::with(pool::Pool::lacks_multishot);
                self.ended_without_terminal();
            }
            _ => self.observe(Role::Receive, completion),
        }
        self.receiving.wake();
    }
}

/// Resolves to the next chunk. Dropping it loses none: what arrives belongs to the stream until it is handed out.
pub(crate) struct ReceiveNext {
    id: SourceId,
    /// [`Place::TURN`] when it is this future's turn.
    place: Option<Place>,
}

impl ReceiveNext {
    pub(crate) fn new(id: SourceId) -> ReceiveNext {
        ReceiveNext { id, place: None }
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Chunk>> {
        let stream = stream(self.id)?;
        stream.check_open()?;
        if is_cancelled() {
            return Poll::Ready(Err(cancelled_error()));
        }
        ready!(budget::consume(cx));
        if self.place != Some(Place::TURN) {
            let lane = &stream.direction(Role::Receive);
            if !lane.acquire(&mut self.place, cx) {
                return Poll::Pending;
            }
            self.place = Some(Place::TURN);
        }
        stream.poll_chunk(cx)
    }

    fn leave(&mut self) {
        let id = self.id;
        match self.place.take() {
            Some(Place::TURN) => at_home(id, move || end_waiting(id)),
            Some(place) => at_home(id, move || {
                if let Ok(stream) = stream(id) {
                    stream.direction(Role::Receive).leave(place);
                }
            }),
            None => {}
        }
    }
}

/// Whoever waited for what arrives has got it, or is gone.
pub(super) fn end_waiting(id: SourceId) {
    if let Ok(stream) = stream(id) {
        stream.receiving.leave();
        stream.end_turn(Role::Receive);
    }
}

impl Future for ReceiveNext {
    type Output = io::Result<Chunk>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Chunk>> {
        let result = ready!(self.poll_turn(cx));
        self.leave();
        Poll::Ready(result)
    }
}

impl Drop for ReceiveNext {
    fn drop(&mut self) {
        self.leave();
    }
}
