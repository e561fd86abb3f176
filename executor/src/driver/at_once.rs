//! [`AtOnce`]: what is offered to a driver instead of being submitted.

/// Which operations are worth [`try_at_once`](super::Driver::try_at_once).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AtOnce {
    /// Receives and sends of a stream. Not on a ring: measured with 50 connections of one message each, the call cost more
    /// than its share of a batch.
    pub(crate) transfers: bool,
    /// Reads of a file at an offset. Of what is in the kernel's cache a call copies 4 KiB in half the time that the
    /// way through a ring takes.
    pub(crate) cached_reads: bool,
}
