//! The methods of datagram sockets of every family, written once. The type that uses the macro has a field
//! `connection: Connection` and a function `address_of(RawAddress) -> io::Result<Address>`.

use std::fmt;
use std::io;

use super::connection::Connection;
use crate::buf::{BufResult, IoBuf, IoBufMut};
use crate::driver::RawAddress;
use crate::op::receive_from::{ReceiveFrom, Received as Raw};
use crate::op::send_to::SendTo;
use crate::source::{Datagrams, IncomingDatagram, OutgoingDatagram, Transfer};

/// A datagram that was received: how much of it is in the buffer, how long it was, who sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received<A> {
    /// How many bytes are in the buffer.
    pub count: usize,
    /// How long the datagram was when it was sent. If that is more than `count`, the buffer was too small, and the
    /// rest is lost.
    pub length: usize,
    /// Who sent it.
    pub sender: A,
}

impl<A> Received<A> {
    /// True if the buffer was too small for it.
    pub fn is_truncated(&self) -> bool {
        self.length > self.count
    }
}

/// A datagram that nobody has asked for: see [`UdpSocket::into_std`](super::UdpSocket::into_std).
#[derive(Clone, PartialEq, Eq)]
pub struct Leftover<A> {
    /// What was received.
    pub bytes: Vec<u8>,
    /// How long the datagram was when it was sent: more than there are bytes, if the buffer that it was received into
    /// was too small.
    pub length: usize,
    /// Who sent it.
    pub sender: A,
}

impl<A: fmt::Debug> fmt::Debug for Leftover<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leftover")
            .field("bytes", &self.bytes.len())
            .field("length", &self.length)
            .field("sender", &self.sender)
            .finish()
    }
}

pub(super) async fn send<B: IoBuf>(
    connection: &Connection,
    buf: B,
    receiver: Option<RawAddress>,
) -> BufResult<usize, B> {
    let outgoing = OutgoingDatagram { buf, receiver };
    Transfer::<SendTo<B>, Datagrams>::new(connection.source(), outgoing).await
}

pub(super) async fn receive<B: IoBufMut>(
    connection: &Connection,
    buf: B,
    peeks: bool,
) -> BufResult<Raw, B> {
    let incoming = IncomingDatagram { buf, peeks };
    Transfer::<ReceiveFrom<B>, Datagrams>::new(connection.source(), incoming).await
}

/// As [`receive`], with the sender as `address_of` reads it.
pub(super) async fn receive_from<B: IoBufMut, A>(
    connection: &Connection,
    buf: B,
    peeks: bool,
    address_of: fn(RawAddress) -> io::Result<A>,
) -> BufResult<Received<A>, B> {
    let (result, buf) = receive(connection, buf, peeks).await;
    let received = result.and_then(|raw| {
        Ok(Received {
            count: raw.count,
            length: raw.length,
            sender: address_of(raw.sender)?,
        })
    });
    (received, buf)
}

