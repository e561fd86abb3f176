//! [`Capabilities`]: what a driver can do for its runtime.

use crate::driver;

/// What the driver of a runtime can do: with a ring, what the kernel turned out to know when it was asked; on epoll, what
/// the driver does in its place.
///
/// Results are the same without any of these; what differs is how many system calls and how much memory they take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// One operation takes any number of connections. Without it each `accept` is an operation of its own.
    pub accept_multishot: bool,
    /// One operation receives any number of times. Without it each receive is an operation of its own, and
    /// [`UdpOptions::receive_ahead`](crate::net::UdpOptions::receive_ahead) has no effect.
    pub receive_multishot: bool,
    /// One completion of a receive fills as many buffers as there is data for.
    pub receive_bundle: bool,
    /// Buffers are taken when data arrives. Without it a connection that waits for data in `recv` holds memory.
    pub provided_buffers: bool,
    /// Other threads wake the core with a message to its ring. Without it they use an event descriptor; a core with a ring
    /// submits a read of that before it sleeps. With it, too, but once: for threads that are forbidden to send messages.
    pub message_ring: bool,
    /// Renaming, removing, linking and making directories are operations of the driver. Without it some of them, or all, are
    /// handed to another thread as soon as their futures are polled, and cannot be taken back after that.
    pub path_changes: bool,
}

impl Capabilities {
    pub(super) fn of(found: &driver::Capabilities) -> Capabilities {
        Capabilities {
            accept_multishot: found.accept_multishot,
            receive_multishot: found.receive_multishot,
            receive_bundle: found.receive_bundle,
            provided_buffers: found.provided_buffers,
            message_ring: found.message_ring,
            path_changes: found.rename
                && found.remove
                && found.make_directory
                && found.hard_link
                && found.symbolic_link,
        }
    }
}
