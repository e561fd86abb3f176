//! [`Access`]: the future of everything that is done to an open file.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::file::File;
use super::span::Span;
use super::transfer::Begin;
use super::waiters::Place;
use super::{SourceId, at_home, file};
use crate::driver::{CURSOR, OwnedDescriptor};
use crate::inflight::{Abandoned, InFlight, Op, Role, Ticket, cancelled_error, is_cancelled};
use crate::task::budget;

/// An operation on a file.
pub(crate) trait FileOp: Op {
    /// What the future holds until it begins, a buffer for example.
    type Resource: 'static;
    /// [`Role::Look`] or [`Role::Change`].
    const ROLE: Role;

    /// Whether the kernel's cache is asked before it is submitted.
    const ASKS_CACHE: bool = false;

    /// What it touches if it begins at `offset`.
    fn span(file: &File, resource: &Self::Resource, offset: u64) -> Span;

    /// Nothing stands in the way: the result, if the kernel is not needed for it, or the operation.
    fn begin(file: &File, resource: Self::Resource, offset: u64) -> Begin<Self>;

    /// The result if it could not be done.
    fn failed(error: io::Error, resource: Self::Resource) -> Self::Output;

    /// What the operation was made of.
    fn into_resource(self) -> Self::Resource;

    /// How many bytes it has moved on.
    fn moved(&self) -> usize {
        0
    }
}

/// Where an operation begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    Offset(u64),
    /// At the file's cursor, which it moves.
    Cursor,
}

/// Waits until nothing stands in its way, does its operation. Dropped before it began it has done
/// nothing; dropped after, a change goes on and belongs to the file.
pub(crate) struct Access<T: FileOp> {
    id: SourceId,
    at: At,
    state: State<T>,
}

enum State<T: FileOp> {
    Waiting {
        resource: T::Resource,
        turn: Turn,
    },
    Submitted {
        in_flight: InFlight<T>,
        offset: u64,
        span: Span,
    },
    Over,
}

/// How far a future has come on its way to begin.
#[derive(Clone, Copy, Default)]
struct Turn {
    has_lane: bool,
    lane: Option<Place>,
    orphans: Option<Place>,
}

// Nothing inside is pinned: the operation lives in its slot.
impl<T: FileOp> Unpin for Access<T> {}

impl<T: FileOp> Access<T> {
    pub(crate) fn new(id: SourceId, at: At, resource: T::Resource) -> Access<T> {
        let turn = Turn::default();
        Access {
            id,
            at,
            state: State::Waiting { resource, turn },
        }
    }

    /// Tries to begin. `Ready` if it is over without the kernel.
    fn poll_begin(&mut self, cx: &mut Context<'_>) -> Poll<T::Output> {
        assert!(
            !matches!(self.state, State::Over),
            "a future was polled again after it had finished"
        );
        let file = match file(self.id).and_then(|file| file.check_open().map(|()| file)) {
            Ok(file) => file,
            Err(error) => return Poll::Ready(self.fail(error)),
        };
        if is_cancelled() {
            return Poll::Ready(self.fail(cancelled_error()));
        }
        ready!(budget::consume(cx));
        match ready!(self.poll_clear(&file, cx)) {
            Ok((offset, span)) => self.begin(&file, offset, span, cx),
            Err(error) => Poll::Ready(self.fail(error)),
        }
    }

    /// Waits for the cursor, if it is needed, and for orphans that touch the same.
    fn poll_clear(&mut self, file: &File, cx: &Context<'_>) -> Poll<io::Result<(u64, Span)>> {
        let State::Waiting { resource, turn } = &mut self.state else {
            unreachable!("looked at by the caller");
        };
        if self.at == At::Cursor && !turn.has_lane {
            if !file.lane.acquire(&mut turn.lane, cx) {
                return Poll::Pending;
            }
            turn.has_lane = true;
        }
        let offset = match self.at {
            At::Offset(offset) => offset,
            At::Cursor if !file.knows_position() => {
                file.wait(&mut turn.orphans, cx);
                return Poll::Pending;
            }
            At::Cursor => file.position()?,
        };
        // The kernel would take the highest one for "at the cursor".
        if i64::try_from(offset).is_err() {
            return Poll::Ready(Err(io::Error::from_raw_os_error(libc::EINVAL)));
        }
        let span = T::span(file, resource, offset);
        // What was accepted before has the cursor, and comes before; but who has the cursor came before it.
        let accepted = self.at != At::Cursor && file.has_accepted();
        if accepted || file.holds_up(span) {
            file.wait(&mut turn.orphans, cx);
            return Poll::Pending;
        }
        file.leave(turn.orphans.take());
        if T::ROLE == Role::Change {
            file.take_failure(span)?;
        }
        Poll::Ready(Ok((offset, span)))
    }

    fn begin(
        &mut self,
        file: &File,
        offset: u64,
        span: Span,
        cx: &mut Context<'_>,
    ) -> Poll<T::Output> {
        let State::Waiting { resource, .. } = std::mem::replace(&mut self.state, State::Over)
        else {
            unreachable!("looked at by the caller");
        };
        let appends = self.at == At::Cursor && T::ROLE == Role::Change && file.appends();
        let from = if appends { CURSOR } else { offset };
        let output = match T::begin(file, resource, from) {
            Begin::Ready(output) => Poll::Ready(output),
            Begin::Submit(op) => self.start(file, op, (offset, span), cx),
            Begin::Wait(never) => match never {},
        };
        if output.is_ready() && self.at == At::Cursor {
            file.end_turn();
        }
        output
    }

