//! One try at an operation that waits for readiness.

use super::Epoll;
use super::descriptors::{Direction, Kind, Manner};
use crate::driver::calls::{self, Mode};
use crate::driver::groups::Provided;
use crate::driver::{Address, CURSOR, Completion, Descriptor, Operation};
use crate::sys;

/// What a try comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Completed(Completion),
    /// The descriptor is not ready.
    NotReady,
    /// The descriptor is ready, but the call might wait all the same: it is for the pool.
    ForThePool,
}

impl Outcome {
    fn last(result: i32) -> Outcome {
        Outcome::Completed(Completion::last(result))
    }
}

/// What follows a number of tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    Over,
    NotReady,
    ForThePool,
    /// There may be more to do, but others have their turn first.
    Unfinished,
}

impl Epoll {
    /// Tries an operation whose descriptor may be ready.
    pub(super) fn attempt(
        &mut self,
        operation: &Operation,
        fd: Descriptor,
        direction: Direction,
    ) -> Outcome {
        self.counters.attempts += 1;
        match *operation {
            Operation::Receive { flags, length, .. } => {
                // What is only looked at is still there.
                let wanted = (flags & libc::MSG_PEEK == 0).then_some(length);
                self.on_socket(operation, fd, direction, flags, wanted)
            }
            Operation::Send { flags, length, .. } => {
                self.on_socket(operation, fd, direction, flags, Some(length))
            }
            Operation::ReceiveMessage { flags, .. } | Operation::SendMessage { flags, .. } => {
                self.on_socket(operation, fd, direction, flags, None)
            }
            Operation::Accept { .. } | Operation::AcceptMultishot { .. } => {
                self.accept(operation, fd)
            }
            Operation::ReceiveProvided { group, length, .. } => {
                self.receive_provided(fd, group, length, false)
            }
            Operation::ReceiveMultishot { group, .. } => {
                self.receive_provided(fd, group, u32::MAX, true)
            }
            Operation::ReceiveMessageMultishot { header, group, .. } => {
                let receive = |buffer: Provided| {
                    calls::receive_message_into(fd, header, buffer.address, buffer.length)
                };
                match self.fill_next(group, true, receive).0 {
                    Outcome::NotReady if self.has_ended(fd) => Outcome::last(0),
                    outcome => outcome,
                }
            }
            Operation::ReadProvided { group, length, .. } => self.read_provided(fd, group, length),
            _ => self.transfer(operation, fd, direction),
        }
    }

    /// `wanted`: how many bytes it asks for, if to get less means that there was no more.
    #[inline]
    pub(super) fn on_socket(
        &mut self,
        operation: &Operation,
        fd: Descriptor,
        direction: Direction,
        flags: i32,
        wanted: Option<u32>,
    ) -> Outcome {
        let result = calls::perform_on_socket(operation);
        let waits = flags & libc::MSG_DONTWAIT == 0;
        let state = self.descriptors.state(fd);
        if let Some(wanted) = wanted
            && direction == Direction::Sending
        {
            state.habits.sent(result, wanted);
        }
        if result == -libc::EAGAIN && waits {
            return match direction {
                Direction::Receiving => self.unless_ended(operation, fd),
                Direction::Sending => Outcome::NotReady,
            };
        }
        if let Some(wanted) = wanted {
            state.has_moved(direction, result, wanted);
        }
        Outcome::last(result)
    }

    /// A datagram socket whose receiving was shut down has nothing for a call that does not wait, and an end for one that
    /// does.
    fn unless_ended(&mut self, operation: &Operation, fd: Descriptor) -> Outcome {
        if !self.has_ended(fd) {
            return Outcome::NotReady;
        }
        match self.manner(fd) {
            Manner::NonBlocking => Outcome::last(0),
            _ => Outcome::last(calls::perform(operation, Mode::Waits)),
        }
    }

    /// Whether receiving was shut down, as far as an edge has said so.
    fn has_ended(&mut self, fd: Descriptor) -> bool {
        let ended = libc::POLLRDHUP;
        self.descriptors.state(fd).is_special
            && sys::ready_now(fd, ended).is_ok_and(|ready| ready & ended != 0)
    }

    fn receive_provided(
        &mut self,
        fd: Descriptor,
        group: u16,
        length: u32,
        multishot: bool,
    ) -> Outcome {
        let receive = |buffer: Provided| {
            let receive = Operation::Receive {
                fd,
                address: buffer.address,
                length: buffer.length.min(length),
                flags: 0,
                from_afar: false,
            };
            calls::perform(&receive, Mode::Refuses)
        };
        let (outcome, wanted) = self.fill_next(group, multishot, receive);
        if let Outcome::Completed(completion) = outcome {
            let state = self.descriptors.state(fd);
            state.has_moved(Direction::Receiving, completion.result, wanted.min(length));
        }
        outcome
    }

