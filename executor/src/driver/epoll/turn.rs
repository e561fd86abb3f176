//! A turn: begins what is staged, waits, and goes on with what has become ready.

use std::io;
use std::time::{Duration, Instant};

use super::attempt::{After, Outcome, single};
use super::course;
use super::descriptors::{Direction, Edge};
use super::waiting::Position;
use super::{BELL, Epoll};
use crate::driver::staging::{Next, Request};
use crate::driver::{Completion, Descriptor, Key, Operation, Wait, time_left};
use crate::sys;

/// What has completed.
pub(super) type Completions = Vec<(Key, Completion)>;

/// How many completions one operation brings before others have their turn.
const SHOTS_MAX: usize = 32;
/// How many turns in a row that had something to do all the same go by without a look at what has become ready.
const LOOKS_SKIPPED_MAX: u32 = 8;
/// For how long: one of these turns may have had a task that computes. As long as a turn polls whatever becomes ready.
const SKIPPING_MAX: Duration = Duration::from_micros(500);

impl Epoll {
    /// Takes in what threads have brought. No system call.
    #[inline]
    pub(crate) fn reap(&mut self, completions: &mut Completions) {
        self.returns.take(&mut self.returned);
        if !self.returned.is_empty() {
            self.take_returned(completions);
        }
    }

    /// Hands out a completion.
    pub(super) fn complete(
        &mut self,
        key: Key,
        completion: Completion,
        completions: &mut Completions,
    ) {
        self.counters.completions += 1;
        let is_known = self.staging.complete(key, completion.more);
        debug_assert!(is_known, "{key:?} was never submitted");
        completions.push((key, completion));
    }

    pub(crate) fn enter(&mut self, wait: Wait, completions: &mut Completions) -> io::Result<()> {
        let before = self.counters.completions;
        self.reap(completions);
        let entered = self.begin_and_wait(wait, before, completions);
        if wait != Wait::No {
            self.bells_heard = self.counters.bells;
        }
        entered
    }

    /// `before`: how many completions there were of everything.
    fn begin_and_wait(
        &mut self,
        wait: Wait,
        before: u64,
        completions: &mut Completions,
    ) -> io::Result<()> {
        loop {
            #[cfg(any(test, feature = "fault-injection"))]
            if self.fails_by_plan()? {
                continue;
            }
            self.begin_again(completions);
            self.begin_staged(completions);
            self.go_on_unfinished(completions);
            let nothing_yet =
                before == self.counters.completions && self.bells_heard == self.counters.bells;
            match self.timeout(wait, nothing_yet) {
                Some(timeout) => self.look(timeout, completions)?,
                None => return Ok(()),
            }
            self.reap(completions);
            let something =
                before != self.counters.completions || self.bells_heard != self.counters.bells;
            if something || !nothing_yet || time_left(wait).is_none() {
                return Ok(());
            }
        }
    }

    /// How long to wait for readiness; `None`: not to look at all.
    fn timeout(&mut self, wait: Wait, nothing_yet: bool) -> Option<Option<Duration>> {
        if nothing_yet
            && self.unfinished.is_empty()
            && let Some(timeout) = time_left(wait)
        {
            return Some(self.again.shorten(timeout));
        }
        if self.waiting.queued() == 0 {
            return None;
        }
        // Whoever has just slept has looked; whoever has something to do looks a little later.
        let has_looked = std::mem::take(&mut self.has_slept);
        let may_skip = !nothing_yet && self.looks_skipped < LOOKS_SKIPPED_MAX;
        let is_recent = || self.looked_at.elapsed() < SKIPPING_MAX;
        if (has_looked || may_skip) && !self.many_ready && is_recent() {
            self.looks_skipped += 1;
            return None;
        }
        Some(Some(Duration::ZERO))
    }

