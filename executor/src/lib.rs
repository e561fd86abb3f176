//! krug: a thread-per-core async executor for Linux on io_uring.
#![allow(dead_code, unused_imports)] // Taken out when the parts meet.

#[cfg(not(target_os = "linux"))]
compile_error!(
    "krug runs on Linux only: it is built on io_uring, with epoll as its fallback. \
     Build it for a Linux target, for example in a container or a virtual machine."
);

pub mod buf;
pub mod io;
pub mod net;
pub mod pipe;
pub mod runtime;
pub mod sync;
pub mod task;
pub mod time;

mod context;
mod cores;
mod driver;
mod inflight;
mod op;
mod scheduler;
mod source;
mod sys;
mod wheel;
mod worker;

pub use runtime::{Builder, Handle, Runtime};
pub use task::{JoinHandle, spawn};