    /// Calls `receive` with the next buffer of `group`, which is taken if something has come into it. Answers the length
    /// of the buffer, too.
    fn fill_next(
        &mut self,
        group: u16,
        multishot: bool,
        receive: impl FnOnce(Provided) -> i32,
    ) -> (Outcome, u32) {
        let Some(buffer) = self.groups.next(group) else {
            return (Outcome::last(-libc::ENOBUFS), 0);
        };
        let result = receive(buffer);
        let outcome = match result {
            _ if result == -libc::EAGAIN => Outcome::NotReady,
            1.. => {
                self.groups.take(group);
                Outcome::Completed(Completion {
                    result,
                    more: multishot,
                    buffer: Some(buffer.id),
                })
            }
            _ => Outcome::last(result),
        };
        (outcome, buffer.length)
    }

    fn read_provided(&mut self, fd: Descriptor, group: u16, length: u32) -> Outcome {
        let Some(buffer) = self.groups.next(group) else {
            return Outcome::last(-libc::ENOBUFS);
        };
        let read = Operation::Read {
            fd,
            address: buffer.address,
            length: buffer.length.min(length),
            offset: CURSOR,
        };
        let mut outcome = self.transfer(&read, fd, Direction::Receiving);
        if let Outcome::Completed(completion) = &mut outcome
            && completion.result > 0
        {
            self.groups.take(group);
            completion.buffer = Some(buffer.id);
        }
        outcome
    }

    fn accept(&mut self, operation: &Operation, fd: Descriptor) -> Outcome {
        let multishot = matches!(operation, Operation::AcceptMultishot { .. });
        if self.manner(fd) == Manner::Blocking {
            return match is_ready(fd, libc::POLLIN) {
                true => Outcome::ForThePool,
                false => Outcome::NotReady,
            };
        }
        let result = calls::perform(&single(*operation), Mode::Waits);
        if result == -libc::EAGAIN {
            return Outcome::NotReady;
        }
        let more = multishot && self.accepted(fd, result);
        Outcome::Completed(Completion {
            more,
            ..Completion::last(result)
        })
    }

    /// Notes the connection that was accepted from `listener`. False if it is an error.
    pub(super) fn accepted(&mut self, listener: Descriptor, result: i32) -> bool {
        if result < 0 {
            return false;
        }
        let kind = self.kind(listener);
        self.descriptors.fresh(result, kind);
        true
    }

    /// Reads or writes a descriptor of any kind at its cursor.
    fn transfer(&mut self, operation: &Operation, fd: Descriptor, direction: Direction) -> Outcome {
        let state = self.descriptors.state(fd);
        if matches!(state.manner, Manner::Unknown | Manner::Told) {
            match calls::perform(operation, Mode::Refuses) {
                result if result == -libc::EAGAIN => return Outcome::NotReady,
                result if result == -libc::EOPNOTSUPP => self.learn_manner(fd),
                result => {
                    state.manner = Manner::Told;
                    return Outcome::last(result);
                }
            }
        }
        if self.descriptors.state(fd).manner == Manner::NonBlocking {
            return match calls::perform(operation, Mode::Waits) {
                result if result == -libc::EAGAIN => Outcome::NotReady,
                result => Outcome::last(result),
            };
        }
        let events = match direction {
            Direction::Receiving => libc::POLLIN,
            Direction::Sending => libc::POLLOUT,
        };
        match is_ready(fd, events) {
            true => Outcome::ForThePool,
            false => Outcome::NotReady,
        }
    }

    /// Whether calls that cannot be told not to wait do so.
    fn manner(&mut self, fd: Descriptor) -> Manner {
        if self.descriptors.state(fd).manner == Manner::Unknown {
            self.learn_manner(fd);
        }
        self.descriptors.state(fd).manner
    }

    fn learn_manner(&mut self, fd: Descriptor) {
        let is_nonblocking = sys::status_flags(fd).is_ok_and(|flags| flags & libc::O_NONBLOCK != 0);
        self.descriptors.state(fd).manner = match is_nonblocking {
            true => Manner::NonBlocking,
            false => Manner::Blocking,
        };
    }

    pub(super) fn kind(&mut self, fd: Descriptor) -> Kind {
        let state = self.descriptors.state(fd);
        if state.kind == Kind::Unknown {
            let protocol = sys::get_option(fd, libc::SOL_SOCKET, libc::SO_PROTOCOL);
            state.kind = match protocol {
                Ok(libc::IPPROTO_TCP) => Kind::Tcp,
                _ => Kind::Other,
            };
        }
        state.kind
    }
}

/// An accept of one connection.
pub(super) fn single(operation: Operation) -> Operation {
    match operation {
        Operation::AcceptMultishot { fd, flags } => Operation::Accept {
            fd,
            address: Address(0),
            address_length: Address(0),
            flags,
        },
        other => other,
    }
}

/// Also if it has ended or failed: a call will say so.
fn is_ready(fd: Descriptor, events: i16) -> bool {
    sys::ready_now(fd, events).map_or(true, |ready| ready != 0)
}
