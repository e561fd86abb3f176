//! [`File`]: a file that can be read and written at any place, and the operations on it.
//!
//! As many operations as the user likes are in flight at once. What a dropped future leaves behind
//! is another matter: a *change* in flight goes on, and is *orphaned*. The file keeps
//! a list of those. Whatever touches the same bytes waits until they are over, so that a later write is the
//! one that stays; `sync`, `set_len` and `close` wait for all of them.
//!
//! An orphan that fails leaves its error here: the next change that touches the same
//! bytes gets it instead of being done, or the next `sync`, `set_len` or `close`, whichever comes first.
//! If several fail before anybody asks, the first error stands for all, and what they touched is joined.

mod accepted;

use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::os::fd::AsRawFd;
use std::task::Context;

use super::closing::Closing;
use super::outbox::Outbox;
use super::span::Span;
use super::waiters::{Lane, Place, Waiters};
use super::{SourceId, closed_error};
use crate::buf::OPERATION_LENGTH_MAX;
use crate::context;
use crate::cores::quietly;
use crate::driver::{Answer, Completion, Control, Descriptor, Key, OwnedDescriptor};
use crate::inflight::{self, Attachment, Finished, Op, Role};
use crate::tries::Tries;

/// Where the cursor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cursor {
    At(u64),
    /// Behind what was last appended: only the kernel knows where that was.
    BehindAppended,
}

/// A change that goes on without its future.
#[derive(Clone, Copy, Debug)]
struct Orphaned {
    key: Key,
    span: Span,
}

/// What has come of orphans, until somebody is told.
#[derive(Clone, Copy, Debug)]
struct Failure {
    errno: i32,
    span: Span,
}

pub(crate) struct File {
    id: SourceId,
    fd: Descriptor,
    /// Taken by the operation that closes it, or by whoever takes the file over.
    owned: Cell<Option<OwnedDescriptor>>,
    /// Everything is written to the end.
    appends: bool,
    piece_max: Cell<u32>,
    /// Reads past the kernel's cache.
    is_direct: bool,
    /// Whether the next read may find all it wants in the kernel's cache.
    tries_cache: Tries,
    /// Of those who use the cursor, one at a time.
    pub(super) lane: Lane,
    cursor: Cell<Cursor>,
    in_flight: Cell<usize>,
    /// How many of those are changes.
    changes: Cell<usize>,
    orphaned: RefCell<Vec<Orphaned>>,
    failure: Cell<Option<Failure>>,
    /// What was accepted and is written by itself.
    outbox: OnceCell<Box<Outbox>>,
    accepted_in_flight: Cell<Option<Key>>,
    has_lane_for_accepted: Cell<bool>,
    /// Who waits until orphans are over.
    waiters: Waiters,
    pub(super) closing: Closing,
    /// Whoever awaits the end wants the descriptor open.
    handed_over: Cell<bool>,
}

impl File {
    pub(super) fn new(id: SourceId, fd: OwnedDescriptor, flags: i32, position: u64) -> File {
        File {
            id,
            fd: fd.as_raw_fd(),
            owned: Cell::new(Some(fd)),
            appends: flags & libc::O_APPEND != 0,
            piece_max: Cell::new(OPERATION_LENGTH_MAX as u32),
            is_direct: flags & libc::O_DIRECT != 0,
            tries_cache: Tries::default(),
            lane: Lane::default(),
            cursor: Cell::new(Cursor::At(position)),
            in_flight: Cell::new(0),
            changes: Cell::new(0),
            orphaned: RefCell::default(),
            failure: Cell::new(None),
            outbox: OnceCell::new(),
            accepted_in_flight: Cell::new(None),
            has_lane_for_accepted: Cell::new(false),
            waiters: Waiters::default(),
            closing: Closing::default(),
            handed_over: Cell::new(false),
        }
    }

    pub(super) fn id(&self) -> SourceId {
        self.id
    }

    pub(crate) fn descriptor(&self) -> Descriptor {
        self.fd
    }

    /// The most bytes that one operation moves.
    pub(super) fn piece_max(&self) -> u32 {
        self.piece_max.get()
    }

    pub(crate) fn set_piece_max(&self, bytes: u32) {
        self.piece_max.set(bytes);
    }

