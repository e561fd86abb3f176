//! [`Transfer`]: the future of everything that takes a lane of a source.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::lanes::Lanes;
use super::stream::Stream;
use super::waiters::Place;
use super::{SourceId, at_home, closed_error};
use crate::buf::{self, BufResult, IoBuf, IoBufMut};
use crate::inflight::{self, Abandoned, InFlight, Op, Role, Ticket, cancelled_error, is_cancelled};
use crate::op::peek::Peek;
use crate::op::receive::Receive;
use crate::op::send::Send as SendBuf;
use crate::op::shutdown::Shutdown;
use crate::task::budget;

/// An operation that takes a lane of a source.
pub(crate) trait LaneOp<S: Lanes = Stream>: Op {
    /// What the future holds until its turn comes, a buffer for example.
    type Resource: 'static;
    const ROLE: Role;
    /// Whether it is tried before it is submitted, where that saves the way through a slot.
    const AT_ONCE: bool = false;

    /// Whether it has room for nothing: then it waits for nobody, and is [`Begin::Ready`] without a turn.
    fn asks_for_nothing(resource: &mut Self::Resource) -> bool {
        let _ = resource;
        false
    }

    /// The turn has come: the result, if the kernel is not needed for it, or the operation.
    fn begin(source: &S, resource: Self::Resource) -> Begin<Self, Self::Resource>;

    /// The result if it could not be done.
    fn failed(error: io::Error, resource: Self::Resource) -> Self::Output;

    /// The future was dropped before its turn.
    fn dropped_before(_: SourceId, resource: Self::Resource) {
        drop(resource);
    }

    /// What the operation was made of.
    fn into_resource(self) -> Self::Resource;

    /// What was received already of a resource that is given up while it waits: it goes back to the stream.
    fn unread(resource: &Self::Resource) -> Vec<u8> {
        let _ = resource;
        Vec::new()
    }
}

/// What an operation that may begin comes to.
pub(crate) enum Begin<T: Op, R = Infallible> {
    Ready(T::Output),
    Submit(T),
    /// The source is receiving ahead: again, when something has arrived.
    Wait(R),
}

/// Waits for its turn, does its operation, passes the turn on. Dropped before its turn it has
/// done nothing; dropped after, the operation goes on and its result belongs to the stream.
pub(crate) struct Transfer<T: LaneOp<S>, S: Lanes = Stream> {
    id: SourceId,
    state: State<T, S>,
}

enum State<T: LaneOp<S>, S: Lanes> {
    Waiting {
        resource: T::Resource,
        place: Option<Place>,
    },
    /// Has the turn, and waits for what the source receives ahead.
    Ahead {
        resource: T::Resource,
    },
    Submitted(InFlight<T>),
    Over,
}

// Nothing inside is pinned: the operation lives in its slot.
impl<T: LaneOp<S>, S: Lanes> Unpin for Transfer<T, S> {}

impl<T: LaneOp<S>, S: Lanes> Transfer<T, S> {
    pub(crate) fn new(id: SourceId, resource: T::Resource) -> Transfer<T, S> {
        Transfer {
            id,
            state: State::Waiting {
                resource,
                place: None,
            },
        }
    }

    /// Tries to take the lane and to begin. `Ready` if it is over without the kernel.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<T::Output> {
        let source = match S::find(self.id).and_then(check_open) {
            Ok(source) => source,
            Err(error) => return Poll::Ready(self.fail(error)),
        };
        if is_cancelled() {
            return Poll::Ready(self.fail(cancelled_error()));
        }
        ready!(budget::consume(cx));
        let has_turn = match &mut self.state {
            State::Waiting { resource, place } => {
                let needs_turn = !T::asks_for_nothing(resource);
                if needs_turn && !source.lane(T::ROLE).acquire(place, cx) {
                    return Poll::Pending;
                }
                needs_turn
            }
            _ => true,
        };
        let (State::Waiting { resource, .. } | State::Ahead { resource }) =
            std::mem::replace(&mut self.state, State::Over)
        else {
            panic!("a future was polled again after it had finished");
        };
        match T::begin(&source, resource) {
            Begin::Wait(resource) => {
                source.wait(cx);
                self.state = State::Ahead { resource };
                Poll::Pending
            }
            Begin::Ready(output) => {
                if has_turn {
                    source.end_turn(T::ROLE);
                }
                Poll::Ready(output)
            }
            Begin::Submit(op) => self.start(&source, op, cx),
        }
    }

    /// `Ready` if it is over already.
    #[inline]
    fn start(&mut self, source: &S, mut op: T, cx: &mut Context<'_>) -> Poll<T::Output> {
        let slots = inflight::current();
        if T::AT_ONCE
            && let Some(slots) = &slots
            && slots.core().tries_at_once.transfers
            && let Some(completion) = inflight::try_at_once(slots.core(), &mut op)
        {
            source.observe(T::ROLE, completion);
            source.end_turn(T::ROLE);
            return Poll::Ready(op.complete(completion));
        }
        let attachment = Some(source.attachment(T::ROLE));
        match InFlight::start_in(slots.as_deref(), op, attachment, cx) {
            Ok(in_flight) => {
                source.started(T::ROLE, in_flight.key());
                self.state = State::Submitted(in_flight);
                Poll::Pending
            }
            Err((op, error)) => {
                source.end_turn(T::ROLE);
                Poll::Ready(T::failed(error, op.into_resource()))
            }
        }
    }

    #[cold]
    fn fail(&mut self, error: io::Error) -> T::Output {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Waiting { resource, place } => {
                if let Some(place) = place {
                    leave::<S>(self.id, T::ROLE, place);
                }
                T::failed(error, resource)
            }
            State::Ahead { resource } => {
                end_waiting::<S>(self.id, T::ROLE, Vec::new());
                T::failed(error, resource)
            }
            State::Submitted(_) | State::Over => {
                panic!("a future was polled again after it had finished")
            }
        }
    }
}

