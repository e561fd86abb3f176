//! Tasks (docs in work).

mod afar;
mod beside;
mod death;
mod error;
mod header;
mod here;
mod home;
mod join;
mod main_task;
mod memory;
mod queue;
mod raw;
mod remote;
mod spawn;
mod waker;
mod yield_now;

pub use error::JoinError;
pub use join::{AbortHandle, JoinHandle};
pub use spawn::spawn;
pub use yield_now::{YieldNow, yield_now};

pub(crate) use beside::poll_beside;
pub(crate) use death::{abort_all, merge_all};
pub(crate) use here::{Entered, budget, with as with_scheduler};
pub(crate) use main_task::MainTask;
pub(crate) use memory::Blocks;
pub(crate) use queue::{RunQueue, Runnable, TaskList};
pub(crate) use spawn::{spawn_from_afar, spawn_on};
pub(crate) use waker::{TaskRef, Waiter};

#[cfg(all(test, not(krug_loom)))]
mod tests;

#[cfg(all(test, krug_loom))]
mod loom_models;
