//! [`Stream`]: a connected socket, or one end of a pipe, and the operations on it.
//!
//! At most one receive and one send are in flight. A future that wants to read or
//! write takes the lane of its direction, in order of arrival, and keeps it until it
//! has its result. If it is dropped before, the operation goes on and belongs to the
//! stream: what was received waits in the inlet for the next reader, what was to be
//! sent is sent whole.

#[cfg(feature = "futures-io")]
mod borrowed;
mod ending;
mod moving;
mod outbox;

pub(crate) use moving::{Luggage, unpack};

use std::cell::{Cell, OnceCell};
use std::io;
use std::num::NonZero;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::task::Context;
use std::time::Duration;

use super::closing::Closing;
use super::find::find_stream_unless;
use super::lanes::Lanes;
use super::outbox::Outbox;
use super::receiving::Receiving;
use super::waiters::Lane;
use super::{SourceId, closed_error};
use crate::buf::{self, Chunk, Inlet, IoBufMut, IoVectoredBufMut, Receiver};
use crate::context::{self, Counters};
use crate::cores::quietly;
use crate::driver::{Completion, Descriptor, Key, OwnedDescriptor};
use crate::inflight::{self, Attachment, Finished, Role};
use crate::op::shutdown::Shutdown;
use crate::op::{Endpoint, StreamKind};

/// How receiving ended, for good: with an error of this number, which is below 4096, or else with the end of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terminal(NonZero<u16>);

impl Terminal {
    const END_OF_STREAM: Terminal = Terminal(NonZero::<u16>::MAX);

    fn of(result: i32) -> Terminal {
        let errno = u16::try_from(-result).ok().and_then(NonZero::new);
        errno.map_or(Terminal::END_OF_STREAM, Terminal)
    }
}

/// How far the end of the stream is that a dropped writing half sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum HalfClose {
    #[default]
    NotWanted,
    Wanted,
    Sent,
}

pub(crate) struct Stream {
    index: u32,
    generation: u32,
    kind: StreamKind,
    fd: Descriptor,
    /// Taken by the operation that closes it.
    owned: Cell<Option<OwnedDescriptor>>,
    receive: Lane,
    send: Lane,
    outbox: OnceCell<Box<Outbox>>,
    /// What was received and not yet read, in order.
    inlet: Inlet,
    pub(super) receiving: Receiving,
    /// The error of a send whose future was dropped: the stream has a gap from then on.
    poison: Cell<Option<NonZero<i32>>>,
    /// What has the turn to send is a shutdown. If nobody sees it fail, nothing that was written is missing.
    ends: Cell<bool>,
    /// The writing half is gone: the end of the stream follows what is still to be sent.
    half_close: Cell<HalfClose>,
    /// The descriptor is to go on without the stream.
    is_moving: Cell<bool>,
    pub(super) closing: Closing,
}

impl Stream {
    pub(super) fn new(id: SourceId, fd: OwnedDescriptor, kind: StreamKind) -> Stream {
        Stream {
            index: id.index,
            generation: id.generation,
            kind,
            fd: fd.as_raw_fd(),
            owned: Cell::new(Some(fd)),
            receive: Lane::default(),
            send: Lane::default(),
            outbox: OnceCell::new(),
            inlet: Inlet::default(),
            receiving: Receiving::default(),
            poison: Cell::new(None),
            ends: Cell::new(false),
            half_close: Cell::default(),
            is_moving: Cell::new(false),
            closing: Closing::default(),
        }
    }

    #[inline]
    pub(super) fn generation(&self) -> u32 {
        self.generation
    }

    pub(crate) fn descriptor(&self) -> Descriptor {
        self.fd
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint {
            fd: self.descriptor(),
            kind: self.kind,
        }
    }

    pub(crate) fn set_linger(&self, linger: Duration) {
        self.closing.set_linger(linger);
    }

    pub(super) fn kind(&self) -> StreamKind {
        self.kind
    }

    pub(super) fn direction(&self, role: Role) -> &Lane {
        if role == Role::Receive {
            &self.receive
        } else {
            &self.send
        }
    }

    pub(super) fn attachment(&self, role: Role) -> Attachment {
        Attachment {
            index: self.index,
            generation: self.generation,
            role,
        }
    }

    pub(super) fn check_open(&self) -> io::Result<()> {
        if self.closing.is_open() {
            Ok(())
        } else {
            Err(closed_error())
        }
    }

    #[inline]
    fn waiting(&self) -> Option<&Inlet> {
        (!self.inlet.is_empty()).then_some(&self.inlet)
    }

