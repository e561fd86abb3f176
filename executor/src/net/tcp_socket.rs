//! [`TcpSocket`]: a TCP socket to be, with its options.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use super::address::ToSocketAddr;
use super::connection::set_option;
use super::tcp_listener::TcpListener;
use super::tcp_stream::TcpStream;
use crate::driver::RawAddress;
use crate::driver::{OwnedDescriptor, SocketOption};
use crate::inflight::submit;
use crate::op::bind::Bind;
use crate::op::connect::Connect;
use crate::op::listen::Listen;
use crate::op::socket::Socket;

/// What [`TcpListener::bind`] lets wait to be accepted; the system's `somaxconn` is the upper bound.
pub(crate) const BACKLOG_DEFAULT: u32 = 1024;

/// A TCP socket to be: options, a local address, then [`listen`](TcpSocket::listen) or
/// [`connect`](TcpSocket::connect). It holds no descriptor before that and can be used again.
///
/// ```
/// use krug::net::TcpSocket;
///
/// # krug::Runtime::new().unwrap().block_on(async {
/// let listener = TcpSocket::new().reuse_address(true).bind("127.0.0.1:0")?.listen(64).await?;
/// let client = TcpSocket::new().nodelay(true).connect(listener.local_addr()?).await?;
/// assert!(client.nodelay()?);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[derive(Clone, Debug, Default)]
pub struct TcpSocket {
    options: Vec<SocketOption>,
    local: Option<SocketAddr>,
}

impl TcpSocket {
    /// A socket without options.
    pub fn new() -> TcpSocket {
        TcpSocket::default()
    }

    fn option(mut self, option: SocketOption) -> TcpSocket {
        self.options.push(option);
        self
    }

    /// Takes a local address although connections of an earlier socket linger there (`SO_REUSEADDR`).
    pub fn reuse_address(self, reuse: bool) -> TcpSocket {
        self.option(SocketOption::ReuseAddress(reuse))
    }

    /// Shares a local address with other sockets that set this, too (`SO_REUSEPORT`): the kernel deals
    /// connections out among them by their addresses, also to a listener whose core is busy.
    pub fn reuse_port(self, reuse: bool) -> TcpSocket {
        self.option(SocketOption::ReusePort(reuse))
    }

    /// See [`TcpStream::set_nodelay`]; accepted connections inherit it.
    pub fn nodelay(self, nodelay: bool) -> TcpSocket {
        self.option(SocketOption::NoDelay(nodelay))
    }

    /// See [`TcpStream::set_keepalive`]; accepted connections inherit it.
    pub fn keepalive(self, keepalive: bool) -> TcpSocket {
        self.option(SocketOption::KeepAlive(keepalive))
    }

    /// See [`TcpStream::set_receive_buffer_size`]; accepted connections inherit it.
    pub fn receive_buffer_size(self, bytes: u32) -> TcpSocket {
        self.option(SocketOption::ReceiveBuffer(bytes))
    }

    /// See [`TcpStream::set_send_buffer_size`]; accepted connections inherit it.
    pub fn send_buffer_size(self, bytes: u32) -> TcpSocket {
        self.option(SocketOption::SendBuffer(bytes))
    }

    /// See [`TcpStream::set_ttl`]; accepted connections inherit it.
    pub fn ttl(self, hops: u32) -> TcpSocket {
        self.option(SocketOption::TimeToLive(hops))
    }

    /// An IPv6 socket takes no IPv4 connections (`IPV6_V6ONLY`).
    pub fn only_v6(self, only: bool) -> TcpSocket {
        self.option(SocketOption::OnlyV6(only))
    }

    /// The local address, taken when the socket is made. Port 0 lets the system choose.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if `address` is not an address.
    pub fn bind(mut self, address: impl ToSocketAddr) -> io::Result<TcpSocket> {
        self.local = Some(address.to_socket_addr()?);
        Ok(self)
    }

    /// Makes the socket and listens; `backlog` connections may wait to be accepted (at most the
    /// system's `somaxconn`).
    ///
    /// Dropping this future closes the socket, once the kernel has let go of it.
    ///
    /// # Errors
    ///
    /// `InvalidInput` without [`bind`](TcpSocket::bind); what the kernel answers, for example
    /// `AddrInUse`; also outside a runtime.
    pub async fn listen(&self, backlog: u32) -> io::Result<TcpListener> {
        let Some(local) = self.local else {
            let message = "a socket needs a local address to listen: call bind before listen";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        };
        let socket = self.make(local).await?;
        let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
        let socket = submit(Listen { socket, backlog }).await?;
        TcpListener::new(socket)
    }

    pub(super) async fn listen_default(&self) -> io::Result<TcpListener> {
        self.listen(BACKLOG_DEFAULT).await
    }

    /// Makes the socket and connects it to `address`.
    ///
    /// Dropping this future gives the attempt up; a connection made all the same is closed.
    ///
    /// # Errors
    ///
    /// What the kernel answers, for example `ConnectionRefused`; `InvalidInput` if `address` is not
    /// an address; also outside a runtime.
    pub async fn connect(&self, address: impl ToSocketAddr) -> io::Result<TcpStream> {
        let address = address.to_socket_addr()?;
        let socket = self.make(address).await?;
        let socket = connect(socket, RawAddress::from_internet(address)).await?;
        TcpStream::new(socket)
    }

    /// A socket of the family of `address`, with the options, bound if an address was given.
    async fn make(&self, address: SocketAddr) -> io::Result<OwnedDescriptor> {
        let domain = if address.is_ipv4() {
            libc::AF_INET
        } else {
            libc::AF_INET6
        };
        let socket = make_socket(domain, libc::SOCK_STREAM).await?;
        for option in &self.options {
            set_option(socket.as_raw_fd(), *option)?;
        }
        match self.local {
            Some(local) => bind(socket, RawAddress::from_internet(local)).await,
            None => Ok(socket),
        }
    }
}

pub(super) async fn make_socket(domain: i32, kind: i32) -> io::Result<OwnedDescriptor> {
    submit(Socket { domain, kind }).await
}

pub(super) async fn bind(
    socket: OwnedDescriptor,
    address: RawAddress,
) -> io::Result<OwnedDescriptor> {
    submit(Bind {
        socket,
        address: Box::new(address),
    })
    .await
}

pub(super) async fn listen(socket: OwnedDescriptor, backlog: u32) -> io::Result<OwnedDescriptor> {
    submit(Listen {
        socket,
        backlog: i32::try_from(backlog).unwrap_or(i32::MAX),
    })
    .await
}

pub(super) async fn listen_default(socket: OwnedDescriptor) -> io::Result<OwnedDescriptor> {
    listen(socket, BACKLOG_DEFAULT).await
}

pub(super) async fn connect(
    socket: OwnedDescriptor,
    address: RawAddress,
) -> io::Result<OwnedDescriptor> {
    submit(Connect::new(socket, address)).await
}