impl<T: LaneOp<S>, S: Lanes> Future for Transfer<T, S> {
    type Output = T::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T::Output> {
        let State::Submitted(in_flight) = &mut self.state else {
            return self.poll_turn(cx);
        };
        let (op, completion) = ready!(in_flight.poll(cx));
        self.state = State::Over;
        let id = self.id;
        match S::find_to_end_turn(id, T::ROLE) {
            Ok(None) => {}
            Ok(Some(source)) => source.end_turn(T::ROLE),
            // It is gone, or far away.
            Err(_) => at_home(id, move || end_turn::<S>(id, T::ROLE)),
        }
        Poll::Ready(op.complete(completion))
    }
}

impl<T: LaneOp<S>, S: Lanes> Drop for Transfer<T, S> {
    fn drop(&mut self) {
        if matches!(self.state, State::Over) {
            return;
        }
        let id = self.id;
        match std::mem::replace(&mut self.state, State::Over) {
            State::Waiting { place, resource } => {
                T::dropped_before(id, resource);
                if let Some(place) = place {
                    leave::<S>(id, T::ROLE, place);
                }
            }
            State::Submitted(in_flight) => {
                if let Some(ticket) = in_flight.into_ticket() {
                    abandon::<S>(id, T::ROLE, ticket);
                }
            }
            State::Ahead { resource } => {
                let bytes = T::unread(&resource);
                T::dropped_before(id, resource);
                end_waiting::<S>(id, T::ROLE, bytes);
            }
            State::Over => {}
        }
    }
}

/// Gives back the turn of a future that waited for what its source receives ahead.
fn end_waiting<S: Lanes>(id: SourceId, role: Role, bytes: Vec<u8>) {
    at_home(id, move || {
        if let Ok(source) = S::find(id) {
            source.give_back(bytes);
            source.wait_no_more();
            source.end_turn(role);
        }
    });
}

fn check_open<S: Lanes>(source: Rc<S>) -> io::Result<Rc<S>> {
    if source.closing().is_open() {
        Ok(source)
    } else {
        Err(closed_error())
    }
}

fn leave<S: Lanes>(id: SourceId, role: Role, place: Place) {
    at_home(id, move || {
        if let Ok(source) = S::find(id) {
            source.lane(role).leave(place);
        }
    });
}

fn end_turn<S: Lanes>(id: SourceId, role: Role) {
    if let Ok(source) = S::find(id) {
        source.end_turn(role);
    }
}

/// The future is gone in mid-flight: at home, its operation is taken back, or its result adopted.
fn abandon<S: Lanes>(id: SourceId, role: Role, ticket: Ticket) {
    at_home(id, move || match (ticket.abandon(), S::find(id)) {
        (Abandoned::TakenBack(finished), source) => {
            if let Ok(source) = source {
                source.taken_back(role);
            }
            drop(finished);
        }
        (Abandoned::Ended(finished), Ok(source)) => source.abandoned(role, finished),
        (Abandoned::Ended(finished), Err(_)) => drop(finished),
        (Abandoned::GoesOn, _) => {}
    });
}

/// What to read into, and whether it must be filled.
pub(crate) struct Incoming<B> {
    pub(crate) buf: B,
    pub(crate) whole: bool,
    /// How many bytes of the buffer are filled already.
    pub(crate) done: usize,
}

impl<B: IoBufMut> LaneOp for Receive<B> {
    type Resource = Incoming<B>;
    const ROLE: Role = Role::Receive;
    const AT_ONCE: bool = true;

    fn asks_for_nothing(incoming: &mut Incoming<B>) -> bool {
        incoming.buf.capacity() == 0
    }