    /// One system call: what has become ready goes on.
    fn look(&mut self, timeout: Option<Duration>, completions: &mut Completions) -> io::Result<()> {
        self.looks_skipped = 0;
        self.has_slept = timeout != Some(Duration::ZERO);
        let sleeps = timeout != Some(Duration::ZERO) && self.in_pool > 0;
        let timeout = match sleeps && !self.returns.prepare_sleep() {
            true => Some(Duration::ZERO),
            false => timeout,
        };
        self.counters.enters += 1;
        let mut events = std::mem::take(&mut self.events);
        let found = self.wait_for_events(&mut events, timeout);
        self.looked_at = Instant::now();
        if sleeps {
            self.returns.wake_up();
        }
        let count = found.or_else(|error| match error.raw_os_error() {
            Some(libc::EINTR) => Ok(0),
            _ => Err(error),
        });
        if let Ok(count) = count {
            self.many_ready = count == events.len();
            for event in &events[..count] {
                self.happened(*event, completions);
            }
        }
        self.events = events;
        count.map(drop)
    }

    fn wait_for_events(
        &mut self,
        events: &mut [sys::Event],
        timeout: Option<Duration>,
    ) -> io::Result<usize> {
        #[cfg(any(test, feature = "fault-injection"))]
        if let Some(errno @ 1..) = self.enter_errors.pop_front() {
            return Err(io::Error::from_raw_os_error(errno));
        }
        sys::wait_for_events(self.descriptors.set(), events, timeout)
    }

    /// A test wants this attempt to fail before anything is begun. True if it is to be repeated; interruptions are
    /// left to the wait.
    #[cfg(any(test, feature = "fault-injection"))]
    fn fails_by_plan(&mut self) -> io::Result<bool> {
        let Some(errno) = self.enter_errors.pop_front() else {
            return Ok(false);
        };
        match errno {
            0 | libc::EINTR => {
                self.enter_errors.push_front(errno);
                Ok(false)
            }
            libc::EAGAIN | libc::EBUSY | libc::ENOMEM => Ok(true),
            _ => Err(io::Error::from_raw_os_error(errno)),
        }
    }

    fn happened(&mut self, event: sys::Event, completions: &mut Completions) {
        if event.u64 == BELL {
            self.counters.bells += 1;
            return;
        }
        let Some(edge) = self.descriptors.edge(event) else {
            return;
        };
        for direction in [Direction::Sending, Direction::Receiving] {
            if edge.concerns(direction) {
                self.go_on(edge, direction, completions);
            }
        }
    }

    /// Goes on with what waits at a descriptor that has become ready, in order.
    fn go_on(&mut self, edge: Edge, direction: Direction, completions: &mut Completions) {
        let fd = edge.fd;
        let queue = *self.descriptors.state(fd).queue(direction);
        let mut next = self.waiting.first(&queue);
        let mut is_ready = true;
        while let Some((key, operation)) = next {
            next = self.waiting.after(key);
            match operation {
                Operation::Poll { events, .. } => {
                    let found =
                        edge.events & (events.cast_signed() | libc::EPOLLERR | libc::EPOLLHUP);
                    if found != 0 {
                        self.unlink(key, fd, direction);
                        self.complete(key, Completion::last(found), completions);
                    }
                }
                Operation::Connect { .. } => self.end_connect(key, &operation, fd, completions),
                _ if is_ready => {
                    let after = self.drive(key, &operation, fd, direction, completions);
                    is_ready = after == After::Over;
                    self.leave_queue(after, key, operation, fd, direction);
                }
                _ => {}
            }
        }
    }

    /// What becomes of an operation in a queue that was tried.
    fn leave_queue(
        &mut self,
        after: After,
        key: Key,
        operation: Operation,
        fd: Descriptor,
        direction: Direction,
    ) {
        match after {
            After::Over => self.unlink(key, fd, direction),
            After::NotReady => self.descriptors.state(fd).set_ready(direction, false),
            After::Unfinished => self.unfinished.push((fd, direction)),
            After::ForThePool => {
                self.unlink(key, fd, direction);
                self.send_to_pool(key, operation);
            }
        }
    }

    pub(super) fn unlink(&mut self, key: Key, fd: Descriptor, direction: Direction) {
        let queue = self.descriptors.state(fd).queue(direction);
        self.waiting.unlink(queue, key);
    }

