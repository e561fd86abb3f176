//! What a core notes of itself while it works: plain data, which knows nothing of tasks, operations or drivers. They write it;
//! [`runtime`](crate::runtime) shows it.
//!
//! | file | what it is |
//! |---|---|
//! | [`board`], [`watchdog`] | what is polled at this moment, and the thread that looks at it |
//! | `console` | what tokio-console reads (feature `console`) |
//! | [`dump`] | what a core has at one moment |
//! | [`histogram`] | how often which value has come up |
//! | [`latencies`] | how long operations have taken |
//! | [`kind`] | the kinds of operations that are told apart |
//! | [`spans`] | what subscribers of `tracing` are told |
//! | [`times`] | when a turn began, and how long the core was busy |

mod board;
#[cfg(feature = "console")]
mod console;
mod dump;
mod histogram;
mod kind;
mod latencies;
mod spans;
mod times;
mod watchdog;

pub(crate) use board::{Board, Shown};
#[cfg(feature = "console")]
pub(crate) use console::{AsyncOperation, Console, Name, Resource, waker};
pub use dump::{Dump, OperationEntry, OperationOwner, OperationState, TaskEntry, TaskState};
pub use histogram::Histogram;
pub(crate) use histogram::Recorder;
pub use kind::OperationKind;
pub(crate) use latencies::Latencies;
pub(crate) use spans::{Spans, TaskSpans, is_traced, operation_begins, operation_completes};
pub(crate) use times::Times;
pub(crate) use watchdog::Watchdog;
