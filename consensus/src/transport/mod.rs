//! How two heroes reach each other: Unix sockets, TCP, UDP, pipes.
//!
//! A [`Transport`] is what a hero is born with: a list of addresses in no order, or the
//! ends of pipes. It turns into [`Link`]s, one to each other hero, in whatever order
//! they come up; that order is the hero's own numbering of his ports. On each link two
//! tasks work, one for each direction ([`carry`]). Links that outlast their connections,
//! for heroes who may come back, are [`Lasting`].

mod lasting;
mod meeting;
mod outbox;
mod pipe;
mod tasks;
mod tcp;
mod traffic;
mod udp;
mod unix;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;

pub use lasting::{Greet, Lasting};
pub use meeting::{Socket, Sockets};
pub use outbox::{OUTBOX_BYTES_MAX, Outbox};
pub use pipe::{PipeEnds, PipeLink, Pipes};
pub use tasks::Tasks;
pub use tcp::Tcp;
pub use traffic::{Arrival, carry};
pub use udp::{DATAGRAM_MAX, UDP_PEERS_MAX, Udp, UdpLink};
pub use unix::Unix;

/// A stream of bytes to one other hero and one from him; of whole frames, where some may be lost.
pub trait Link: 'static {
    /// Sends all of `bytes`. The buffer comes back, whatever happened.
    fn send(&self, bytes: Vec<u8>) -> impl Future<Output = (io::Result<()>, Vec<u8>)>;

    /// Receives some bytes into `buffer`, or into another one that takes its place; 0 is the end. The
    /// buffer then holds exactly what was received.
    fn receive(&self, buffer: Vec<u8>) -> impl Future<Output = (io::Result<usize>, Vec<u8>)>;
}

/// What a hero is born with to reach the others.
pub trait Transport: 'static {
    /// What it turns into.
    type Link: Link;

    /// The links to all others, in the order in which they came up. Fewer, if somebody
    /// was not to be reached in time: to a hero that is the same as a dead neighbour.
    fn connect(self) -> impl Future<Output = Vec<Self::Link>>;
}
