//! How each kind of operation begins.

use std::io;

use super::Epoll;
use super::attempt::After;
use super::course::{self, Course};
use super::descriptors::{Direction, Kind, Manner};
use super::errands::Errand;
use super::turn::Completions;
use super::waiting::Position;
use crate::driver::calls::{self, Mode};
use crate::driver::{Address, Completion, Descriptor, Key, Operation};
use crate::sys;

impl Epoll {
    pub(super) fn begin(&mut self, key: Key, operation: Operation, completions: &mut Completions) {
        let course = course::of(&operation);
        let queue = course.queue();
        if queue.is_some_and(|(fd, _)| fd < 0) {
            return self.complete(key, Completion::last(-libc::EBADF), completions);
        }
        match course {
            Course::AtOnce => self.do_at_once(key, operation, completions),
            Course::WhenReady(fd, direction) => {
                self.when_ready(key, operation, fd, direction, completions);
            }
            Course::Readiness(_, events) => {
                let queue = queue.expect("where readiness is waited for");
                self.readiness(key, operation, queue, events, completions);
            }
            Course::Connect(fd) => self.connect(key, operation, fd, completions),
            Course::FromCache(fd) if fd < 0 => {
                self.complete(key, Completion::last(-libc::EBADF), completions);
            }
            Course::FromCache(fd) => self.read_from_cache(key, operation, fd, completions),
            Course::OnDisk => {
                self.note_file(&operation);
                self.send_file_to_pool(key, operation);
            }
        }
    }

    fn do_at_once(&mut self, key: Key, operation: Operation, completions: &mut Completions) {
        let result = match operation {
            Operation::Socket { domain, kind, .. } => self.make_socket(&operation, domain, kind),
            Operation::Listen { fd, .. } => self.listen(&operation, fd),
            Operation::Pipe { descriptors, flags } => self.make_pipe(descriptors, flags),
            Operation::Close { fd } if fd >= 0 => {
                let is_file = self.descriptors.state(fd).is_file;
                self.descriptors.forget(fd);
                if is_file {
                    return self.send_file_to_pool(key, operation);
                }
                calls::perform(&operation, Mode::Waits)
            }
            _ => calls::perform(&operation, Mode::Waits),
        };
        self.complete(key, Completion::last(result), completions);
    }

    /// Closing what was written at an offset may wait for a disk.
    fn note_file(&mut self, operation: &Operation) {
        if let Operation::Write { fd, .. }
        | Operation::WriteFixed { fd, .. }
        | Operation::WriteVectored { fd, .. } = *operation
            && fd >= 0
        {
            self.descriptors.state(fd).is_file = true;
        }
    }

    fn make_socket(&mut self, operation: &Operation, domain: i32, kind: i32) -> i32 {
        let result = calls::perform(operation, Mode::Waits);
        if result >= 0 {
            let is_stream = kind & !(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK) == libc::SOCK_STREAM;
            let is_tcp = is_stream && [libc::AF_INET, libc::AF_INET6].contains(&domain);
            let kind = if is_tcp { Kind::Tcp } else { Kind::Other };
            self.descriptors.fresh(result, kind);
        }
        result
    }

    /// A listener that accepts without waiting: there is no call that could be told so. It is ours, and stays so.
    fn listen(&mut self, operation: &Operation, fd: Descriptor) -> i32 {
        let result = calls::perform(operation, Mode::Waits);
        if result >= 0 && sys::set_nonblocking(fd, true).is_ok() {
            self.descriptors.state(fd).manner = Manner::NonBlocking;
        }
        result
    }

    fn make_pipe(&mut self, descriptors: Address, flags: i32) -> i32 {
        let made = calls::pipe(descriptors, flags);
        if let Ok(ends) = &made {
            for end in ends {
                self.descriptors.fresh(*end, Kind::Other);
            }
        }
        calls::answer(made.map(|_| 0))
    }

    /// Closes a descriptor that nobody waits for.
    pub(super) fn close_now(&mut self, fd: Descriptor) {
        let is_file = fd >= 0 && self.descriptors.state(fd).is_file;
        self.descriptors.forget(fd);
        if is_file {
            self.own_in_flight += 1;
            let close = Errand::new(None, Operation::Close { fd }, &self.returns);
            return self.run_on_file(close.on_file(self.file_threads_max));
        }
        // Nothing is lost with an error: the descriptor is gone in any case.
        let _ = sys::close(fd);
        self.counters.completions += 1;
    }

