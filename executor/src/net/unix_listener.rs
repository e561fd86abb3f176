//! [`UnixListener`].

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::connection::name;
use super::distribute::distribute;
use super::tcp_socket::{bind, listen_default, make_socket};
use super::unix_stream::UnixStream;
use crate::cores::Placement;
use crate::driver::RawAddress;
use crate::driver::{Control, OwnedDescriptor};
use crate::source::{self, AcceptNext, CloseListener, SourceId};

/// A Unix socket that takes connections.
///
/// From the first [`accept`](UnixListener::accept) on, one operation in the kernel takes
/// connections as they come, until 16 more have come than are waited for; the rest wait in the kernel. (What waited
/// there already comes at once, though, up to the backlog.) Dropping the listener closes it
/// and the connections that nobody has taken.
#[derive(Debug)]
pub struct UnixListener {
    id: SourceId,
}

impl UnixListener {
    pub(super) fn new(socket: OwnedDescriptor) -> io::Result<UnixListener> {
        source::add_listener(socket).map(|id| UnixListener { id })
    }

    /// Listens at `path`. A path that begins with a zero byte is a name in the abstract name
    /// space. The file stays when the listener is gone: remove it before you bind again.
    ///
    /// Dropping this future closes the socket, once the kernel has let go of it.
    ///
    /// # Errors
    ///
    /// What the kernel answers, for example `AddrInUse` if the file exists; `InvalidInput` if the
    /// path is too long; also outside a runtime.
    pub async fn bind(path: impl AsRef<Path>) -> io::Result<UnixListener> {
        let address = RawAddress::from_path(path.as_ref())?;
        let socket = make_socket(libc::AF_UNIX, libc::SOCK_STREAM).await?;
        UnixListener::new(listen_default(bind(socket, address).await?).await?)
    }

    /// Takes over a listening socket made with the standard library. Its non-blocking flag may be
    /// either way and is not changed.
    ///
    /// # Errors
    ///
    /// Outside a runtime; the socket is closed then.
    pub fn from_std(listener: std::os::unix::net::UnixListener) -> io::Result<UnixListener> {
        UnixListener::new(source::inherit(listener))
    }

    /// Resolves to the next connection.
    ///
    /// Dropping this future loses no connection: the next accept gets it.
    ///
    /// # Errors
    ///
    /// If the listener is used on a core that is not its own. When the process is out of descriptors, this
    /// waits and tries again, with a warning.
    pub async fn accept(&self) -> io::Result<UnixStream> {
        UnixStream::new(AcceptNext::new(self.id).await?)
    }

    /// Takes connections for all cores: sends each to the one that `placement` chooses, and calls `serve` with it there. What
    /// `serve` makes stays on that core, as a task of it, and need not be `Send`; it counts for the core until it has ended.
    ///
    /// This never ends by itself. Dropping this future stops taking connections and loses none; those that are served go on.
    ///
    /// # Errors
    ///
    /// As [`accept`](UnixListener::accept); if every core of `placement` has ended.
    pub async fn distribute<F>(
        &self,
        placement: &Placement,
        serve: impl Fn(UnixStream) -> F + Clone + Send + 'static,
    ) -> io::Result<()>
    where
        F: Future<Output = ()> + 'static,
    {
        distribute(self.id, placement, UnixStream::new, serve).await
    }

    /// The connections as a stream, which never ends. Dropping it loses none.
    pub fn incoming(&self) -> UnixIncoming<'_> {
        UnixIncoming {
            listener: self,
            next: AcceptNext::new(self.id),
        }
    }

    /// The path at which it listens.
    ///
    /// # Errors
    ///
    /// If the listener is used on a core that is not its own.
    pub fn local_path(&self) -> io::Result<Option<Box<Path>>> {
        let fd = source::listener(self.id)?.descriptor();
        Ok(name(Control::SocketName { fd })?.to_path())
    }

    /// Stops listening. When this resolves, the socket is closed (its file stays); the connections
    /// that were taken from the kernel but not accepted yet come back.
    ///
    /// Dropping this future, or the listener itself, closes in the background and drops these connections.
    ///
    /// # Errors
    ///
    /// If the listener is used on a core that is not its own.
    pub async fn close(self) -> io::Result<Vec<UnixStream>> {
        let accepted = CloseListener::new(self.id).await?;
        accepted.into_iter().map(UnixStream::new).collect()
    }
}

impl Drop for UnixListener {
    fn drop(&mut self) {
        source::close(self.id);
    }
}

/// The connections of a listener: see [`UnixListener::incoming`].
pub struct UnixIncoming<'a> {
    listener: &'a UnixListener,
    next: AcceptNext,
}

impl std::fmt::Debug for UnixIncoming<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnixIncoming")
            .field("listener", self.listener)
            .finish_non_exhaustive()
    }
}

impl Stream for UnixIncoming<'_> {
    type Item = io::Result<UnixStream>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let accepted = ready!(Pin::new(&mut self.next).poll(cx));
        Poll::Ready(Some(accepted.and_then(UnixStream::new)))
    }
}
