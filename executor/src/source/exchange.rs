//! What the operations on a datagram socket do when their turn comes, and [`HandOver`].

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::datagrams::Datagrams;
use super::lanes::release;
use super::transfer::{Begin, LaneOp};
use super::{SourceId, at_home, closed_error, datagrams};
use crate::buf::{BufResult, IoBuf, IoBufMut};
use crate::driver::{OwnedDescriptor, RawAddress};
use crate::inflight::{Datagram, Role};
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

/// Ends a datagram source and resolves to its descriptor, when nothing is in flight on it any more, with the
/// datagrams that were received and not taken.
pub(crate) struct HandOver {
    id: SourceId,
    is_over: bool,
}

impl HandOver {
    pub(crate) fn new(id: SourceId) -> HandOver {
        HandOver { id, is_over: false }
    }
}

impl Future for HandOver {
    type Output = io::Result<(OwnedDescriptor, Vec<Datagram>)>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let source = datagrams(self.id)?;
        source.close_and_keep();
        if !source.closing.is_closed() {
            source.closing.wait(cx);
            return Poll::Pending;
        }
        self.is_over = true;
        let taken = source.take().ok_or_else(closed_error);
        release::<Datagrams>(self.id);
        Poll::Ready(taken)
    }
}

impl Drop for HandOver {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let id = self.id;
        at_home(id, move || {
            if let Ok(source) = datagrams(id) {
                source.unwanted();
            }
        });
        release::<Datagrams>(id);
    }
}
