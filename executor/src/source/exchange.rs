//! What the operations on a datagram socket do when their turn comes.

use std::io;

use super::datagrams::Datagrams;
use super::transfer::{Begin, LaneOp};
use crate::buf::{BufResult, IoBuf, IoBufMut};
use crate::driver::RawAddress;
use crate::inflight::Role;
use crate::op::associate::Associate;
use crate::op::receive_from::{ReceiveFrom, Received};
use crate::op::send_to::SendTo;
use crate::op::shutdown::Shutdown;

/// What to receive into, and whether the datagram stays for the next receive.
pub(crate) struct IncomingDatagram<B> {
    pub(crate) buf: B,
    pub(crate) peeks: bool,
}

impl<B: IoBufMut> LaneOp<Datagrams> for ReceiveFrom<B> {
    type Resource = IncomingDatagram<B>;
    const ROLE: Role = Role::Receive;

    fn begin(source: &Datagrams, incoming: IncomingDatagram<B>) -> Begin<Self, Self::Resource> {
        let IncomingDatagram { mut buf, peeks } = incoming;
        match source.receive_without_kernel(&mut buf, peeks) {
            Some(result) => Begin::Ready((result, buf)),
            None if source.receives_ahead() => Begin::Wait(IncomingDatagram { buf, peeks }),
            None => Begin::Submit(ReceiveFrom::new(source.descriptor(), buf, peeks)),
        }
    }

    fn failed(error: io::Error, incoming: IncomingDatagram<B>) -> BufResult<Received, B> {
        (Err(error), incoming.buf)
    }

    fn into_resource(self) -> IncomingDatagram<B> {
        IncomingDatagram {
            buf: self.into_buf(),
            peeks: false,
        }
    }
}

/// What to send, and to whom, unless the socket is connected.
pub(crate) struct OutgoingDatagram<B> {
    pub(crate) buf: B,
    pub(crate) receiver: Option<RawAddress>,
}

impl<B: IoBuf> LaneOp<Datagrams> for SendTo<B> {
    type Resource = OutgoingDatagram<B>;
    const ROLE: Role = Role::Send;

    fn begin(source: &Datagrams, outgoing: OutgoingDatagram<B>) -> Begin<Self, Self::Resource> {
        let OutgoingDatagram { buf, receiver } = outgoing;
        Begin::Submit(SendTo::new(source.descriptor(), buf, receiver.as_ref()))
    }

    fn failed(error: io::Error, outgoing: OutgoingDatagram<B>) -> BufResult<usize, B> {
        (Err(error), outgoing.buf)
    }

    fn into_resource(self) -> OutgoingDatagram<B> {
        OutgoingDatagram {
            buf: self.into_buf(),
            receiver: None,
        }
    }
}

impl LaneOp<Datagrams> for Associate {
    type Resource = Box<RawAddress>;
    const ROLE: Role = Role::Send;

    fn begin(source: &Datagrams, address: Box<RawAddress>) -> Begin<Self, Self::Resource> {
        Begin::Submit(Associate {
            fd: source.descriptor(),
            address,
        })
    }

    fn failed(error: io::Error, _: Box<RawAddress>) -> io::Result<()> {
        Err(error)
    }

    fn into_resource(self) -> Box<RawAddress> {
        self.address
    }
}

/// `SHUT_…`
impl LaneOp<Datagrams> for Shutdown {
    type Resource = i32;
    const ROLE: Role = Role::Send;

    fn begin(source: &Datagrams, how: i32) -> Begin<Self, Self::Resource> {
        Begin::Submit(Shutdown {
            fd: source.descriptor(),
            how,
        })
    }

    fn failed(error: io::Error, _: i32) -> io::Result<()> {
        Err(error)
    }

    fn into_resource(self) -> i32 {
        self.how
    }
}
