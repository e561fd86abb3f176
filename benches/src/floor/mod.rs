//! What there is to reach: loops written by hand on the bare `io-uring` crate, without tasks,
//! wakers, cancellation or timers. Also the load generator, which is such a loop too, and the few
//! system calls that a measurement needs. All unsafe code of this package stands here,
//! but for the calls of the server models.
//!
//! Memory that the kernel may write to belongs to a list of connections that leaks itself if it is
//! dropped while something is in flight; nothing else is handed to the kernel.

pub(crate) mod calls;
mod connections;
pub(crate) mod load;
pub(crate) mod nops;
mod ring;
pub(crate) mod server;
pub(crate) mod system;
