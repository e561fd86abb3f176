//! Receives for a stream, which owns the operation: no future waits for it.

use std::rc::Rc;

use super::{Endpoint, Readiness};
use crate::buf::{self, Chunk, Own, Receiver, pool};
use crate::driver::{Address, CURSOR, Completion, Operation};
use crate::inflight::{Op, Orphan, Step};

/// How a stream receives ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Into provided buffers, until it is cancelled. `bundle`: several of them at once.
    Multishot { group: u16, bundle: bool },
    /// Into one provided buffer, once.
    Provided { group: u16 },
    /// Into memory of its own, once; waits for data first, so that waiting costs no memory.
    Plain,
}

pub(crate) struct ReceiveAhead {
    endpoint: Endpoint,
    way: Way,
    /// Bytes that a single receive may bring.
    length: u32,
    receiver: Rc<dyn Receiver>,
    /// Only of the plain way, and only when data is there.
    own: Option<Box<Own>>,
    readiness: Readiness,
}

impl ReceiveAhead {
    pub(crate) fn new(
        endpoint: Endpoint,
        way: Way,
        length: u32,
        receiver: Rc<dyn Receiver>,
    ) -> ReceiveAhead {
        let is_waiting = way == Way::Plain;
        ReceiveAhead {
            endpoint,
            way,
            length,
            receiver,
            own: None,
            readiness: Readiness { is_waiting },
        }
    }

    fn plain(&mut self) -> Operation {
        let Endpoint { fd, kind } = self.endpoint;
        let length = self.length;
        let own = self.own.get_or_insert_default();
        own.bytes.reserve_exact(length as usize);
        let (pointer, _) = buf::to_fill(&mut own.bytes, 0);
        let address = Address::of_mut(pointer);
        if kind.is_socket() {
            Operation::Receive {
                fd,
                address,
                length,
                flags: 0,
                from_afar: kind.is_far(),
            }
        } else {
            Operation::Read {
                fd,
                address,
                length,
                offset: CURSOR,
            }
        }
    }
}

// SAFETY: points into `own`, which it owns and whose bytes stay where they are; provided buffers are kept by the
// pool, which outlives what is in flight.
unsafe impl Op for ReceiveAhead {
    type Output = ();
    const IDEMPOTENT: bool = true;

    fn operation(&mut self) -> Operation {
        let Endpoint { fd, kind } = self.endpoint;
        if let Some(poll) = self.readiness.operation(fd, libc::POLLIN) {
            return poll;
        }
        let length = self.length;
        match self.way {
            Way::Multishot { group, bundle } => Operation::ReceiveMultishot { fd, group, bundle },
            Way::Provided { group } if kind.is_socket() => {
                Operation::ReceiveProvided { fd, group, length }
            }
            Way::Provided { group } => Operation::ReadProvided {
                fd,
                group,
                length,
                offset: CURSOR,
            },
            Way::Plain => self.plain(),
        }
    }

    fn take_buffers(&mut self, completion: Completion) {
        let Some(first) = completion.buffer else {
            return;
        };
        let len = completion.result.max(0) as usize;
        pool::with(|pool| pool.receive(first, len, &self.receiver));
    }

    fn advance(&mut self, completion: &mut Completion) -> Step {
        let is_plain = self.way == Way::Plain;
        let is_starved = completion.result == -libc::ENOBUFS && !self.readiness.is_waiting;
        // Without a provided buffer it is for the stream to decide what is next.
        if (is_plain || !is_starved)
            && let Some(step) = self.readiness.step(*completion)
        {
            return step;
        }
        if is_plain && completion.result > 0 {
            let mut own = self.own.take().unwrap_or_default();
            buf::set_filled(&mut own.bytes, completion.result as usize);
            if own.bytes.len() < own.bytes.capacity() / 2 {
                own.bytes.shrink_to_fit();
            }
            self.receiver.inlet().push(Chunk::own(own));
        }
        Step::Done
    }

    fn orphaned(&mut self) -> Orphan {
        Orphan::Adopt
    }

    fn complete(self, _: Completion) {}
}