    fn when_ready(
        &mut self,
        key: Key,
        operation: Operation,
        fd: Descriptor,
        direction: Direction,
        completions: &mut Completions,
    ) {
        let state = self.descriptors.state(fd);
        let after = match state.queue(direction).is_empty() && state.may_be_tried(direction) {
            true => self.drive(key, &operation, fd, direction, completions),
            false => After::NotReady,
        };
        match after {
            After::Over => {}
            After::ForThePool => self.send_to_pool(key, operation),
            After::Unfinished | After::NotReady => {
                if after == After::Unfinished {
                    self.unfinished.push((fd, direction));
                } else {
                    self.descriptors.state(fd).set_ready(direction, false);
                }
                self.wait_in_queue(key, operation, (fd, direction), completions);
            }
        }
    }

    fn watch(&mut self, fd: Descriptor, direction: Direction) -> io::Result<()> {
        let is_new = self.descriptors.watch(fd, direction)?;
        self.counters.watches += u64::from(is_new);
        Ok(())
    }

    /// The operation waits for the next edge.
    fn wait_in_queue(
        &mut self,
        key: Key,
        operation: Operation,
        (fd, direction): (Descriptor, Direction),
        completions: &mut Completions,
    ) {
        if direction == Direction::Receiving {
            self.kind(fd);
        }
        if let Err(error) = self.watch(fd, direction) {
            return match error.raw_os_error() {
                // It is always ready, and what it does may wait for a disk.
                Some(libc::EPERM) => self.send_to_pool(key, operation),
                errno => {
                    let failed = Completion::last(-errno.unwrap_or(libc::EIO));
                    self.complete(key, failed, completions);
                }
            };
        }
        let queue = self.descriptors.state(fd).queue(direction);
        self.waiting.push_back(queue, key, operation);
    }

    fn readiness(
        &mut self,
        key: Key,
        operation: Operation,
        (fd, direction): (Descriptor, Direction),
        events: u32,
        completions: &mut Completions,
    ) {
        match self.watch(fd, direction) {
            // It is always ready.
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => {}
            Err(error) => {
                let result = -error.raw_os_error().unwrap_or(libc::EIO);
                return self.complete(key, Completion::last(result), completions);
            }
            Ok(()) => {}
        }
        // Looked at in any case: a datagram socket reports room only to those who have asked whether there is any.
        match sys::ready_now(fd, events as i16) {
            Ok(0) => {
                let queue = self.descriptors.state(fd).queue(direction);
                self.waiting.push_back(queue, key, operation);
            }
            Ok(ready) => {
                self.descriptors.state(fd).set_ready(direction, true);
                let result = i32::from(ready);
                self.complete(key, Completion::last(result), completions);
            }
            Err(error) => {
                let result = -error.raw_os_error().unwrap_or(libc::EIO);
                self.complete(key, Completion::last(result), completions);
            }
        }
    }

    /// Makes the socket begin to connect. It does not wait for that only if it is told so before.
    fn connect(
        &mut self,
        key: Key,
        operation: Operation,
        fd: Descriptor,
        completions: &mut Completions,
    ) {
        let is_stream = sys::get_option(fd, libc::SOL_SOCKET, libc::SO_TYPE)
            .is_ok_and(|kind| kind != libc::SOCK_DGRAM);
        let waits = is_stream
            && sys::status_flags(fd).is_ok_and(|flags| flags & libc::O_NONBLOCK == 0)
            && sys::set_nonblocking(fd, true).is_ok();
        self.descriptors.state(fd).waits_again = waits;
        let result = calls::perform(&operation, Mode::Waits);
        match -result {
            libc::EINPROGRESS => {
                self.wait_in_queue(key, operation, (fd, Direction::Sending), completions);
            }
            // A Unix listener whose queue is full tells nobody when it has room again.
            libc::EAGAIN if is_stream => {
                self.wait_as_before(fd);
                self.waiting.put(key, operation, Position::Pausing);
                self.again.add(key);
            }
            _ => {
                self.wait_as_before(fd);
                self.complete(key, Completion::last(result), completions);
            }
        }
    }

    fn wait_as_before(&mut self, fd: Descriptor) {
        if std::mem::take(&mut self.descriptors.state(fd).waits_again) {
            // What has worked once works again.
            let _ = sys::set_nonblocking(fd, false);
        }
    }

    /// The socket of a connect has become writable. Asked once more, it says what has come of it, and after an error it
    /// can be connected anew.
    pub(super) fn end_connect(
        &mut self,
        key: Key,
        operation: &Operation,
        fd: Descriptor,
        completions: &mut Completions,
    ) {
        let result = match calls::perform(operation, Mode::Waits) {
            result if result == -libc::EALREADY || result == -libc::EINPROGRESS => return,
            result if result == -libc::EISCONN => 0,
            result => result,
        };
        self.unlink(key, fd, Direction::Sending);
        self.wait_as_before(fd);
        self.complete(key, Completion::last(result), completions);
    }
}
