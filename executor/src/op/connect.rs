//! Connects a socket.

use std::io;
use std::os::fd::AsRawFd;

use crate::context;
use crate::driver::RawAddress;
use crate::driver::{Address, Answer, Completion, Control, Operation, OwnedDescriptor};
use crate::inflight::{Op, Step};

/// Owns the socket, so that it is not closed while the kernel works on it.
pub(crate) struct Connect {
    socket: OwnedDescriptor,
    address: Box<RawAddress>,
    phase: Phase,
}

/// A connect that a signal interrupts goes on without its caller (connect(2), under `EINTR` and `EINPROGRESS`): asked
/// again it answers `EALREADY` or `EISCONN`. What has come of it shows when the socket is writable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    New,
    Submitted,
    /// Interrupted; waits until the socket is writable.
    Waits,
}

impl Connect {
    pub(crate) fn new(socket: OwnedDescriptor, address: RawAddress) -> Connect {
        Connect {
            socket,
            address: Box::new(address),
            phase: Phase::New,
        }
    }

    /// Looks what came of the interrupted connect: `None` if it has not even begun, as happens on Unix
    /// sockets, whose connect is one step.
    fn outcome(&self) -> Option<i32> {
        let fd = self.socket.as_raw_fd();
        let ask = |control| context::with(|core| core.driver.borrow_mut().control(control));
        match ask(Control::TakeError { fd })? {
            Ok(Answer::Number(0)) => {}
            Ok(Answer::Number(errno)) => return Some(-errno),
            _ => return None,
        }
        ask(Control::PeerName { fd })?.is_ok().then_some(0)
    }
}

// SAFETY: points into the boxed address, which it owns.
unsafe impl Op for Connect {
    type Output = io::Result<OwnedDescriptor>;
    const IDEMPOTENT: bool = false;

    fn operation(&mut self) -> Operation {
        let fd = self.socket.as_raw_fd();
        if self.phase == Phase::New {
            self.phase = Phase::Submitted;
            return Operation::Connect {
                fd,
                address: Address::of(self.address.as_ptr()),
                address_length: self.address.length(),
            };
        }
        self.phase = Phase::Waits;
        Operation::Poll {
            fd,
            events: libc::POLLOUT as u32,
        }
    }

    fn advance(&mut self, completion: &mut Completion) -> Step {
        if self.phase != Phase::Waits || completion.result < 0 {
            return Step::Done;
        }
        match self.outcome() {
            Some(result) => {
                completion.result = result;
                Step::Done
            }
            None => {
                self.phase = Phase::New;
                Step::Again
            }
        }
    }

    fn complete(self, completion: Completion) -> io::Result<OwnedDescriptor> {
        super::unit(completion).map(|()| self.socket)
    }
}
