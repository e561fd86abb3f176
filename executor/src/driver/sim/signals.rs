//! Signals of simulated hosts. Nothing sends them but a test: the hosts have no terminals, and no other processes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::objects::Kind;
use super::trace::Happening;
use super::world::World;
use crate::driver::{Descriptor, SignalWatch, own};

/// How often each signal has come since a program of the host first listened for it.
pub(super) type Arrived = BTreeMap<i32, Arc<AtomicU64>>;

/// What can be polled for a signal.
pub(super) struct Watched {
    pub(super) signal: i32,
    /// It has come since this was last hushed.
    pub(super) is_rung: bool,
}

impl Watched {
    /// The events of a poll that are there.
    pub(super) fn events(&self) -> i32 {
        match self.is_rung {
            true => i32::from(libc::POLLIN),
            false => 0,
        }
    }
}

impl World {
    pub(super) fn watch_signal(&mut self, core: usize, signal: i32) -> SignalWatch {
        let host = self.host(core);
        let arrived = Arc::clone(self.machines[host].signals.entry(signal).or_default());
        let is_rung = false;
        let watched = Kind::Signal(Watched { signal, is_rung });
        let id = self.objects.add(host, 0, watched);
        SignalWatch::of_host(signal, own(self.objects.name(id)), arrived)
    }

    /// What rings at `fd` is silent again.
    pub(super) fn hush(&mut self, core: usize, fd: Descriptor) -> Result<(), i32> {
        let id = self.object(core, fd)?;
        match self.objects.get_mut(id).map(|object| &mut object.kind) {
            Some(Kind::Signal(watched)) => {
                watched.is_rung = false;
                Ok(())
            }
            _ => Err(libc::EINVAL),
        }
    }

    /// A signal comes to the program of a host. False if it has never listened for it.
    pub(crate) fn signal(&mut self, host: usize, signal: i32) -> bool {
        self.note(Happening::Signal { host, signal });
        let Some(arrived) = self.machines[host].signals.get(&signal) else {
            return false;
        };
        arrived.fetch_add(1, Ordering::Relaxed);
        for id in self.objects.of_host(host).to_vec() {
            if let Some(Kind::Signal(watched)) =
                self.objects.get_mut(id).map(|object| &mut object.kind)
                && watched.signal == signal
            {
                watched.is_rung = true;
                self.stir(id);
            }
        }
        self.settle();
        true
    }
}
