//! The driver on io_uring.
//!
//! - `setup`: makes the ring, as modern as the kernel lets it be;
//! - `encode`: from operation to submission entry;
//! - `enter`: submits, waits, reaps; copes with every answer of `io_uring_enter`;
//! - `decode`: from completion entry to completion;
//! - `examine`: what a ring of this kernel can do, without running on it;
//! - `armed_bell`: hears the bell where rings cannot be sent messages, or some threads may not send them;
//! - `buffers`: rings of provided buffers;
//! - `fallback`: what the kernel's io_uring lacks.
//!
//! A ring belongs to the thread that made it: the kernel refuses everybody else
//! (`IORING_SETUP_SINGLE_ISSUER`), so [`Uring`] does not leave its thread.

mod armed_bell;
mod buffers;
mod decode;
mod encode;
mod enter;
mod examine;
mod fallback;
#[cfg(test)]
mod features;
mod setup;
#[cfg(test)]
mod tests;
mod user_data;

pub(crate) use examine::examine;
#[cfg(test)]
pub(crate) use examine::made_up;
pub(crate) use setup::Rung;

use std::io;
use std::marker::PhantomData;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use io_uring::squeue::Entry;
use io_uring::{IoUring, Probe, opcode};

use super::again::Again;
use super::bell::{Bell, Wire};
use super::blocking::{BlockingPool, Work};
use super::staging::Staging;
use super::{
    Capabilities, Config, Descriptor, DriverCounters, Key, Operation, Refusal, Wait, calls, control,
};
use crate::sys;
use armed_bell::ArmedBell;

/// One ring and what is staged for it.
#[derive(Debug)]
pub(crate) struct Uring {
    /// Before `ring`: nobody may pull at the ring's descriptor once it is closed.
    bell: ArmedBell,
    ring: Ring,
    capabilities: Capabilities,
    fallbacks: bool,
    staging: Staging<Entry>,
    /// Staged operations that only a plain call can do: their entries are never shown to the kernel.
    lacking: Vec<(Key, Operation)>,
    counters: DriverCounters,
    /// Cancels and closes that were submitted and have not completed.
    own_in_flight: usize,
    /// `enter` had to leave entries in the submission queue.
    unsubmitted: bool,
    /// More completions were ready than one `enter` hands out: ask for many next time.
    many_ready: bool,
    /// How many bells there had been when `enter` was last asked to sleep. One that
    /// came since, and was reaped in passing, still counts as a reason not to.
    bells_heard: u64,
    /// Cancels that are to be asked for again.
    missed_cancels: Again,
    pool: BlockingPool,
    /// The place of each is its group's number. Freed when the kernel has let go of them.
    buffer_rings: Vec<buffers::BufferRing>,
    /// Errors that the next system calls are to fail with, the first one first.
    #[cfg(any(test, feature = "fault-injection"))]
    enter_errors: std::collections::VecDeque<i32>,
    /// The ring belongs to the thread that made it.
    not_send: PhantomData<*const ()>,
}

/// [`IoUring`] with a `Debug` that says which one.
struct Ring(IoUring);

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Ring").field(&self.0.as_raw_fd()).finish()
    }
}

/// How long a shutdown waits for the driver's own cancels and closes. They do not
/// wait for anything outside, so this is never reached on a healthy kernel.
const SHUTDOWN_PATIENCE: Duration = Duration::from_millis(500);

/// Long enough not to keep the core busy while a disk works, short enough not to be noticed in a
/// shutdown; the gap in which a cancel misses a connect has closed by then.
const MISSED_PAUSE: Duration = Duration::from_millis(1);

impl Uring {
    pub(crate) fn new(config: &Config) -> Result<Uring, Refusal> {
        let (ring, rung) = setup::ring(config)?;
        Uring::with(ring, rung, config).map_err(|error| Refusal::of(&error))
    }

    fn with(mut ring: IoUring, rung: Rung, config: &Config) -> io::Result<Uring> {
        limit_kernel_threads(&ring, config);
        let capabilities = capabilities(&mut ring, rung, config)?;
        let message = (ring.as_raw_fd(), user_data::MESSAGE);
        let wire = Wire {
            message: capabilities.message_ring.then_some(message),
            event: sys::event_descriptor()?,
        };
        Ok(Uring {
            bell: ArmedBell::new(wire),
            ring: Ring(ring),
            fallbacks: fallback::is_needed(&capabilities),
            capabilities,
            staging: Staging::new(),
            lacking: Vec::new(),
            counters: DriverCounters::default(),
            own_in_flight: 0,
            unsubmitted: false,
            many_ready: false,
            bells_heard: 0,
            missed_cancels: Again::new(MISSED_PAUSE, MISSED_PAUSE),
            pool: BlockingPool::new(&config.pool),
            buffer_rings: Vec::new(),
            #[cfg(any(test, feature = "fault-injection"))]
            enter_errors: std::collections::VecDeque::new(),
            not_send: PhantomData,
        })
    }