    pub(crate) fn appends(&self) -> bool {
        self.appends
    }

    pub(super) fn attachment(&self, role: Role) -> Attachment {
        self.id.attachment(role)
    }

    pub(super) fn check_open(&self) -> io::Result<()> {
        if self.closing.is_open() {
            Ok(())
        } else {
            Err(closed_error())
        }
    }

    /// True if an orphaned change is under way that whatever touches `span` has to wait for.
    pub(super) fn holds_up(&self, span: Span) -> bool {
        let orphaned = self.orphaned.borrow();
        orphaned.iter().any(|orphan| span.meets(orphan.span))
    }

    pub(super) fn wait(&self, place: &mut Option<Place>, cx: &Context<'_>) {
        self.waiters.wait(place, cx);
    }

    pub(super) fn leave(&self, place: Option<Place>) {
        if let Some(place) = place {
            self.waiters.leave(place);
        }
    }

    /// The error of orphans that touched what `span` touches. It is told once.
    pub(super) fn take_failure(&self, span: Span) -> io::Result<()> {
        match self.failure.get() {
            Some(failure) if span.meets(failure.span) => {
                self.failure.set(None);
                Err(io::Error::from_raw_os_error(failure.errno))
            }
            _ => Ok(()),
        }
    }

    /// Where the cursor is.
    pub(super) fn position(&self) -> io::Result<u64> {
        match self.cursor.get() {
            Cursor::At(offset) => Ok(offset),
            Cursor::BehindAppended => {
                let fd = self.fd;
                let offset = offset(Control::Position { fd })?;
                self.cursor.set(Cursor::At(offset));
                Ok(offset)
            }
        }
    }

    /// True if [`position`](File::position) knows, whatever is under way.
    pub(super) fn knows_position(&self) -> bool {
        self.cursor.get() != Cursor::BehindAppended || self.orphaned.borrow().is_empty()
    }

    pub(crate) fn set_position(&self, offset: u64) {
        self.cursor.set(Cursor::At(offset));
    }

    /// Bytes were read and not used: they are read again.
    #[cfg(feature = "futures-io")]
    pub(super) fn step_back(&self, count: usize) {
        if let Cursor::At(offset) = self.cursor.get() {
            self.set_position(offset.saturating_sub(count as u64));
        }
    }

    pub(super) fn set_behind_appended(&self) {
        self.cursor.set(Cursor::BehindAppended);
    }

    /// The end of a read, if the kernel's cache has all it wants: then it takes no way through the driver, which costs more than the
    /// call. A file that is not in the cache is soon asked only now and then.
    pub(super) fn try_cache<T: Op>(&self, op: &mut T) -> Option<Completion> {
        context::with(|core| {
            if !core.tries_at_once.cached_reads || self.is_direct || !self.tries_cache.is_due() {
                return None;
            }
            let completion = inflight::try_at_once(core, op);
            self.tries_cache.learn(completion.is_some());
            completion
        })
        .flatten()
    }

    pub(super) fn started(&self, role: Role) {
        self.in_flight.set(self.in_flight.get() + 1);
        if role == Role::Change {
            self.changes.set(self.changes.get() + 1);
        }
    }

    /// An operation has ended, or was taken back, whoever gets its result.
    pub(super) fn ended(&self, role: Role) {
        self.take_note(role);
        self.progress();
    }

    /// The same, but for what comes of it: true if the file may go on with closing. Runs no code of the user.
    #[inline]
    pub(super) fn take_note(&self, role: Role) -> bool {
        self.in_flight.set(self.in_flight.get() - 1);
        if role == Role::Change {
            self.changes.set(self.changes.get() - 1);
        }
        self.closing.may_close()
    }

    /// The future of a change is gone, the change goes on.
    pub(super) fn orphan(&self, key: Key, span: Span) {
        self.orphaned.borrow_mut().push(Orphaned { key, span });
    }

    /// The future of a change is gone, which had ended unread. What a short write has left is written now.
    pub(super) fn abandoned(&self, finished: Finished, span: Span) {
        if !self.closing.is_open() {
            return self.note(finished, span);
        }
        match finished.resume(self.attachment(Role::Change)) {
            Ok(Some(key)) => {
                self.started(Role::Change);
                self.orphan(key, span);
            }
            Ok(None) => {}
            Err(finished) => self.note(finished, span),
        }
    }

