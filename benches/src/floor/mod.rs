//! What there is to reach: loops written by hand on the bare `io-uring` crate, and one around `epoll`, without tasks,
//! wakers, cancellation or timers. Also the load generator, which is such a loop too, and the few
//! system calls that a measurement needs. Unsafe code of this package stands here, and in the calls of the
//! models of files, pipes and servers.
//!
//! Memory that the kernel may write to belongs to a list, of connections or of the two sides of a round trip, that leaks itself if it is
//! dropped while something is in flight; nothing else is handed to the kernel.

pub(crate) mod calls;
pub(crate) mod cancels;
mod connections;
pub(crate) mod idle;
pub(crate) mod limits;
pub(crate) mod load;
pub(crate) mod nops;
pub(crate) mod readiness;
pub(crate) mod ring;
pub(crate) mod round_trips;
pub(crate) mod rounds;
pub(crate) mod server;
pub(crate) mod system;
