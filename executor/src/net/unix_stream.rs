//! [`UnixStream`] and its halves.

use std::io;
use std::net::Shutdown;
use std::path::Path;
use std::sync::Arc;

use super::connection::{Connection, ReuniteError, pair};
use super::migrate::migrate_method;
use super::tcp_socket::{connect, make_socket};
use crate::buf::{BufResult, IoBufMut};
use crate::driver::RawAddress;
use crate::driver::{OwnedDescriptor, SocketOption};
use crate::io::{read_methods, read_stream, stream_end_methods, write_methods, write_stream};
use crate::op::peek::Peek;
use crate::source::{self, SourceId, StreamKind, Transfer};

/// A connection between two sockets of this machine.
///
/// Methods take `&self`: one task can read while another writes. Dropping the stream sends what was
/// written and closes it in the background: see [`close`](UnixStream::close).
#[derive(Debug)]
pub struct UnixStream {
    connection: Connection,
}

impl UnixStream {
    /// Takes over a connected socket.
    pub(crate) fn new(fd: OwnedDescriptor) -> io::Result<UnixStream> {
        Connection::new(fd, StreamKind::Unix).map(|connection| UnixStream { connection })
    }

    /// Takes over a connection made with the standard library. Its non-blocking flag may be
    /// either way and is not changed.
    ///
    /// # Errors
    ///
    /// Outside a runtime; the connection is closed then.
    pub fn from_std(stream: std::os::unix::net::UnixStream) -> io::Result<UnixStream> {
        UnixStream::new(source::inherit(stream))
    }

    /// Connects to the socket that listens at `path`. A path that begins with a zero byte is a
    /// name in the abstract name space.
    ///
    /// Dropping this future gives the attempt up; a connection made all the same is closed.
    ///
    /// # Errors
    ///
    /// What the kernel answers, for example `ConnectionRefused` and `NotFound`; `InvalidInput` if
    /// the path is too long; also outside a runtime.
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<UnixStream> {
        let address = RawAddress::from_path(path.as_ref())?;
        let socket = make_socket(libc::AF_UNIX, libc::SOCK_STREAM).await?;
        UnixStream::new(connect(socket, address).await?)
    }

    /// Two streams that are connected with each other (`socketpair`).
    ///
    /// # Errors
    ///
    /// If there are no more descriptors; also outside a runtime.
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (first, second) = pair(libc::AF_UNIX, libc::SOCK_STREAM)?;
        Ok((UnixStream::new(first)?, UnixStream::new(second)?))
    }

    read_methods!();
    write_methods!();
    stream_end_methods!();
    migrate_method!(UnixStream);

    fn source(&self) -> SourceId {
        self.connection.source()
    }

    /// As [`read`](UnixStream::read), but the bytes stay and the next read sees them again.
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

    /// The path of the socket at the other end; `None` if it has no name, as a client usually has none.
    ///
    /// # Errors
    ///
    /// If the stream is used on a core that is not its own.
    pub fn peer_path(&self) -> io::Result<Option<Box<Path>>> {
        Ok(self.connection.peer_name()?.to_path())
    }

    /// The size of the kernel's receive buffer in bytes (`SO_RCVBUF`); the kernel doubles it.
    ///
    /// # Errors
    ///
    /// If the stream is used on a core that is not its own.
    pub fn set_receive_buffer_size(&self, bytes: u32) -> io::Result<()> {
        self.connection
            .set_option(SocketOption::ReceiveBuffer(bytes))
    }

    /// The size of the kernel's send buffer in bytes (`SO_SNDBUF`); the kernel doubles it.
    ///
    /// # Errors
    ///
    /// If the stream is used on a core that is not its own.
    pub fn set_send_buffer_size(&self, bytes: u32) -> io::Result<()> {
        self.connection.set_option(SocketOption::SendBuffer(bytes))
    }

    /// Takes the error that the kernel has noted for the socket (`SO_ERROR`).
    ///
    /// # Errors
    ///
    /// If the stream is used on a core that is not its own.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.connection.take_error()
    }

    /// Splits the stream into halves that can live in different tasks.
    pub fn into_split(self) -> (OwnedUnixReadHalf, OwnedUnixWriteHalf) {
        let connection = Arc::new(self.connection);
        let write = OwnedUnixWriteHalf {
            connection: connection.clone(),
            shuts_down: true,
        };
        (OwnedUnixReadHalf { connection }, write)
    }
}

/// The reading half of a [`UnixStream`]. The stream is closed when both halves are dropped.
#[derive(Debug)]
pub struct OwnedUnixReadHalf {
    connection: Arc<Connection>,
}

/// The writing half of a [`UnixStream`]. Dropping it sends the end of the stream, after
/// everything that was written; the stream is closed when both halves are dropped.
#[derive(Debug)]
pub struct OwnedUnixWriteHalf {
    connection: Arc<Connection>,
    shuts_down: bool,
}

impl OwnedUnixReadHalf {
    read_methods!();

    fn source(&self) -> SourceId {
        self.connection.source()
    }

    /// As [`UnixStream::peek`]. Dropping this future does nothing.
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
        mut write: OwnedUnixWriteHalf,
    ) -> Result<UnixStream, ReuniteError<OwnedUnixReadHalf, OwnedUnixWriteHalf>> {
        if !Arc::ptr_eq(&self.connection, &write.connection) {
            return Err(ReuniteError(self, write));
        }
        write.shuts_down = false;
        drop(write);
        let connection =
            Arc::try_unwrap(self.connection).expect("the other half was the only other owner");
        Ok(UnixStream { connection })
    }
}

impl OwnedUnixWriteHalf {
    write_methods!();

    fn source(&self) -> SourceId {
        self.connection.source()
    }

    /// See [`UnixStream::shutdown`]. Dropping this future in flight does not take it back.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.connection.shutdown(how).await
    }
}

impl Drop for OwnedUnixWriteHalf {
    fn drop(&mut self) {
        if self.shuts_down {
            self.connection.shutdown_write_later();
        }
    }
}

read_stream!(UnixStream, OwnedUnixReadHalf);
write_stream!(ShutDown: UnixStream, OwnedUnixWriteHalf);