    pub(crate) fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    #[inline]
    pub(crate) fn submit(&mut self, key: Key, operation: Operation) {
        if self.fallbacks && !fallback::has(&self.capabilities, &operation) {
            self.lacking.push((key, operation));
        }
        self.staging.submit(key, operation);
    }

    /// See [`Driver::try_at_once`](crate::driver::Driver::try_at_once).
    #[inline]
    pub(crate) fn try_at_once(&mut self, operation: &Operation) -> Option<i32> {
        self.counters.attempts += 1;
        calls::read_from_cache(operation)
    }

    pub(crate) fn take_back(&mut self, key: Key) -> bool {
        // A turn that submits and takes back for ever must not grow the list for ever.
        self.lacking.retain(|(lacking, _)| *lacking != key);
        self.staging.take_back(key)
    }

    pub(crate) fn cancel(&mut self, key: Key) {
        self.staging.cancel(key);
    }

    pub(crate) fn close(&mut self, fd: Descriptor) {
        self.staging.close(fd);
    }

    pub(crate) fn has_staged(&self) -> bool {
        self.unsubmitted || !self.staging.is_empty()
    }

    pub(crate) fn own_in_flight(&self) -> usize {
        self.own_in_flight
    }

    pub(crate) fn control(&mut self, control: super::Control) -> io::Result<super::Answer> {
        control::perform(control)
    }

    pub(crate) fn blocking(&self, work: Work) -> io::Result<()> {
        self.pool.run(work).map_err(|(_, error)| error)
    }

    pub(crate) fn bell(&self) -> Bell {
        self.bell.bell()
    }

    pub(crate) fn counters(&self) -> DriverCounters {
        self.counters.clone()
    }

    /// Makes the next system call of `enter` for which nothing is planned yet fail
    /// with `errno`; 0 lets it through.
    #[cfg(any(test, feature = "fault-injection"))]
    pub(crate) fn fail_enter(&mut self, errno: i32) {
        self.enter_errors.push_back(errno);
    }

    pub(crate) fn shutdown(mut self) {
        let deadline = Instant::now() + SHUTDOWN_PATIENCE;
        // Of operations that somebody gave up on: their owners are gone.
        let mut strays = Vec::new();
        while self.has_staged() || self.own_in_flight > 0 || self.bell.is_armed() {
            if self.bell.is_armed() {
                // The armed read is the bell's own and ends like any: by ringing.
                self.bell.disarm();
            }
            let entered = self.enter(Wait::Until(Some(deadline)), &mut strays);
            if entered.is_err() || Instant::now() >= deadline {
                break;
            }
        }
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        self.remove_buffer_groups();
    }
}

/// Best effort: the bound protects others, the driver works without.
fn limit_kernel_threads(ring: &IoUring, config: &Config) {
    // Zero leaves a number as it is.
    let files = config.file_threads_max.unwrap_or(0);
    let _ = ring
        .submitter()
        .register_iowq_max_workers(&mut [files, config.blocking_threads_max]);
}

fn capabilities(ring: &mut IoUring, rung: Rung, config: &Config) -> io::Result<Capabilities> {
    enter::try_out(ring)?;
    let mut probe = Probe::new();
    // A probe that fails leaves the table empty: every operation that has a
    // fallback then takes it.
    let _ = ring.submitter().register_probe(&mut probe);
    let mut found = what_it_says(ring, rung, &probe);
    (config.restrict)(&mut found);
    found.message_ring = found.message_ring && enter::hears_messages(ring)?;
    Ok(found)
}

fn what_it_says(ring: &IoUring, rung: Rung, probe: &Probe) -> Capabilities {
    let socket = probe.is_supported(opcode::Socket::CODE);
    let parameters = ring.params();
    Capabilities {
        rung: Some(rung),
        entries: parameters.sq_entries(),
        completion_entries: parameters.cq_entries(),
        // Multishot has no bit of its own; it came in the same release as SOCKET.
        accept_multishot: socket,
        socket,
        bind_listen: probe.is_supported(opcode::Bind::CODE)
            && probe.is_supported(opcode::Listen::CODE),
        pipe: probe.is_supported(opcode::Pipe::CODE),
        shutdown: probe.is_supported(opcode::Shutdown::CODE),
        truncate: probe.is_supported(opcode::Ftruncate::CODE),
        rename: probe.is_supported(opcode::RenameAt::CODE),
        remove: probe.is_supported(opcode::UnlinkAt::CODE),
        make_directory: probe.is_supported(opcode::MkDirAt::CODE),
        hard_link: probe.is_supported(opcode::LinkAt::CODE),
        symbolic_link: probe.is_supported(opcode::SymlinkAt::CODE),
        // Rings of buffers have no bit either, and came with SOCKET, too; multishot receives came with SEND_ZC.
        provided_buffers: socket,
        receive_multishot: probe.is_supported(opcode::SendZc::CODE),
        receive_bundle: parameters.is_feature_recvsend_bundle(),
        message_ring: probe.is_supported(opcode::MsgRingData::CODE),
        no_iowait: parameters.is_feature_no_iowait(),
    }
}