    /// Tries an operation until it is over or finds nothing more.
    pub(super) fn drive(
        &mut self,
        key: Key,
        operation: &Operation,
        fd: Descriptor,
        direction: Direction,
        completions: &mut Completions,
    ) -> After {
        for _ in 0..SHOTS_MAX {
            match self.attempt(operation, fd, direction) {
                Outcome::Completed(completion) => {
                    self.complete(key, completion, completions);
                    if !completion.more {
                        return After::Over;
                    }
                    if !self.descriptors.state(fd).may_be_tried(direction) {
                        return After::NotReady;
                    }
                }
                Outcome::NotReady => return After::NotReady,
                Outcome::ForThePool => return After::ForThePool,
            }
        }
        After::Unfinished
    }

    /// Operations that had more to do than one turn allows.
    fn go_on_unfinished(&mut self, completions: &mut Completions) {
        if self.unfinished.is_empty() {
            return;
        }
        for (fd, direction) in std::mem::take(&mut self.unfinished) {
            self.go_on(Edge { fd, events: 0 }, direction, completions);
        }
    }

    fn begin_again(&mut self, completions: &mut Completions) {
        for key in self.again.take_due() {
            if let Some((Position::Pausing, operation)) = self.waiting.find(key) {
                self.waiting.remove(key);
                self.begin(key, operation, completions);
            }
        }
    }

    fn begin_staged(&mut self, completions: &mut Completions) {
        let before = self.counters.submitted;
        while let Some(next) = self.staging.next() {
            self.counters.submitted += 1;
            match next {
                Next::Operation(key, operation) => self.begin(key, operation, completions),
                Next::Request(Request::Cancel(key)) => self.stop(key, completions),
                Next::Request(Request::Close(fd)) => self.close_now(fd),
            }
        }
        let batch = self.counters.submitted - before;
        if batch > 0 {
            self.counters.batches.record(batch);
        }
    }

    /// Stops an operation, if that can still be done.
    fn stop(&mut self, key: Key, completions: &mut Completions) {
        self.counters.cancels += 1;
        // The answer to the cancel itself.
        self.counters.completions += 1;
        let Some((position, operation)) = self.waiting.find(key) else {
            self.counters.cancels_too_late += 1;
            return;
        };
        match (position, course::of(&operation).queue()) {
            // What has come already is not lost: as on a ring, which learns of it before it learns of the cancel.
            (Position::Queued, Some(queue)) if is_accept(&operation) => {
                if self.is_over_at_last(key, operation, queue, completions) {
                    return;
                }
            }
            (Position::Queued, Some((fd, direction))) => self.unlink(key, fd, direction),
            (Position::Pausing, _) => self.waiting.remove(key),
            (Position::InPool, _) => return self.stop_in_pool(key, operation, completions),
            (Position::Nowhere | Position::Queued, _) => unreachable!("{key:?} waits nowhere"),
        }
        self.complete(key, Completion::last(-libc::ECANCELED), completions);
    }

    fn stop_in_pool(&mut self, key: Key, operation: Operation, completions: &mut Completions) {
        if !self.withdraw(key, completions) {
            self.counters.cancels_too_late += 1;
            // It ends when the thread comes back, also if it would have gone on.
            self.waiting.put(key, single(operation), Position::InPool);
        }
    }

    /// Takes an operation out of its queue after a last try. False if nothing more came of it.
    fn is_over_at_last(
        &mut self,
        key: Key,
        operation: Operation,
        (fd, direction): (Descriptor, Direction),
        completions: &mut Completions,
    ) -> bool {
        // What came after the last edge has not been reported yet.
        self.descriptors.state(fd).set_ready(direction, true);
        let mut after = After::Unfinished;
        while after == After::Unfinished {
            after = self.drive(key, &operation, fd, direction, completions);
        }
        self.unlink(key, fd, direction);
        if after == After::ForThePool {
            // The connection is there: a thread takes that one.
            self.send_to_pool(key, single(operation));
        }
        after != After::NotReady
    }
}

fn is_accept(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::Accept { .. } | Operation::AcceptMultishot { .. }
    )
}