    /// Moves what waits into `buf`, behind its first `done` bytes; returns how many bytes that were.
    pub(super) fn take_waiting<B: IoBufMut>(&self, buf: &mut B, done: usize) -> usize {
        self.waiting()
            .map_or(0, |inlet| buf::fill_from(buf, done, inlet))
    }

    /// Serves a read into several buffers without the kernel, if that can be: with what waits, or with the end.
    pub(super) fn receive_vectored_without_kernel<B: IoVectoredBufMut>(
        &self,
        bufs: &mut B,
    ) -> Option<io::Result<usize>> {
        if bufs.total_capacity() == 0 {
            return Some(Ok(0));
        }
        if let Some(inlet) = self.waiting() {
            return Some(Ok(buf::fill_vectored_from(bufs, inlet)));
        }
        self.ended(|| buf::set_filled_vectored(bufs, 0))
    }

    /// As [`receive_vectored_without_kernel`](Stream::receive_vectored_without_kernel), into one buffer, but the
    /// bytes stay.
    pub(super) fn peek_without_kernel<B: IoBufMut>(
        &self,
        buf: &mut B,
    ) -> Option<io::Result<usize>> {
        if buf.capacity() == 0 {
            return Some(Ok(0));
        }
        if let Some(inlet) = self.waiting() {
            return Some(Ok(buf::copy_from(buf, inlet)));
        }
        self.ended(|| buf::set_filled(buf, 0))
    }

    /// How receiving ended, if it has and nothing is left to read.
    pub(super) fn ended(&self, empty: impl FnOnce()) -> Option<io::Result<usize>> {
        match self.receiving.terminal.get()? {
            Terminal::END_OF_STREAM => {
                empty();
                Some(Ok(0))
            }
            Terminal(errno) => Some(Err(io::Error::from_raw_os_error(errno.get().into()))),
        }
    }

    /// Bytes that were taken and not used: the next reader sees them first.
    pub(super) fn unread(&self, bytes: Vec<u8>) {
        self.inlet.push_front(Chunk::from(bytes));
    }

    /// The error of a write whose future was dropped, from then on at every later one.
    pub(super) fn check_poison(&self) -> io::Result<()> {
        match self.poison.get() {
            Some(errno) => Err(io::Error::from_raw_os_error(errno.get())),
            None => Ok(()),
        }
    }

    /// The stream has a gap, for this reason, unless it has one already.
    fn poison(&self, errno: i32) {
        self.poison.set(self.poison.get().or(NonZero::new(errno)));
    }

    /// A receive of the stream's own has ended, with nothing that says how the stream ends.
    pub(super) fn ended_without_terminal(&self) {
        self.receive.in_flight.set(None);
        self.progress();
    }

    /// An operation has ended, whoever gets its result.
    pub(super) fn observe(&self, role: Role, completion: Completion) {
        if self.take_note(role, completion) {
            self.close_if_idle();
        }
    }

    /// The same, but for what comes of it: true if the stream may go on with closing. Runs no code of the user.
    #[inline]
    pub(super) fn take_note(&self, role: Role, completion: Completion) -> bool {
        self.direction(role).in_flight.set(None);
        // A cancellation is ours: the stream itself has not ended.
        let ends = completion.result <= 0 && completion.result != -libc::ECANCELED;
        if role == Role::Receive && ends {
            self.note_end(completion.result);
        }
        self.closing.may_close()
    }

    #[cold]
    fn note_end(&self, result: i32) {
        let terminal = &self.receiving.terminal;
        terminal.set(terminal.get().or(Some(Terminal::of(result))));
    }

    /// Takes the result of an operation that had ended before its future was dropped. What a short send has left is
    /// sent now, in the same turn.
    pub(super) fn abandoned(&self, role: Role, finished: Finished) {
        if !self.closing.takes_the_rest() {
            return self.adopt(role, finished);
        }
        match finished.resume(self.attachment(role)) {
            Ok(key) => self.direction(role).in_flight.set(key),
            Err(finished) => self.adopt(role, finished),
        }
    }

    /// Takes the result of an operation whose future is gone, and ends its turn.
    pub(super) fn adopt(&self, role: Role, finished: Finished) {
        let result = finished.completion().result;
        if role == Role::Receive {
            if self.inlet.adopt(|bytes| finished.salvage(bytes)) {
                context::with(|core| Counters::add(&core.counters.adopted, 1));
            }
        } else if result < 0 && !self.ends.get() && self.half_close.get() != HalfClose::Sent {
            self.poison(-result);
            let error = io::Error::from_raw_os_error(-result);
            tracing::debug!(%error, "a write that nobody waits for has failed");
        }
        // The user's buffer is dropped while nothing of ours is borrowed, and may panic.
        quietly(|| drop(finished));
        self.end_turn(role);
    }