    /// `Ready` if it is over already.
    fn start(
        &mut self,
        file: &File,
        mut op: T,
        (offset, span): (u64, Span),
        cx: &mut Context<'_>,
    ) -> Poll<T::Output> {
        if T::ASKS_CACHE
            && let Some(completion) = file.try_cache(&mut op)
        {
            if self.at == At::Cursor {
                file.set_position(offset + op.moved() as u64);
            }
            return Poll::Ready(op.complete(completion));
        }
        match InFlight::start(op, Some(file.attachment(T::ROLE)), cx) {
            Ok(in_flight) => {
                file.started(T::ROLE);
                self.state = State::Submitted {
                    in_flight,
                    offset,
                    span,
                };
                Poll::Pending
            }
            Err((op, error)) => Poll::Ready(T::failed(error, op.into_resource())),
        }
    }

    fn fail(&mut self, error: io::Error) -> T::Output {
        let State::Waiting { resource, turn } = std::mem::replace(&mut self.state, State::Over)
        else {
            unreachable!("looked at by the caller");
        };
        leave(self.id, turn);
        T::failed(error, resource)
    }
}

impl<T: FileOp> Future for Access<T> {
    type Output = T::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T::Output> {
        let (id, at) = (self.id, self.at);
        let State::Submitted {
            in_flight,
            offset,
            span,
        } = &mut self.state
        else {
            return self.poll_begin(cx);
        };
        let (op, completion) = ready!(in_flight.poll(cx));
        if at == At::Cursor {
            let (position, span) = (*offset + op.moved() as u64, *span);
            at_home(id, move || end_turn(id, position, span));
        }
        self.state = State::Over;
        Poll::Ready(op.complete(completion))
    }
}

impl<T: FileOp> Drop for Access<T> {
    fn drop(&mut self) {
        let (id, at) = (self.id, self.at);
        match std::mem::replace(&mut self.state, State::Over) {
            State::Waiting { turn, .. } => leave(id, turn),
            State::Submitted {
                in_flight, span, ..
            } => {
                if let Some(ticket) = in_flight.into_ticket() {
                    at_home(id, move || abandon(id, at, T::ROLE, span, ticket));
                }
            }
            State::Over => {}
        }
    }
}

fn leave(id: SourceId, turn: Turn) {
    let Turn {
        has_lane,
        lane,
        orphans,
    } = turn;
    if !has_lane && lane.is_none() && orphans.is_none() {
        return;
    }
    at_home(id, move || {
        let Ok(file) = file(id) else { return };
        file.leave(orphans);
        if has_lane {
            file.end_turn();
        } else if let Some(lane) = lane {
            file.lane.leave(lane);
        }
    });
}

/// The cursor has been moved to `position`: the next one may use it.
fn end_turn(id: SourceId, position: u64, span: Span) {
    let Ok(file) = file(id) else { return };
    match span {
        Span::Everything => file.set_behind_appended(),
        Span::Bytes(..) | Span::Sync => file.set_position(position),
    }
    file.end_turn();
}

/// The future is gone in mid-flight: its operation is taken back, or is the file's from now on.
fn abandon(id: SourceId, at: At, role: Role, span: Span, ticket: Ticket) {
    let key = ticket.key();
    let (abandoned, file) = (ticket.abandon(), file(id));
    let Ok(file) = file else { return };
    let never_was = matches!(abandoned, Abandoned::TakenBack(_));
    match abandoned {
        Abandoned::TakenBack(finished) => {
            file.ended(role);
            drop(finished);
        }
        Abandoned::Ended(finished) if role == Role::Change => file.abandoned(finished, span),
        Abandoned::Ended(finished) => drop(finished),
        Abandoned::GoesOn if role == Role::Change => file.orphan(key, span),
        Abandoned::GoesOn => {}
    }
    if at != At::Cursor {
        return;
    }
    match span {
        _ if never_was || role == Role::Look => {}
        Span::Bytes(_, end) => file.set_position(end),
        Span::Everything | Span::Sync => file.set_behind_appended(),
    }
    file.end_turn();
}

/// Closes a file; resolves when everything in flight on it is over and the descriptor is closed.
pub(crate) struct CloseFile {
    id: SourceId,
    is_over: bool,
    hand_over: bool,
}

impl CloseFile {
    pub(crate) fn new(id: SourceId) -> CloseFile {
        CloseFile {
            id,
            is_over: false,
            hand_over: false,
        }
    }

    /// Leaves the descriptor open and resolves to it.
    pub(crate) fn and_hand_over(id: SourceId) -> CloseFile {
        CloseFile {
            id,
            is_over: false,
            hand_over: true,
        }
    }
}

impl Future for CloseFile {
    type Output = io::Result<Option<OwnedDescriptor>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let file = file(self.id)?;
        if self.hand_over {
            file.hand_over();
        } else {
            file.close();
        }
        if !file.closing.is_closed() {
            file.closing.wait(cx);
            return Poll::Pending;
        }
        self.is_over = true;
        let outcome = file.outcome();
        let descriptor = self.hand_over.then(|| file.take_descriptor()).flatten();
        release(self.id);
        Poll::Ready(outcome.map(|()| descriptor))
    }
}

impl Drop for CloseFile {
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
        let Ok(file) = file(id) else { return };
        file.keep_descriptor();
        let may_go = file.closing.release();
        if may_go {
            file.warn();
        }
        super::with(|sources| sources.closed(id.index, id.generation, may_go));
    });
}
