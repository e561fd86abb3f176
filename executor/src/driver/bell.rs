//! [`Bell`]: wakes a driver that sleeps in `enter`, from any thread.
//!
//! Where the kernel can, ringing posts a completion to the ring itself
//! (`IORING_REGISTER_SEND_MSG_RING`, Linux 6.13: 30 µs for a round trip, against 40
//! with an event descriptor). Elsewhere it adds to an event descriptor, which the
//! driver watches while it sleeps. What was rung while the driver was
//! awake is kept by the ring or by the counter: the next sleep ends at once.
//!
//! A bell may outlive its driver; ringing it then does nothing. The driver's
//! descriptors must not be used after they are closed, because their numbers belong
//! to others from then on. So ringers announce themselves, and closing waits for
//! those under way, which is a system call at most.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fmt, io};

use super::Descriptor;
use crate::sys;

/// Wakes one driver. Cloned and sent freely.
#[derive(Clone)]
pub(crate) struct Bell {
    shared: Arc<Shared>,
}

struct Shared {
    wire: Wire,
    /// [`CLOSED`] and the number of ringers between their announcement and their departure.
    state: AtomicU32,
}

/// What is pulled.
#[derive(Clone, Debug)]
pub(super) enum Wire {
    /// The ring's own descriptor, and what its owner knows the message by.
    Ring { ring: Descriptor, user_data: u64 },
    /// An event descriptor, owned by the driver's side of the bell.
    Event(Descriptor),
    /// What a driver that makes no system calls waits for.
    Doorbell(Arc<Doorbell>),
}

const CLOSED: u32 = 1 << 31;

impl Bell {
    /// Makes the driver's present sleep in `enter` end, or its next one not begin.
    pub(crate) fn ring(&self) {
        let before = self.shared.state.fetch_add(1, Ordering::SeqCst);
        if before & CLOSED == 0 {
            self.shared.pull();
        }
        self.shared.state.fetch_sub(1, Ordering::Release);
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bell").field(&self.shared.wire).finish()
    }
}

impl Shared {
    fn pull(&self) {
        let mut wait = Duration::from_micros(10);
        loop {
            let result = match self.wire {
                Wire::Ring { ring, user_data } => sys::send_ring_message(ring, user_data),
                Wire::Event(event) => sys::ring_event(event),
                Wire::Doorbell(ref doorbell) => return doorbell.ring(),
            };
            if !is_worth_repeating(&self.wire, result) || self.is_closed() {
                return;
            }
            // A wake-up that is lost is a program that hangs, so this thread is slow instead.
            std::thread::sleep(wait);
            wait = (wait * 2).min(Duration::from_millis(10));
        }
    }

    fn is_closed(&self) -> bool {
        self.state.load(Ordering::Relaxed) & CLOSED != 0
    }
}

/// True if the kernel was short of memory, or interrupted.
fn is_worth_repeating(wire: &Wire, result: io::Result<()>) -> bool {
    match result.map_err(|error| error.raw_os_error()) {
        Err(Some(libc::ENOMEM | libc::EOVERFLOW | libc::EINTR)) => true,
        // Of an event descriptor: its count is at the top, so it is rung already.
        Err(Some(libc::EAGAIN)) => matches!(wire, Wire::Ring { .. }),
        // Anything else cannot happen to a descriptor that is open.
        _ => false,
    }
}

/// Rung or not, and whoever waits for it.
#[derive(Debug, Default)]
pub(super) struct Doorbell {
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
#[derive(Debug)]
pub(super) struct BellOwner {
    bell: Bell,
}

impl BellOwner {
    pub(super) fn new(wire: Wire) -> BellOwner {
        let shared = Shared {
            wire,
            state: AtomicU32::new(0),
        };
        BellOwner {
            bell: Bell {
                shared: Arc::new(shared),
            },
        }
    }

    pub(super) fn bell(&self) -> Bell {
        self.bell.clone()
    }

    pub(super) fn wire(&self) -> &Wire {
        &self.bell.shared.wire
    }
}

impl Drop for BellOwner {
    /// After this the descriptors may be closed: nobody pulls at them any more.
    fn drop(&mut self) {
        let shared = &self.bell.shared;
        shared.state.fetch_or(CLOSED, Ordering::SeqCst);
        while shared.state.load(Ordering::Acquire) & !CLOSED != 0 {
            std::thread::yield_now();
        }
        if let Wire::Event(event) = shared.wire {
            // Nothing is lost with an error: the descriptor is gone in any case.
            let _ = sys::close(event);
        }
    }
}
