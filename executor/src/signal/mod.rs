//! Signals of the operating system, as something to wait for.
//!
//! ```no_run
//! use krug::signal::{self, SignalKind};
//!
//! # async fn serve() {}
//! # async fn reload() {}
//! # async fn example() -> std::io::Result<()> {
//! let mut hangup = signal::unix(SignalKind::hangup())?;
//! krug::spawn(async move {
//!     while hangup.recv().await.is_ok() {
//!         reload().await;
//!     }
//! });
//! krug::select! {
//!     _ = serve() => {}
//!     _ = signal::ctrl_c() => println!("good bye"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What a listener changes
//!
//! From the first listener on, **the signal does no more what it does by itself**: ctrl-c does not end the process, it only comes to
//! whoever listens. That stays so when the last listener is gone, to the end of the process. What sends a signal often sends it twice
//! (`timeout` and shells signal the process and then its group), and the second one must not end a process that is about to end in good order.
//! Whoever wants a second ctrl-c to end the process at once waits for it: see [`shutdown`](crate::shutdown). A signal that was ignored, as `nohup` has
//! it, is heard from then on, too.
//!
//! Signals come by a handler (`sigaction`) that counts them and rings an event descriptor, which a waiting listener polls through its core's
//! ring. A `signalfd` could be read without a handler, but is given only what every thread of the process blocks; a thread of another
//! library that does not is where a ctrl-c would end the process, and children inherit what is blocked. So
//!
//! - it does not matter which threads there are, when they were started and what they run;
//! - nothing is blocked, and children that are started (`std::process::Command`) have their signals as usual;
//! - a child that was made by `fork` alone hears its own signals, in a runtime of its own, and tells its parent nothing;
//! - a handler that was there before is called, too; one that is installed later takes the place of this one, unless it does likewise;
//! - calls of others that a signal interrupts go on (`SA_RESTART`), and no operation of krug ends with `EINTR`.
//!
//! A signal that every thread blocks comes to nobody.
//!
//! # What is not lost
//!
//! A [`Signal`] sees what comes after it was made, whether somebody waits at that moment or not, and whatever futures of
//! [`recv`](Signal::recv) were dropped. Each listener sees it, on every core and in every runtime of the process. **Several that come before
//! a listener looks count as one**, as they do in the kernel: the number of signals says nothing.
//!
//! # In a simulation
//!
//! A signal is sent by [`Sim::signal`](crate::sim::Sim::signal); real ones come to no simulated host.

mod kind;
mod listener;

pub(crate) use kind::DefaultAction;
pub use kind::SignalKind;
pub use listener::{Signal, unix};

use std::io;

/// Waits for ctrl-c (`SIGINT`) once.
///
/// It listens from its first poll on: what comes before that does what it does by itself, or what an earlier listener has made of it. To
/// miss nothing between two of them, keep a [`Signal`] of [`SignalKind::interrupt`].
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// krug::signal::ctrl_c().await?;
/// # Ok(())
/// # }
/// ```
///
/// Dropping this future gives up listening. Ctrl-c does not end the process after that either: see the [module docs](self).
///
/// # Errors
///
/// As [`unix`] and [`Signal::recv`].
pub async fn ctrl_c() -> io::Result<()> {
    unix(SignalKind::interrupt())?.recv().await
}
