//! [`Canceller`]: stops operations and gets their buffers back.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::inflight::CancelScope;
use crate::task::poll_beside;

/// Stops the operations of a future, without dropping it: each resolves with what really
/// happened, and its buffer. Clones stop the same.
///
/// Dropping a future is enough to stop waiting, and loses nothing. This is for getting the buffer back, and for
/// knowing: an operation that the kernel could not stop any more resolves with its result, one that was stopped with
/// the error `ECANCELED`.
///
/// ```
/// use krug::io::Canceller;
/// use krug::net::UnixStream;
///
/// # krug::Runtime::new().unwrap().block_on(async {
/// let (stream, _peer) = UnixStream::pair()?;
/// let canceller = Canceller::new();
/// let reading = canceller.scope(stream.read(Vec::with_capacity(1 << 20)));
/// let stopping = async { canceller.cancel() };
/// let ((result, buf), ()) = krug::join!(reading, stopping);
/// assert!(Canceller::was_cancelled(&result.unwrap_err()));
/// assert_eq!(buf.capacity(), 1 << 20); // nothing was lost
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[derive(Clone, Default)]
pub struct Canceller {
    scope: Rc<CancelScope>,
}

impl Canceller {
    /// A canceller that was not asked yet.
    pub fn new() -> Canceller {
        Canceller::default()
    }

    /// Runs `future` so that [`cancel`](Canceller::cancel) stops the reads, writes, accepts and connects that it
    /// waits for, and only these: what other futures of the same task wait for goes on. Sleeping, channels
    /// and the like are not operations and are not stopped.
    ///
    /// Dropping this future drops `future`.
    pub fn scope<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        poll_beside(future, self.scope.clone(), poll_scope::<F>)
    }

    /// Stops every operation in flight in a scope of this canceller. Those that would start
    /// later resolve at once, as cancelled.
    ///
    /// A `write_all` that is stopped half-way leaves the peer with half of it: what to do with the stream then is
    /// the caller's to decide.
    pub fn cancel(&self) {
        self.scope.ask();
    }

    /// True once [`cancel`](Canceller::cancel) was called.
    pub fn is_cancelled(&self) -> bool {
        self.scope.is_asked()
    }

    /// True if `error` says that an operation was stopped.
    pub fn was_cancelled(error: &std::io::Error) -> bool {
        error.raw_os_error() == Some(libc::ECANCELED)
    }
}

fn poll_scope<F: Future>(
    future: Pin<&mut F>,
    scope: &mut Rc<CancelScope>,
    cx: &mut Context<'_>,
) -> Poll<F::Output> {
    scope.enter(cx, |cx| future.poll(cx))
}

impl fmt::Debug for Canceller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canceller")
            .field("is_cancelled", &self.is_cancelled())
            .finish()
    }
}
