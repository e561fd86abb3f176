//! [`Signal`]: somebody who listens for a signal.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;

use super::SignalKind;
use crate::context;
use crate::driver::{Control, SignalWatch};
use crate::inflight::{self, outside_error};
use crate::op::signal::{PollSignal, Watched};
use crate::task::budget;

/// Listens for a signal. See the [module docs](super).
///
/// It may be sent to another core and awaited there. Dropping it gives up listening.
#[derive(Debug)]
pub struct Signal {
    kind: SignalKind,
    watched: Arc<Watched>,
    /// How many had come when it last told of one.
    seen: u64,
}

/// Begins to listen for a signal, which from now on does no more what it does by itself: see the [module docs](super).
///
/// ```no_run
/// use krug::signal::{unix, SignalKind};
/// # async fn example() -> std::io::Result<()> {
/// let mut terminate = unix(SignalKind::terminate())?;
/// terminate.recv().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// `InvalidInput` for what nobody can listen for: `SIGKILL` and `SIGSTOP`, which cannot be caught; `SIGSEGV`, `SIGBUS`, `SIGILL` and
/// `SIGFPE`, after which the thread that they come to cannot go on; signals that do not exist. If the process may have no more descriptors;
/// outside a runtime.
pub fn unix(kind: SignalKind) -> io::Result<Signal> {
    if let Some(objection) = kind.objection() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{kind:?} cannot be listened for: {objection}"),
        ));
    }
    let watch = context::with(|core| {
        let mut driver = core.driver.borrow_mut();
        driver.watch_signal(kind.as_raw_value())
    });
    let watch = watch.unwrap_or_else(|| Err(outside_error()))?;
    Ok(Signal {
        kind,
        seen: watch.at_first(),
        watched: Arc::new(Watched(watch)),
    })
}

impl Signal {
    /// Which signal it listens for.
    pub fn kind(&self) -> SignalKind {
        self.kind
    }

    /// Waits until the signal has come since this last told of it, or since this was made. Several that have come meanwhile count as
    /// one.
    ///
    /// Dropping this future loses no signal: the next call tells of it.
    ///
    /// # Errors
    ///
    /// Outside a runtime, and in one that is shutting down. A `Signal` of a simulated host is of no use elsewhere.
    pub async fn recv(&mut self) -> io::Result<()> {
        poll_fn(budget::consume).await;
        loop {
            // First silent, then looked at: what comes after the look rings again.
            hush(&self.watched.0)?;
            let arrived = self.watched.0.arrived();
            if arrived != self.seen {
                self.seen = arrived;
                return Ok(());
            }
            inflight::submit(PollSignal(Arc::clone(&self.watched))).await?;
        }
    }
}

fn hush(watch: &SignalWatch) -> io::Result<()> {
    let hush = Control::Hush { fd: watch.fd() };
    let answer = context::with(|core| core.driver.borrow_mut().control(hush));
    answer.unwrap_or_else(|| Err(outside_error())).map(drop)
}