    /// An operation was taken out of the staging list, as if it had never been.
    pub(super) fn taken_back(&self, role: Role) {
        self.direction(role).in_flight.set(None);
        self.end_turn(role);
    }

    /// The one who has the turn to send sends the end of the stream.
    pub(super) fn begin_end(&self) {
        self.ends.set(true);
    }

    /// As [`end_turn`](Stream::end_turn), if nothing comes of it. Runs no code of the user.
    #[inline]
    fn end_turn_alone(&self, role: Role) -> bool {
        let lane = self.direction(role);
        let nothing_follows = role == Role::Receive
            || (self.send.in_flight.get().is_none() && self.outbox.get().is_none());
        let nobody_closes = self.closing.is_open() && self.half_close.get() == HalfClose::NotWanted;
        let is_alone = nothing_follows && nobody_closes && lane.nobody_has_waited();
        if is_alone {
            self.ends.set(self.ends.get() && role == Role::Receive);
            lane.release();
        }
        is_alone
    }

    pub(super) fn end_turn(&self, role: Role) {
        if role == Role::Send {
            self.ends.set(false);
            if self.send_accepted() {
                return;
            }
        }
        self.direction(role).release();
        self.send_end();
        self.progress();
    }

    /// The writing half is gone: sends the end of the stream after everything that was written.
    pub(super) fn shutdown_write(&self) {
        if self.half_close.get() == HalfClose::NotWanted {
            self.half_close.set(HalfClose::Wanted);
            self.send_end();
        }
    }

    fn send_end(&self) {
        let is_due = self.half_close.get() == HalfClose::Wanted && !self.is_sending();
        if is_due && self.closing.is_open() {
            self.half_close.set(HalfClose::Sent);
            let shutdown = Shutdown {
                fd: self.fd,
                how: libc::SHUT_WR,
            };
            let key = inflight::start_for_source(shutdown, self.attachment(Role::Send));
            self.send.in_flight.set(key);
        }
    }

    /// Cancels whatever is in flight, at shutdown.
    pub(super) fn cancel(&self, role: Role) {
        if let Some(key) = self.direction(role).in_flight.get() {
            inflight::with(|slots| slots.cancel(key));
        }
    }

    pub(super) fn has_unsent(&self) -> bool {
        self.send.in_flight.get().is_some() || self.has_accepted()
    }

    /// How sending ended, for `close().await`.
    pub(super) fn outcome(&self) -> io::Result<()> {
        self.check_poison()
    }
}

impl Receiver for Stream {
    fn inlet(&self) -> &Inlet {
        &self.inlet
    }
}

impl Lanes for Stream {
    fn find(id: SourceId) -> io::Result<Rc<Stream>> {
        super::stream(id)
    }

    #[inline]
    fn find_to_end_turn(id: SourceId, role: Role) -> io::Result<Option<Rc<Stream>>> {
        find_stream_unless(id, |stream| stream.end_turn_alone(role))
    }

    fn closing(&self) -> &Closing {
        &self.closing
    }

    fn lane(&self, role: Role) -> &Lane {
        self.direction(role)
    }

    fn attachment(&self, role: Role) -> Attachment {
        Stream::attachment(self, role)
    }

    fn wait(&self, cx: &Context<'_>) {
        self.receiving.wait(cx);
    }

    fn wait_no_more(&self) {
        self.receiving.leave();
    }

    fn give_back(&self, bytes: Vec<u8>) {
        self.unread(bytes);
    }

    fn started(&self, role: Role, key: Option<Key>) {
        self.direction(role).in_flight.set(key);
    }

    fn observe(&self, role: Role, completion: Completion) {
        Stream::observe(self, role, completion);
    }

    fn end_turn(&self, role: Role) {
        Stream::end_turn(self, role);
    }

    fn taken_back(&self, role: Role) {
        Stream::taken_back(self, role);
    }

    fn abandoned(&self, role: Role, finished: Finished) {
        Stream::abandoned(self, role, finished);
    }

    fn close(&self) {
        Stream::close(self);
    }

    fn outcome(&self) -> io::Result<()> {
        Stream::outcome(self)
    }
}
