//! Sends one datagram.
//!
//! # Waiting for room
//!
//! Kernels (seen on 6.18) copy a Unix datagram before they look whether the receiver has room, and a long UDP datagram
//! piece by piece; told to wait on the ring, they go on behind what they had copied, and send an empty datagram, or
//! the end of one. So the call is told not to wait, and the waiting is done here, in steps:
//!
//! ```text
//!   Send --EAGAIN--> OwnRoom --room--> Send --EAGAIN, Unix, receiver named--> Helper --> Connect --> PeerRoom
//!    ^                                                                                                  |
//!    +--------------------------------------------------------------------------------------------room--+
//! ```
//!
//! A socket that is not connected learns nothing of its receiver's room. A helper that is connected with the
//! same receiver does.

use std::os::fd::AsRawFd;

use crate::buf::{self, BufResult, IoBuf, Message};
use crate::driver::RawAddress;
use crate::driver::{Address, Completion, Descriptor, Operation, OwnedDescriptor, own};
use crate::inflight::{Op, Orphan, Step};

pub(crate) struct SendTo<B> {
    fd: Descriptor,
    buf: B,
    /// Names the receiver; without, the datagram goes to whom the socket is connected with.
    message: Option<Message>,
    stage: Stage,
    /// Its own socket had room, and yet it could not be sent.
    has_own_room: bool,
}

/// What is submitted next, or in flight.
#[derive(Debug)]
enum Stage {
    Send,
    /// Waits until the socket itself can take a datagram.
    OwnRoom,
    /// Makes a socket to be connected with the receiver.
    Helper,
    Connect(OwnedDescriptor),
    /// Waits until the receiver can take a datagram.
    PeerRoom(OwnedDescriptor),
}

impl<B: IoBuf> SendTo<B> {
    pub(crate) fn new(fd: Descriptor, buf: B, receiver: Option<&RawAddress>) -> SendTo<B> {
        SendTo {
            fd,
            buf,
            message: receiver.map(|receiver| Message::to_receiver(receiver.as_bytes())),
            stage: Stage::Send,
            has_own_room: false,
        }
    }

    pub(crate) fn into_buf(self) -> B {
        self.buf
    }

    fn send(&mut self) -> Operation {
        let (pointer, length) = buf::to_send(&self.buf, 0);
        let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
        match &mut self.message {
            Some(message) => Operation::SendMessage {
                fd: self.fd,
                header: Address::of_mut(message.for_sending(pointer, length)),
                flags,
            },
            None => Operation::Send {
                fd: self.fd,
                address: Address::of(pointer),
                length,
                flags,
            },
        }
    }

    /// The receiver that a helper can be connected with.
    fn unix_receiver(&self) -> Option<(Address, u32)> {
        let name = self.message.as_ref()?.name();
        let family = RawAddress::new(name.as_bytes()).family();
        let length = name.as_bytes().len() as u32;
        (family == libc::AF_UNIX).then(|| (Address::of(name.as_bytes().as_ptr()), length))
    }

    /// The call found no room: what to wait for.
    fn wait_for_room(&mut self) -> Stage {
        if self.has_own_room && self.unix_receiver().is_some() {
            self.has_own_room = false;
            return Stage::Helper;
        }
        Stage::OwnRoom
    }
}

// SAFETY: points into the buffer, and to the message header if there is one, both of which it owns and which stay
// where they are: the header is boxed, the buffer keeps the contract of `IoBuf`.
unsafe impl<B: IoBuf> Op for SendTo<B> {
    type Output = BufResult<usize, B>;
    const IDEMPOTENT: bool = false;

    fn operation(&mut self) -> Operation {
        let events = libc::POLLOUT as u32;
        match &self.stage {
            Stage::Send => self.send(),
            Stage::OwnRoom => Operation::Poll {
                fd: self.fd,
                events,
            },
            Stage::Helper => Operation::Socket {
                domain: libc::AF_UNIX,
                kind: libc::SOCK_DGRAM | libc::SOCK_CLOEXEC,
                protocol: 0,
            },
            Stage::Connect(helper) => {
                let (address, address_length) = self
                    .unix_receiver()
                    .expect("looked at before the helper was made");
                Operation::Connect {
                    fd: helper.as_raw_fd(),
                    address,
                    address_length,
                }
            }
            Stage::PeerRoom(helper) => Operation::Poll {
                fd: helper.as_raw_fd(),
                events,
            },
        }
    }

    fn advance(&mut self, completion: &mut Completion) -> Step {
        let result = completion.result;
        self.stage = match std::mem::replace(&mut self.stage, Stage::Send) {
            Stage::Send if result == -libc::EAGAIN || result == -libc::ENOBUFS => {
                self.wait_for_room()
            }
            Stage::Send => return Step::Done,
            // If it cannot be connected, the send itself says why.
            Stage::Connect(_) if result < 0 && result != -libc::ECANCELED => Stage::Send,
            _ if result < 0 => return Step::Done,
            Stage::OwnRoom => {
                self.has_own_room = true;
                Stage::Send
            }
            Stage::Helper => Stage::Connect(own(result)),
            Stage::Connect(helper) => Stage::PeerRoom(helper),
            Stage::PeerRoom(_) => Stage::Send,
        };
        Step::Again
    }

    /// One that waits for room is not taken back, although nothing of it has been seen yet.
    fn has_begun(&self) -> bool {
        !matches!(self.stage, Stage::Send)
    }

    fn orphaned(&mut self) -> Orphan {
        Orphan::Finish
    }

    fn complete(self, completion: Completion) -> BufResult<usize, B> {
        (super::count(completion), self.buf)
    }
}
