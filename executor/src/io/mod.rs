//! What all streams have in common: the methods to read and to write.
//!
//! `TcpStream`, `UnixStream`, their halves and the ends of a pipe share one set of
//! methods, which take an owned buffer and give it back with the result: see
//! [`buf`](crate::buf) for the rules.
//!
//! # Who reads next, when a read was dropped
//!
//! A stream has at most one receive and one send in flight. Several futures on one
//! stream are served in the order in which they were first polled. A read that is
//! dropped in flight goes on; its bytes go to the next read. A write that is dropped in flight
//! goes on, too, until all of its buffer is sent; what is written afterwards comes after it.
//! So retrying a write that timed out sends the bytes twice.

mod cancel;
mod methods;
mod readiness;

pub use cancel::Canceller;
pub use readiness::{readable, writable};

pub(crate) use methods::{read_methods, stream_end_methods, write_methods};

use std::io;

use crate::inflight::{InFlight, Op};
use crate::op::nop::Nop;

/// Does nothing, through the whole ring and back: for measuring what the way itself costs.
///
/// Dropping this future cancels it.
///
/// # Errors
///
/// Outside a runtime, and in one that is shutting down.
pub async fn nop() -> io::Result<()> {
    let mut in_flight = InFlight::start(Nop, None).map_err(|(_, error)| error)?;
    let (nop, completion) = std::future::poll_fn(|cx| in_flight.poll(cx)).await;
    nop.complete(completion)
}
