//! [`DriverCounters`]: what a driver has done.

use crate::observe::Recorder;

/// What a driver has done since it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DriverCounters {
    /// System calls that submitted or waited.
    pub(crate) enters: u64,
    /// Entries that the kernel took: operations, and the driver's own.
    pub(crate) submitted: u64,
    /// Completions that the kernel gave: of operations, and of the driver's own entries.
    pub(crate) completions: u64,
    /// Completions that belong to nothing that is in flight. Always 0, or something is wrong.
    pub(crate) stale_completions: u64,
    /// Times the completion queue had overflowed into the kernel's memory when it was looked at.
    pub(crate) overflows: u64,
    pub(crate) cancels: u64,
    /// Cancels that found their operation done or under way already.
    pub(crate) cancels_too_late: u64,
    pub(crate) bells: u64,
    /// Operations done as plain system calls because the ring lacks them.
    pub(crate) fallbacks: u64,
    /// Calls that were tried because they might need no waiting: reads of files that the kernel may have in its cache; without a
    /// ring whatever descriptor might be ready.
    pub(crate) attempts: u64,
    /// Without a ring: times the kernel was told to watch a descriptor, or to watch it for more.
    pub(crate) watches: u64,
    /// Without a ring: calls that were given to threads.
    pub(crate) errands: u64,
    /// How many entries went to the kernel together: one value for each submission.
    pub(crate) batches: Recorder,
}