    fn begin(stream: &Stream, incoming: Incoming<B>) -> Begin<Self, Self::Resource> {
        let Incoming {
            mut buf,
            whole,
            mut done,
        } = incoming;
        let capacity = buf.capacity();
        if capacity == 0 {
            return Begin::Ready((Ok(0), buf));
        }
        done += stream.take_waiting(&mut buf, done);
        let is_enough = if whole { done == capacity } else { done > 0 };
        if is_enough {
            buf::set_filled(&mut buf, done);
            return Begin::Ready((Ok(done), buf));
        }
        if let Some(end) = stream.ended(|| {}) {
            if done > 0 || end.is_ok() {
                buf::set_filled(&mut buf, done);
            }
            let too_short = (whole && end.is_ok()).then(|| io::ErrorKind::UnexpectedEof.into());
            return Begin::Ready((too_short.map_or(end, Err), buf));
        }
        if stream.is_armed() {
            return Begin::Wait(Incoming { buf, whole, done });
        }
        Begin::Submit(Receive::new(stream.endpoint(), buf, done, whole))
    }

    fn failed(error: io::Error, incoming: Incoming<B>) -> BufResult<usize, B> {
        let Incoming { mut buf, done, .. } = incoming;
        if done > 0 {
            buf::set_filled(&mut buf, done);
        }
        (Err(error), buf)
    }

    fn into_resource(self) -> Incoming<B> {
        let (buf, done) = self.into_parts();
        Incoming {
            buf,
            whole: false,
            done,
        }
    }

    fn unread(Incoming { buf, done, .. }: &Incoming<B>) -> Vec<u8> {
        buf::filled(buf, *done).to_vec()
    }
}

impl<B: IoBufMut> LaneOp for Peek<B> {
    type Resource = B;
    const ROLE: Role = Role::Receive;

    fn asks_for_nothing(buf: &mut B) -> bool {
        buf.capacity() == 0
    }

    fn begin(stream: &Stream, mut buf: B) -> Begin<Self, Self::Resource> {
        match stream.peek_without_kernel(&mut buf) {
            Some(result) => Begin::Ready((result, buf)),
            None if stream.is_armed() => Begin::Wait(buf),
            None => Begin::Submit(Peek::new(stream.descriptor(), buf)),
        }
    }

    fn failed(error: io::Error, buf: B) -> BufResult<usize, B> {
        (Err(error), buf)
    }

    fn into_resource(self) -> B {
        self.into_buf()
    }
}

/// What to write, and whether a short write is continued.
pub(crate) struct Outgoing<B> {
    pub(crate) buf: B,
    pub(crate) whole: bool,
    /// Set if the bytes are accepted already, whatever becomes of the future: what to do with them if
    /// it is dropped before its turn.
    pub(crate) committed: Option<fn(SourceId, B)>,
}

impl Outgoing<Vec<u8>> {
    /// `buf` will be sent whole, also if the future is dropped before it is ever polled.
    pub(crate) fn committed(buf: Vec<u8>) -> Outgoing<Vec<u8>> {
        Outgoing {
            buf,
            whole: true,
            committed: Some(super::send_later),
        }
    }
}

impl<B: IoBuf> LaneOp for SendBuf<B> {
    type Resource = Outgoing<B>;
    const ROLE: Role = Role::Send;
    const AT_ONCE: bool = true;

    fn begin(stream: &Stream, outgoing: Outgoing<B>) -> Begin<Self, Self::Resource> {
        let Outgoing {
            buf,
            whole,
            committed,
        } = outgoing;
        match stream.check_poison() {
            Err(error) => Begin::Ready((Err(error), buf)),
            Ok(()) if buf.initialized_len() == 0 => Begin::Ready((Ok(0), buf)),
            Ok(()) => {
                let send = SendBuf::new(stream.endpoint(), buf, whole);
                Begin::Submit(if committed.is_some() {
                    send.committed()
                } else {
                    send
                })
            }
        }
    }

    fn dropped_before(id: SourceId, outgoing: Outgoing<B>) {
        if let Some(keep) = outgoing.committed {
            keep(id, outgoing.buf);
        }
    }

    fn failed(error: io::Error, Outgoing { buf, .. }: Outgoing<B>) -> BufResult<usize, B> {
        (Err(error), buf)
    }

    fn into_resource(self) -> Outgoing<B> {
        Outgoing {
            buf: self.into_buf(),
            whole: false,
            committed: None,
        }
    }
}

/// `Some(SHUT_…)`, or `None` to only wait until everything before was sent.
impl LaneOp for Shutdown {
    type Resource = Option<i32>;
    const ROLE: Role = Role::Send;

    fn begin(stream: &Stream, how: Option<i32>) -> Begin<Self, Self::Resource> {
        match (stream.check_poison(), how) {
            (Err(error), _) => Begin::Ready(Err(error)),
            (Ok(()), None) => Begin::Ready(Ok(())),
            (Ok(()), Some(how)) => {
                stream.begin_end();
                Begin::Submit(Shutdown {
                    fd: stream.descriptor(),
                    how,
                })
            }
        }
    }

    fn failed(error: io::Error, _: Option<i32>) -> io::Result<()> {
        Err(error)
    }

    fn into_resource(self) -> Option<i32> {
        Some(self.how)
    }
}
