//! [`TcpStream`] and its halves.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;

use super::address::ToSocketAddr;
use super::connection::{Connection, ReuniteError};
use super::migrate::migrate_method;
use super::tcp_socket::TcpSocket;
use crate::buf::{BufResult, IoBufMut};
use crate::driver::{OptionName, OwnedDescriptor, SocketOption};
use crate::io::{read_methods, read_stream, stream_end_methods, write_methods, write_stream};
use crate::op::peek::Peek;
use crate::source::{self, SourceId, StreamKind, Transfer};

/// A TCP connection.
///
/// Methods take `&self`: one task can read while another writes. Dropping the stream sends what was
/// written and closes it in the background: see [`close`](TcpStream::close).
#[derive(Debug)]
pub struct TcpStream {
    connection: Connection,
}

impl TcpStream {
    /// Takes over a connected socket.
    pub(crate) fn new(fd: OwnedDescriptor) -> io::Result<TcpStream> {
        Connection::new(fd, StreamKind::Tcp).map(|connection| TcpStream { connection })
    }

    /// Takes over a connection made with the standard library. Its non-blocking flag may be
    /// either way and is not changed.
    ///
    /// # Errors
    ///
    /// Outside a runtime; the connection is closed then.
    pub fn from_std(stream: std::net::TcpStream) -> io::Result<TcpStream> {
        TcpStream::new(source::inherit(stream))
    }

    /// Connects to `address`. Use [`TcpSocket`] to set options or a local address before.
    ///
    /// Dropping this future gives the attempt up; a connection made all the same is closed.
    ///
    /// # Errors
    ///
    /// What the kernel answers, for example `ConnectionRefused`; `InvalidInput` if `address` is not
    /// an address; also outside a runtime.
    pub async fn connect(address: impl ToSocketAddr) -> io::Result<TcpStream> {
        TcpSocket::new().connect(address).await
    }

    read_methods!();
    write_methods!();
    stream_end_methods!();
    migrate_method!(TcpStream);

    fn source(&self) -> SourceId {
        self.connection.source()
    }

    /// As [`read`](TcpStream::read), but the bytes stay and the next read sees them again.
    ///
    /// Dropping this future does nothing.
    ///
    /// # Errors
    ///
    /// As `read`.
    pub async fn peek<B: IoBufMut>(&self, buf: B) -> BufResult<usize, B> {
        Transfer::<Peek<B>>::new(self.source(), buf).await
    }

    /// Ends one direction, or both, after everything that was written before. After
    /// `Shutdown::Write` the peer reads the end of the stream.
    ///
    /// Dropping this future in flight does not take it back.
    ///
    /// # Errors
    ///
    /// The error of an earlier write whose future was dropped; `NotConnected` if the peer is gone.
    pub async fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.connection.shutdown(how).await
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// If the stream is used on a core that is not its own.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.connection.local_name()?.to_internet()
    }

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// `NotConnected` if the peer has reset the connection; also as `local_addr`.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.connection.peer_name()?.to_internet()
    }

    /// Sends small writes at once (`TCP_NODELAY`), instead of collecting them while an
    /// acknowledgement is outstanding.
    ///
    /// # Errors
    ///
    /// If the stream is used on a core that is not its own.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.connection.set_option(SocketOption::NoDelay(nodelay))
    }

    /// Whether `TCP_NODELAY` is set.
    ///
    /// # Errors
    ///
    /// As `set_nodelay`.
    pub fn nodelay(&self) -> io::Result<bool> {
        Ok(self.connection.option(OptionName::NoDelay)? == SocketOption::NoDelay(true))
    }

    /// Probes a silent peer now and then (`SO_KEEPALIVE`).
    ///
    /// # Errors
    ///
    /// As `set_nodelay`.
    pub fn set_keepalive(&self, keepalive: bool) -> io::Result<()> {
        self.connection
            .set_option(SocketOption::KeepAlive(keepalive))
    }

    /// The time to live of packets, in hops (`IP_TTL`).
    ///
    /// # Errors
    ///
    /// As `set_nodelay`.
    pub fn set_ttl(&self, hops: u32) -> io::Result<()> {
        self.connection.set_option(SocketOption::TimeToLive(hops))
    }

    /// The size of the kernel's receive buffer in bytes (`SO_RCVBUF`); the kernel doubles it.
    ///
    /// # Errors
    ///
    /// As `set_nodelay`.
    pub fn set_receive_buffer_size(&self, bytes: u32) -> io::Result<()> {
        self.connection
            .set_option(SocketOption::ReceiveBuffer(bytes))
    }

    /// The size of the kernel's send buffer in bytes (`SO_SNDBUF`); the kernel doubles it.
    ///
    /// # Errors
    ///
    /// As `set_nodelay`.
    pub fn set_send_buffer_size(&self, bytes: u32) -> io::Result<()> {
        self.connection.set_option(SocketOption::SendBuffer(bytes))
    }

    /// Takes the error that the kernel has noted for the socket (`SO_ERROR`).
    ///
    /// # Errors
    ///
    /// As `set_nodelay`.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.connection.take_error()
    }

    /// Splits the stream into halves that can live in different tasks.
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        let connection = Arc::new(self.connection);
        let write = OwnedWriteHalf {
            connection: connection.clone(),
            shuts_down: true,
        };
        (OwnedReadHalf { connection }, write)
    }
}

