//! [`TcpListener`].

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::address::ToSocketAddr;
use super::connection::name;
use super::distribute::distribute;
use super::tcp_socket::TcpSocket;
use super::tcp_stream::TcpStream;
use crate::cores::Placement;
use crate::driver::{Control, OwnedDescriptor};
use crate::source::{self, AcceptNext, CloseListener, SourceId};

/// A TCP socket that takes connections.
///
/// From the first [`accept`](TcpListener::accept) on, one operation in the kernel takes
/// connections as they come, until 16 more have come than are waited for; the rest wait in the kernel. (What waited
/// there already comes at once, though, up to the backlog.) Dropping the listener closes it
/// and the connections that nobody has taken.
#[derive(Debug)]
pub struct TcpListener {
    id: SourceId,
}

impl TcpListener {
    pub(super) fn new(socket: OwnedDescriptor) -> io::Result<TcpListener> {
        source::add_listener(socket).map(|id| TcpListener { id })
    }

    /// Listens at `address`; port 0 lets the system choose one. The address can be taken although connections of an
    /// earlier listener linger there (`SO_REUSEADDR`), as the standard library does it. Use [`TcpSocket`] for other
    /// options.
    ///
    /// Dropping this future closes the socket, once the kernel has let go of it.
    ///
    /// # Errors
    ///
    /// What the kernel answers, for example `AddrInUse`; `InvalidInput` if `address` is not an
    /// address; also outside a runtime.
    pub async fn bind(address: impl ToSocketAddr) -> io::Result<TcpListener> {
        TcpSocket::new()
            .reuse_address(true)
            .bind(address)?
            .listen_default()
            .await
    }

    /// Takes over a listening socket made with the standard library. Its non-blocking flag may be
    /// either way and is not changed.
    ///
    /// # Errors
    ///
    /// Outside a runtime; the socket is closed then.
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<TcpListener> {
        TcpListener::new(source::inherit(listener))
    }

    /// Resolves to the next connection. Ask it for its peer with [`TcpStream::peer_addr`], which fails
    /// if the connection was reset while it waited.
    ///
    /// Dropping this future loses no connection: the next accept gets it.
    ///
    /// # Errors
    ///
    /// If the listener is used on a core that is not its own. When the process is out of descriptors, this
    /// waits and tries again, with a warning.
    pub async fn accept(&self) -> io::Result<TcpStream> {
        TcpStream::new(AcceptNext::new(self.id).await?)
    }

    /// Takes connections for all cores: sends each to the one that `placement` chooses, and calls `serve` with it there. What
    /// `serve` makes stays on that core, as a task of it, and need not be `Send`; it counts for the core until it has ended.
    ///
    /// This never ends by itself. Dropping this future stops taking connections and loses none; those that are served go on.
    ///
    /// # Errors
    ///
    /// As [`accept`](TcpListener::accept); if every core of `placement` has ended.
    pub async fn distribute<F>(
        &self,
        placement: &Placement,
        serve: impl Fn(TcpStream) -> F + Clone + Send + 'static,
    ) -> io::Result<()>
    where
        F: Future<Output = ()> + 'static,
    {
        distribute(self.id, placement, TcpStream::new, serve).await
    }

    /// The connections as a stream, which never ends. Dropping it loses none.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming {
            listener: self,
            next: AcceptNext::new(self.id),
        }
    }

    /// The address at which it listens.
    ///
    /// # Errors
    ///
    /// If the listener is used on a core that is not its own.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let fd = source::listener(self.id)?.descriptor();
        name(Control::SocketName { fd })?.to_internet()
    }

    /// Stops listening. When this resolves, the address can be bound again; the connections
    /// that were taken from the kernel but not accepted yet come back.
    ///
    /// Dropping this future, or the listener itself, closes in the background and drops these connections.
    ///
    /// # Errors
    ///
    /// If the listener is used on a core that is not its own.
    pub async fn close(self) -> io::Result<Vec<TcpStream>> {
        let accepted = CloseListener::new(self.id).await?;
        accepted.into_iter().map(TcpStream::new).collect()
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        source::close(self.id);
    }
}

/// The connections of a listener: see [`TcpListener::incoming`].
pub struct Incoming<'a> {
    listener: &'a TcpListener,
    next: AcceptNext,
}

impl std::fmt::Debug for Incoming<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incoming")
            .field("listener", self.listener)
            .finish_non_exhaustive()
    }
}

impl Stream for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let accepted = ready!(Pin::new(&mut self.next).poll(cx));
        Poll::Ready(Some(accepted.and_then(TcpStream::new)))
    }
}