macro_rules! datagram_methods {
    ($address:ty) => {
        /// Sends `buf` as one datagram to whom the socket is connected with; an empty buffer is an empty
        /// datagram. Waits while the kernel has no room for it. Resolves to its length, and the buffer.
        ///
        /// Datagrams of one socket leave in the order in which their sends were first polled. On a UDP socket one for
        /// which the kernel has no room may be overtaken by those behind it, as on the net.
        ///
        /// Dropping this future before it was first polled, or while it waits for an earlier send, sends nothing.
        /// Dropped later, the datagram goes out whole all the same; if that fails, nobody is told.
        ///
        /// # Errors
        ///
        /// What the kernel answers, for example `EMSGSIZE` if it is too long for one datagram, and
        /// `ENOTCONN` or `EDESTADDRREQ` if the socket is not connected; also if the socket is used on a core that
        /// is not its own, or was closed.
        pub async fn send<B: $crate::buf::IoBuf>(
            &self,
            buf: B,
        ) -> $crate::buf::BufResult<usize, B> {
            super::datagram_methods::send(&self.connection, buf, None).await
        }

        /// Receives one datagram into `buf`, waiting for it if there is none, and resolves to the count of
        /// its bytes, who sent it, and the buffer. A count of 0 is an empty datagram; there is no end.
        ///
        /// What does not fit into `buf` is lost, as with `recvfrom(2)`, also when it has no room at
        /// all: [`recv_message`](Self::recv_message) tells.
        ///
        /// Dropping this future loses nothing: a datagram that arrives for it goes to the next receive, with its
        /// sender, as far as it fitted into `buf`.
        ///
        /// # Errors
        ///
        /// What the kernel answers; also if the socket is used on a core that is not its own, or was closed. An
        /// error says nothing about the next receive.
        pub async fn recv_from<B: $crate::buf::IoBufMut>(
            &self,
            buf: B,
        ) -> $crate::buf::BufResult<(usize, $address), B> {
            let (result, buf) = self.recv_message(buf).await;
            (
                result.map(|received| (received.count, received.sender)),
                buf,
            )
        }

        /// As [`recv_from`](Self::recv_from), and says how long the datagram was before it was cut to what fits
        /// into `buf`.
        ///
        /// Dropping this future loses nothing: a datagram that arrives for it goes to the next receive.
        ///
        /// # Errors
        ///
        /// As `recv_from`.
        pub async fn recv_message<B: $crate::buf::IoBufMut>(
            &self,
            buf: B,
        ) -> $crate::buf::BufResult<super::Received<$address>, B> {
            let address_of = Self::address_of;
            super::datagram_methods::receive_from(&self.connection, buf, false, address_of).await
        }

        /// As [`recv_from`](Self::recv_from), without the sender.
        ///
        /// Dropping this future loses nothing: a datagram that arrives for it goes to the next receive.
        ///
        /// # Errors
        ///
        /// As `recv_from`.
        pub async fn recv<B: $crate::buf::IoBufMut>(
            &self,
            buf: B,
        ) -> $crate::buf::BufResult<usize, B> {
            let (result, buf) =
                super::datagram_methods::receive(&self.connection, buf, false).await;
            (result.map(|received| received.count), buf)
        }

        /// As [`recv_from`](Self::recv_from), but the datagram stays, whole, and the next receive gets it again.
        ///
        /// Dropping this future does nothing.
        ///
        /// # Errors
        ///
        /// As `recv_from`.
        pub async fn peek_from<B: $crate::buf::IoBufMut>(
            &self,
            buf: B,
        ) -> $crate::buf::BufResult<(usize, $address), B> {
            let address_of = Self::address_of;
            let (result, buf) =
                super::datagram_methods::receive_from(&self.connection, buf, true, address_of)
                    .await;
            (
                result.map(|received| (received.count, received.sender)),
                buf,
            )
        }

        /// As [`peek_from`](Self::peek_from), without the sender.
        ///
        /// Dropping this future does nothing.
        ///
        /// # Errors
        ///
        /// As `recv_from`.
        pub async fn peek<B: $crate::buf::IoBufMut>(
            &self,
            buf: B,
        ) -> $crate::buf::BufResult<usize, B> {
            let (result, buf) = super::datagram_methods::receive(&self.connection, buf, true).await;
            (result.map(|received| received.count), buf)
        }

        /// The size of the kernel's receive buffer in bytes (`SO_RCVBUF`); the kernel doubles it. What finds no
        /// room there is lost, or, on Unix sockets, makes its sender wait.
        ///
        /// # Errors
        ///
        /// If the socket is used on a core that is not its own.
        pub fn set_receive_buffer_size(&self, bytes: u32) -> std::io::Result<()> {
            self.connection
                .set_option($crate::driver::SocketOption::ReceiveBuffer(bytes))
        }

        /// The size of the kernel's send buffer in bytes (`SO_SNDBUF`); the kernel doubles it.
        ///
        /// # Errors
        ///
        /// As `set_receive_buffer_size`.
        pub fn set_send_buffer_size(&self, bytes: u32) -> std::io::Result<()> {
            self.connection
                .set_option($crate::driver::SocketOption::SendBuffer(bytes))
        }

        /// Takes the error that the kernel has noted for the socket (`SO_ERROR`).
        ///
        /// # Errors
        ///
        /// As `set_receive_buffer_size`.
        pub fn take_error(&self) -> std::io::Result<Option<std::io::Error>> {
            self.connection.take_error()
        }

        /// How long closing may wait for the datagram that is being sent.
        ///
        /// # Errors
        ///
        /// As `set_receive_buffer_size`.
        pub fn set_linger_time(&self, linger: std::time::Duration) -> std::io::Result<()> {
            $crate::source::datagrams(self.connection.source())
                .map(|source| source.set_linger(linger))
        }

        /// Closes the socket: what is being sent is handed to the kernel first, which takes at most the
        /// linger time (5 s unless set otherwise). What was received for a dropped future, or ahead, and not taken
        /// since is dropped.
        ///
        /// Dropping this future, or the socket itself, does the same in the background, as long as the
        /// runtime runs.
        ///
        /// # Errors
        ///
        /// `ETIMEDOUT` after the linger time; also if the socket is used on a core that is not its own.
        pub async fn close(self) -> std::io::Result<()> {
            let id = self.connection.source();
            $crate::source::CloseLanes::<$crate::source::Datagrams>::new(id).await
        }
    };
}

/// `into_std`, which needs the name of the standard library's type.
macro_rules! into_std_method {
    ($std:ty, $address:ty) => {
        /// Ends the receive in flight, waits for the send in flight, and gives the socket back, with its
        /// non-blocking flag as it always was. With it comes what was received for a dropped future, or ahead, and
        /// not taken since: datagrams of which the kernel knows no more, in order.
        ///
        /// Dropping this future closes the socket.
        ///
        /// # Errors
        ///
        /// If the socket is used on a core that is not its own; it is closed then.
        pub async fn into_std(self) -> std::io::Result<($std, Vec<super::Leftover<$address>>)> {
            let (fd, received) = $crate::source::HandOver::<$crate::source::Datagrams>::new(
                self.connection.source(),
            )
            .await?;
            let leftovers = received.into_iter().map(|datagram| {
                let sender = $crate::driver::RawAddress::new(datagram.sender.as_bytes());
                Ok::<_, std::io::Error>(super::Leftover {
                    bytes: datagram.bytes,
                    length: datagram.length,
                    sender: Self::address_of(sender)?,
                })
            });
            Ok((fd.into_real()?.into(), leftovers.collect::<Result<_, _>>()?))
        }
    };
}

pub(super) use {datagram_methods, into_std_method};
