//! [`UnixDatagram`].

use std::io;
use std::net::Shutdown;
use std::path::Path;

use super::connection::{Connection, number, pair};
use super::datagram_methods::{datagram_methods, into_std_method, send};
use super::tcp_socket::{bind, make_socket};
use crate::buf::{BufResult, IoBuf};
use crate::driver::{OwnedDescriptor, RawAddress};
use crate::op;
use crate::op::associate::Associate;
use crate::source::{self, Datagrams, Traits, Transfer};

/// A socket for messages between programs of this machine. None is lost, doubled or reordered; if the receiver
/// has no room, sending waits.
///
/// Methods take `&self`: one task can receive while another sends. The path of a sender is `None` if it has no name, as
/// sockets have that were not bound.
///
/// Descriptors that come with a message are closed: this type has no way to take them.
///
/// ```
/// use krug::net::UnixDatagram;
///
/// # krug::Runtime::new().unwrap().block_on(async {
/// let (here, there) = UnixDatagram::pair()?;
/// here.send("one").await.0?;
/// here.send("two").await.0?;
/// let (result, buf) = there.recv(Vec::with_capacity(64)).await;
/// assert_eq!((result?, &buf[..]), (3, &b"one"[..])); // and not "onetwo"
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct UnixDatagram {
    connection: Connection,
}

impl UnixDatagram {
    fn new(fd: OwnedDescriptor) -> io::Result<UnixDatagram> {
        let traits = Traits {
            sends_max: 1,
            receives_ahead: false,
        };
        Connection::of_datagrams(fd, traits).map(|connection| UnixDatagram { connection })
    }

    /// A socket at `path`. A path that begins with a zero byte is a name in the abstract name space. The
    /// file stays when the socket is gone: remove it before you bind again.
    ///
    /// Dropping this future closes the socket, once the kernel has let go of it.
    ///
    /// # Errors
    ///
    /// What the kernel answers, for example `AddrInUse` if the file exists; `InvalidInput` if the
    /// path is too long; also outside a runtime.
    pub async fn bind(path: impl AsRef<Path>) -> io::Result<UnixDatagram> {
        let address = RawAddress::from_path(path.as_ref())?;
        let socket = make_socket(libc::AF_UNIX, libc::SOCK_DGRAM).await?;
        UnixDatagram::new(bind(socket, address).await?)
    }

    /// A socket without a name: it can send, but nobody can send to it.
    ///
    /// Dropping this future closes the socket, once the kernel has let go of it.
    ///
    /// # Errors
    ///
    /// If there are no more descriptors; also outside a runtime.
    pub async fn unbound() -> io::Result<UnixDatagram> {
        UnixDatagram::new(make_socket(libc::AF_UNIX, libc::SOCK_DGRAM).await?)
    }

    /// Two sockets that are connected with each other (`socketpair`).
    ///
    /// # Errors
    ///
    /// If there are no more descriptors; also outside a runtime.
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (first, second) = pair(libc::AF_UNIX, libc::SOCK_DGRAM)?;
        Ok((UnixDatagram::new(first)?, UnixDatagram::new(second)?))
    }

    /// Takes over a socket made with the standard library. Its non-blocking flag may be
    /// either way and is not changed.
    ///
    /// # Errors
    ///
    /// Outside a runtime; the socket is closed then.
    pub fn from_std(socket: std::os::unix::net::UnixDatagram) -> io::Result<UnixDatagram> {
        UnixDatagram::new(source::inherit(socket))
    }

    fn address_of(raw: RawAddress) -> io::Result<Option<Box<Path>>> {
        Ok(raw.to_path())
    }

    /// Names whom [`send`](UnixDatagram::send) sends to; from then on only datagrams from there are received, beside
    /// those that came before. It can be called again. Sends that were begun before go first.
    ///
    /// Dropping this future may leave the socket connected or not.
    ///
    /// # Errors
    ///
    /// What the kernel answers, for example `ConnectionRefused` and `NotFound`; `InvalidInput` if the
    /// path is too long; also if the socket is used on a core that is not its own.
    pub async fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let address = Box::new(RawAddress::from_path(path.as_ref())?);
        Transfer::<Associate, Datagrams>::new(self.connection.source(), address).await
    }

    /// As [`send`](UnixDatagram::send), to the socket at `path`.
    ///
    /// Dropping this future before it was first polled, or while it waits for an earlier send, sends nothing. Dropped
    /// later, the datagram goes out whole all the same; if that fails, nobody is told.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the path is too long, `NotFound` and `ConnectionRefused` if nobody is there; else as
    /// `send`.
    pub async fn send_to<B: IoBuf>(&self, buf: B, path: impl AsRef<Path>) -> BufResult<usize, B> {
        match RawAddress::from_path(path.as_ref()) {
            Ok(receiver) => send(&self.connection, buf, Some(receiver)).await,
            Err(error) => (Err(error), buf),
        }
    }

    datagram_methods!(Option<Box<Path>>);
    into_std_method!(std::os::unix::net::UnixDatagram, Option<Box<Path>>);

    /// Ends one direction, or both, after the sends that were begun before. After `Shutdown::Write` sends
    /// resolve to `EPIPE`; after `Shutdown::Read` receives resolve to 0 when what had arrived is taken, and others that
    /// send here get `EPIPE`.
    ///
    /// Dropping this future in flight does not take it back.
    ///
    /// # Errors
    ///
    /// `NotConnected` if the socket is not connected; also if it is used on a core that is not its own.
    pub async fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let (id, how) = (self.connection.source(), number(how));
        Transfer::<op::shutdown::Shutdown, Datagrams>::new(id, how).await
    }

    /// The path of this socket; `None` if it has no name.
    ///
    /// # Errors
    ///
    /// If the socket is used on a core that is not its own.
    pub fn local_path(&self) -> io::Result<Option<Box<Path>>> {
        Ok(self.connection.local_name()?.to_path())
    }

    /// The path of the socket with which it is connected; `None` if that has no name.
    ///
    /// # Errors
    ///
    /// `NotConnected` if it is not connected; also as `local_path`.
    pub fn peer_path(&self) -> io::Result<Option<Box<Path>>> {
        Ok(self.connection.peer_name()?.to_path())
    }
}
