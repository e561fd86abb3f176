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

mod methods;

use crate::inflight::{InFlight, Op as _};
use crate::op::nop::Nop;

pub(crate) use methods::{read_methods, stream_end_methods, write_methods};

/// Does nothing, through the whole ring: one submission, one completion.
///
/// It is what benchmarks measure the cost of an operation with, and the smallest way to wait until
/// the kernel has been asked once. Dropping this future takes the request back.
///
/// ```
/// # krug::Runtime::new()?.block_on(async {
/// krug::io::nop().await?;
/// # std::io::Result::Ok(()) }).unwrap();
/// # std::io::Result::Ok(())
/// ```
///
/// # Errors
///
/// Outside a runtime, and in one that is shutting down.
pub async fn nop() -> std::io::Result<()> {
    let mut in_flight = InFlight::start(Nop, None).map_err(|(_, error)| error)?;
    let (nop, completion) = std::future::poll_fn(|cx| in_flight.poll(cx)).await;
    nop.complete(completion)
}
