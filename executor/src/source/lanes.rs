//! [`Lanes`]: what streams and datagram sockets have in common, and [`CloseLanes`], which closes either.

use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::closing::Closing;
use super::stream::Stream;
use super::waiters::Lane;
use super::{SourceId, at_home};
use crate::driver::{Completion, Key};
use crate::inflight::{Attachment, Finished, Role};

/// A source with two lanes, one for what is received and one for what is sent.
pub(crate) trait Lanes: Sized + 'static {
    /// The source of this name, if it lives on the current core.
    fn find(id: SourceId) -> io::Result<Rc<Self>>;

    /// The same, to end a turn there; `None` if it has been ended, because nothing else came of it.
    fn find_to_end_turn(id: SourceId, role: Role) -> io::Result<Option<Rc<Self>>> {
        let _ = role;
        Self::find(id).map(Some)
    }

    fn closing(&self) -> &Closing;

    fn lane(&self, role: Role) -> &Lane;

    fn attachment(&self, role: Role) -> Attachment;

    /// Whoever has the turn to receive waits until something has arrived that the source receives by itself.
    fn wait(&self, cx: &Context<'_>) {
        let _ = cx;
    }

    /// He does not wait any more.
    fn wait_no_more(&self) {}

    /// What he had received before he gave up is received by the next.
    fn give_back(&self, bytes: Vec<u8>) {
        let _ = bytes;
    }

    /// An operation of this direction is in flight from now on.
    fn started(&self, role: Role, key: Option<Key>);

    /// An operation of this direction has ended, whoever gets its result.
    fn observe(&self, role: Role, completion: Completion);

    /// A turn is over.
    fn end_turn(&self, role: Role);

    /// An operation was taken out of the staging list, as if it had never been.
    fn taken_back(&self, role: Role);

    /// An operation had ended before its future was dropped.
    fn abandoned(&self, role: Role, finished: Finished);

    /// Begins to close.
    fn close(&self);

    /// What `close().await` resolves to.
    fn outcome(&self) -> io::Result<()>;
}

/// Closes a source; resolves when everything accepted for sending is with the kernel
/// and the descriptor is closed.
pub(crate) struct CloseLanes<S: Lanes> {
    id: SourceId,
    is_over: bool,
    source: PhantomData<fn() -> S>,
}

pub(crate) type CloseStream = CloseLanes<Stream>;

impl<S: Lanes> CloseLanes<S> {
    pub(crate) fn new(id: SourceId) -> CloseLanes<S> {
        CloseLanes {
            id,
            is_over: false,
            source: PhantomData,
        }
    }
}

impl<S: Lanes> Future for CloseLanes<S> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let source = S::find(self.id)?;
        source.close();
        if !source.closing().is_closed() {
            source.closing().wait(cx);
            return Poll::Pending;
        }
        self.is_over = true;
        release::<S>(self.id);
        Poll::Ready(source.outcome())
    }
}

impl<S: Lanes> Drop for CloseLanes<S> {
    fn drop(&mut self) {
        if !self.is_over {
            release::<S>(self.id);
        }
    }
}

/// Closes the source if that has not begun, and lets it go when it is closed.
pub(super) fn release<S: Lanes>(id: SourceId) {
    super::close(id);
    at_home(id, move || {
        let may_go = S::find(id).is_ok_and(|source| source.closing().release());
        super::with(|sources| sources.closed(id.index, id.generation, may_go));
    });
}