    /// An operation whose future is gone has ended.
    pub(super) fn deliver(&self, key: Key, role: Role, finished: Finished) {
        let mut orphaned = self.orphaned.borrow_mut();
        let found = orphaned.iter().position(|orphan| orphan.key == key);
        let orphan = found.map(|found| orphaned.swap_remove(found));
        drop(orphaned);
        match orphan {
            Some(orphan) => self.note(finished, orphan.span),
            // The user's buffer is dropped while nothing of ours is borrowed, and may panic.
            None => quietly(|| drop(finished)),
        }
        if self.accepted_in_flight.get() == Some(key) {
            self.accepted_in_flight.set(None);
        }
        self.begin_accepted();
        self.ended(role);
        self.waiters.wake_all();
    }

    /// Remembers how a change ended that nobody waits for.
    fn note(&self, finished: Finished, span: Span) {
        let result = finished.completion().result;
        quietly(|| drop(finished));
        if result < 0 {
            self.fail(-result, span);
        }
    }

    fn fail(&self, errno: i32, span: Span) {
        let failure = match self.failure.get() {
            None => Failure { errno, span },
            Some(first) => Failure {
                errno: first.errno,
                span: first.span.and(span),
            },
        };
        self.failure.set(Some(failure));
    }

    /// True while changes are under way.
    pub(super) fn has_unwritten(&self) -> bool {
        self.changes.get() > 0 || self.has_accepted()
    }

    /// Waits for everything in flight, then closes the descriptor.
    pub(super) fn close(&self) {
        if self.closing.begin() {
            self.lane.wake_all();
            self.waiters.wake_all();
            self.progress();
        }
    }

    /// As [`close`](File::close), but [`take_descriptor`](File::take_descriptor) has it in the end.
    pub(super) fn hand_over(&self) {
        self.handed_over.set(true);
        self.close();
    }

    /// Nobody awaits the descriptor any more: it is closed like any.
    pub(super) fn keep_descriptor(&self) {
        self.handed_over.set(false);
    }

    /// The end of [`hand_over`](File::hand_over).
    pub(super) fn take_descriptor(&self) -> Option<OwnedDescriptor> {
        if let (Some(owned), Ok(offset)) = (self.owned.take(), self.position()) {
            super::forget(&owned);
            let fd = owned.as_raw_fd();
            // If it has no position of its own, it needs none.
            let _ = self::offset(Control::SetPosition { fd, offset });
            return Some(owned);
        }
        None
    }

    /// Goes on with closing, if nothing is in flight any more.
    pub(super) fn progress(&self) {
        let is_idle = self.in_flight.get() == 0 && !self.has_accepted();
        if !is_idle || !self.closing.may_close() {
            return;
        }
        if self.handed_over.get() {
            self.closing.finish();
        } else {
            let attachment = self.id.attachment(Role::Close);
            self.closing.close(attachment, self.owned.take());
        }
    }

    /// The descriptor is closed. True if the source can be forgotten.
    pub(super) fn closed(&self, completion: Completion) -> bool {
        let errno = -completion.result;
        if errno > 0 && errno != libc::EINTR {
            self.fail(errno, Span::Everything);
        }
        let may_go = self.closing.finish();
        if may_go {
            self.warn();
        }
        may_go
    }

    /// How the changes ended, for `close().await`.
    pub(super) fn outcome(&self) -> io::Result<()> {
        self.take_failure(Span::Everything)
    }

    /// Nobody will ever ask: an error that has not been told must not go unnoticed.
    pub(super) fn warn(&self) {
        if let Err(error) = self.outcome() {
            tracing::warn!(
                "a change of a file failed whose future was dropped, and the file was closed without \
                 asking: {error}; call sync_all() or close() to get such errors"
            );
        }
    }
}

/// Asks the driver where something is.
fn offset(control: Control) -> io::Result<u64> {
    let answer = context::with(|core| core.driver.borrow_mut().control(control));
    match answer.unwrap_or_else(|| Err(crate::inflight::outside_error()))? {
        Answer::Offset(offset) => Ok(offset),
        other => unreachable!("an offset was asked for, the answer is {other:?}"),
    }
}
