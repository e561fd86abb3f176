//! [`SignalWatch`]: a descriptor that can be polled for a signal, and how often that has come.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Descriptor, OwnedDescriptor};
use crate::sys::{self, SignalListener};

/// As long as it lives, a signal makes its descriptor readable. The count is the truth, the descriptor only wakes: it may be
/// readable for no reason.
#[derive(Debug)]
pub(crate) struct SignalWatch {
    signal: i32,
    /// How often it had come when this began.
    at_first: u64,
    outlet: Outlet,
}

#[derive(Debug)]
enum Outlet {
    Process(SignalListener),
    /// Of a simulated host.
    Host {
        fd: OwnedDescriptor,
        arrived: Arc<AtomicU64>,
    },
}

impl SignalWatch {
    /// # Errors
    ///
    /// As [`SignalListener::new`].
    pub(super) fn of_process(signal: i32) -> io::Result<SignalWatch> {
        // Before a handler is there: what it takes away from the process is to be told.
        let at_first = sys::arrived(signal);
        let outlet = Outlet::Process(SignalListener::new(signal)?);
        Ok(SignalWatch {
            signal,
            at_first,
            outlet,
        })
    }

    pub(super) fn of_host(
        signal: i32,
        fd: OwnedDescriptor,
        arrived: Arc<AtomicU64>,
    ) -> SignalWatch {
        SignalWatch {
            signal,
            at_first: arrived.load(Ordering::Relaxed),
            outlet: Outlet::Host { fd, arrived },
        }
    }

    pub(crate) fn fd(&self) -> Descriptor {
        match &self.outlet {
            Outlet::Process(listener) => listener.event(),
            Outlet::Host { fd, .. } => fd.as_raw_fd(),
        }
    }

    /// What [`arrived`](SignalWatch::arrived) was when this began.
    pub(crate) fn at_first(&self) -> u64 {
        self.at_first
    }

    /// How often the signal has come since anybody first watched for it; those that came at once may count as one.
    pub(crate) fn arrived(&self) -> u64 {
        match &self.outlet {
            Outlet::Process(_) => sys::arrived(self.signal),
            Outlet::Host { arrived, .. } => arrived.load(Ordering::Relaxed),
        }
    }
}