/// The reading half of a [`TcpStream`]. The stream is closed when both halves are dropped.
#[derive(Debug)]
pub struct OwnedReadHalf {
    connection: Arc<Connection>,
}

/// The writing half of a [`TcpStream`]. Dropping it sends the end of the stream, after
/// everything that was written; the stream is closed when both halves are dropped.
#[derive(Debug)]
pub struct OwnedWriteHalf {
    connection: Arc<Connection>,
    shuts_down: bool,
}

impl OwnedReadHalf {
    read_methods!();

    fn source(&self) -> SourceId {
        self.connection.source()
    }

    /// As [`TcpStream::peek`]. Dropping this future does nothing.
    ///
    /// # Errors
    ///
    /// As `read`.
    pub async fn peek<B: IoBufMut>(&self, buf: B) -> BufResult<usize, B> {
        Transfer::<Peek<B>>::new(self.source(), buf).await
    }

    /// Puts the halves of one stream together again.
    ///
    /// # Errors
    ///
    /// If they are of different streams; both come back.
    pub fn reunite(
        self,
        mut write: OwnedWriteHalf,
    ) -> Result<TcpStream, ReuniteError<OwnedReadHalf, OwnedWriteHalf>> {
        if !Arc::ptr_eq(&self.connection, &write.connection) {
            return Err(ReuniteError(self, write));
        }
        write.shuts_down = false;
        drop(write);
        let connection =
            Arc::try_unwrap(self.connection).expect("the other half was the only other owner");
        Ok(TcpStream { connection })
    }

    /// See [`TcpStream::local_addr`].
    ///
    /// # Errors
    ///
    /// If it is used on a core that is not the stream's own.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.connection.local_name()?.to_internet()
    }

    /// See [`TcpStream::peer_addr`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.connection.peer_name()?.to_internet()
    }
}

impl OwnedWriteHalf {
    write_methods!();

    fn source(&self) -> SourceId {
        self.connection.source()
    }

    /// See [`TcpStream::shutdown`]. Dropping this future in flight does not take it back.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.connection.shutdown(how).await
    }

    /// See [`TcpStream::local_addr`].
    ///
    /// # Errors
    ///
    /// If it is used on a core that is not the stream's own.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.connection.local_name()?.to_internet()
    }

    /// See [`TcpStream::peer_addr`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.connection.peer_name()?.to_internet()
    }
}

impl Drop for OwnedWriteHalf {
    fn drop(&mut self) {
        if self.shuts_down {
            self.connection.shutdown_write_later();
        }
    }
}

read_stream!(TcpStream, OwnedReadHalf);
write_stream!(ShutDown: TcpStream, OwnedWriteHalf);
