//! [`Bell`]: wakes a driver that sleeps in `enter`, from any thread.
//!
//! Where the kernel can, ringing posts a completion to the ring itself
//! (`IORING_REGISTER_SEND_MSG_RING`, Linux 6.13: 30 µs for a round trip, against 40
//! with an event descriptor). Elsewhere it adds to an event descriptor, which the
//! driver watches while it sleeps. So does a ringer whose message is refused, for want of memory, or by
//! the sandbox of its thread: a wake-up that is lost is a program that hangs. What was rung while the driver was
//! awake is kept by the ring or by the counter: the next sleep ends at once.
//!
//! A bell may outlive its driver; ringing it then does nothing. The driver's
//! descriptors must not be used after they are closed, because their numbers belong
//! to others from then on. So ringers announce themselves, and closing waits for
//! those under way, which is a system call at most.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::{fmt, io};

use super::Descriptor;
use crate::sys;

/// Wakes one driver. Cloned and sent freely.
#[derive(Clone)]
pub(crate) enum Bell {
    /// A driver that sleeps in the kernel.
    Kernel(Arc<Shared>),
    /// One that makes no system calls.
    Doorbell(Arc<Doorbell>),
}

pub(crate) struct Shared {
    wire: Wire,
    /// [`CLOSED`] and the number of ringers between their announcement and their departure.
    state: AtomicU32,
}

/// What is pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wire {
    /// The ring's own descriptor, and what its owner knows the message by; pulled first, if there is one.
    pub(super) message: Option<(Descriptor, u64)>,
    /// An event descriptor, owned by the driver's side of the bell.
    pub(super) event: Descriptor,
}

const CLOSED: u32 = 1 << 31;

impl Bell {
    /// Makes the driver's present sleep in `enter` end, or its next one not begin.
    pub(crate) fn ring(&self) {
        match self {
            Bell::Kernel(shared) => shared.ring(),
            Bell::Doorbell(doorbell) => doorbell.ring(),
        }
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bell::Kernel(shared) => f.debug_tuple("Bell").field(&shared.wire).finish(),
            Bell::Doorbell(doorbell) => f.debug_tuple("Bell").field(doorbell).finish(),
        }
    }
}

impl Shared {
    fn ring(&self) {
        let before = self.state.fetch_add(1, Ordering::SeqCst);
        if before & CLOSED == 0 {
            self.pull();
        }
        self.state.fetch_sub(1, Ordering::Release);
    }

    fn pull(&self) {
        let Wire { message, event } = self.wire;
        let is_sent = message
            .is_some_and(|(ring, user_data)| sys::send_ring_message(ring, user_data).is_ok());
        if !is_sent {
            pull_event(event);
        }
    }
}

/// Of an event descriptor EAGAIN says that its count is at the top, so it is rung already. Nothing else can happen to one
/// that is open.
fn pull_event(event: Descriptor) {
    let is_interrupted = |result: io::Result<()>| {
        result.is_err_and(|error| error.kind() == io::ErrorKind::Interrupted)
    };
    while is_interrupted(sys::ring_event(event)) {}
}

/// Rung or not, and whoever waits for it.
#[derive(Debug, Default)]
pub(crate) struct Doorbell {
    is_rung: Mutex<bool>,
    ringing: Condvar,
}

impl Doorbell {
    fn ring(&self) {
        *self.lock() = true;
        self.ringing.notify_all();
    }

    /// Whether it was rung since this was last asked.
    pub(super) fn take(&self) -> bool {
        std::mem::take(&mut *self.lock())
    }

    /// Sleeps until it is rung.
    pub(super) fn wait(&self) {
        let waited = self.ringing.wait_while(self.lock(), |is_rung| !*is_rung);
        *waited.unwrap_or_else(PoisonError::into_inner) = false;
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        // Whoever panicked has left a truth value.
        self.is_rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The driver's side of its bell.
pub(super) struct BellOwner {
    shared: Arc<Shared>,
}

impl BellOwner {
    pub(super) fn new(wire: Wire) -> BellOwner {
        let state = AtomicU32::new(0);
        BellOwner {
            shared: Arc::new(Shared { wire, state }),
        }
    }

    pub(super) fn bell(&self) -> Bell {
        Bell::Kernel(Arc::clone(&self.shared))
    }

    pub(super) fn event(&self) -> Descriptor {
        self.shared.wire.event
    }

    /// Rings by the event descriptor, also if messages can be sent.
    pub(super) fn ring_event(&self) {
        pull_event(self.event());
    }
}

impl fmt::Debug for BellOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BellOwner").field(&self.shared.wire).finish()
    }
}

impl Drop for BellOwner {
    /// After this the descriptors may be closed: nobody pulls at them any more.
    fn drop(&mut self) {
        let shared = &self.shared;
        shared.state.fetch_or(CLOSED, Ordering::SeqCst);
        while shared.state.load(Ordering::Acquire) & !CLOSED != 0 {
            std::thread::yield_now();
        }
        // Nothing is lost with an error: the descriptor is gone in any case.
        let _ = sys::close(shared.wire.event);
    }
}
