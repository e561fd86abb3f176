//! [`Config`]: what is asked of a driver; [`Capabilities`]: what it turned out to be able to do.

use super::blocking::PoolConfig;
use super::choice::Choice;
use super::uring::Rung;

/// How to set a driver up.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Which one.
    pub(crate) choice: Choice,
    /// Of all choices that are made by chance.
    pub(crate) seed: u64,
    /// Entries of the submission queue, at least 1; rounded up to a power of two.
    /// More may be staged in a turn: it then takes more than one system call.
    pub(crate) entries: u32,
    /// Entries of the completion queue, at least as many as `entries`; four times as many if `None`.
    pub(crate) completion_entries: Option<u32>,
    /// How many kernel threads may run requests that cannot be made non-blocking,
    /// and that may block for ever (reads from terminals, splices). The kernel's own
    /// bound is the number of processes of the user: one program could take them all.
    pub(crate) blocking_threads_max: u32,
    /// How many kernel threads may work on regular files, at least 1. The kernel's own bound, the smaller one of
    /// `entries` and four times the number of processors, if `None`.
    pub(crate) file_threads_max: Option<u32>,
    /// Our own threads, which do what cannot be done without waiting.
    pub(crate) pool: PoolConfig,
    /// The rung of the set-up ladder to start at instead of the one that worked last.
    pub(crate) rung: Option<Rung>,
    /// Takes away abilities that the kernel has.
    pub(crate) restrict: fn(&mut Capabilities),
    /// What goes wrong, and when.
    #[cfg(feature = "fault-injection")]
    pub(crate) faults: super::Faults,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            choice: Choice::Auto,
            seed: 0,
            entries: 256,
            completion_entries: None,
            blocking_threads_max: 128,
            file_threads_max: None,
            pool: PoolConfig::default(),
            rung: None,
            restrict: |_| {},
            #[cfg(feature = "fault-injection")]
            faults: super::Faults::new(),
        }
    }
}

/// What a driver can do, found out by asking the kernel, never by its version.
///
/// What is marked *done all the same* needs no attention from the layer above: the
/// driver makes the plain system call when the operation is submitted, and hands
/// back a completion like any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Capabilities {
    /// How far up the set-up ladder the ring got; `None` if there is no ring.
    pub(crate) rung: Option<Rung>,
    pub(crate) entries: u32,
    pub(crate) completion_entries: u32,
    /// [`Operation::AcceptMultishot`](super::Operation::AcceptMultishot) works;
    /// without, it is answered with EINVAL.
    pub(crate) accept_multishot: bool,
    /// Done all the same.
    pub(crate) socket: bool,
    /// Done all the same.
    pub(crate) bind_listen: bool,
    /// Done all the same.
    pub(crate) pipe: bool,
    /// Done all the same.
    pub(crate) shutdown: bool,
    /// Done all the same.
    pub(crate) truncate: bool,
    /// Answered with EINVAL without it: the layer above does it elsewhere. So are the four that follow.
    pub(crate) rename: bool,
    pub(crate) remove: bool,
    pub(crate) make_directory: bool,
    pub(crate) hard_link: bool,
    pub(crate) symbolic_link: bool,
    /// A group of provided buffers can probably be made: [`add_buffer_group`](super::Driver::add_buffer_group)
    /// has the last word.
    pub(crate) provided_buffers: bool,
    /// [`Operation::ReceiveMultishot`](super::Operation::ReceiveMultishot) probably works;
    /// without, it is answered with EINVAL.
    pub(crate) receive_multishot: bool,
    /// One completion of a receive can cover several provided buffers.
    pub(crate) receive_bundle: bool,
    /// The bell posts to the ring itself, as far as its ringers may; without, it is an event descriptor.
    pub(crate) message_ring: bool,
    /// Sleeping in `enter` is not accounted as waiting for a disk.
    pub(crate) no_iowait: bool,
}
