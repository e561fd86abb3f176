//! [`Class`]: how urgent a task is, and [`spawn_in`].

use std::future::Future;
use std::panic::Location;

use super::spawn::spawn_on_in;
use super::{JoinHandle, here};

/// How urgent a task is. What that means is in the [module's docs](super#classes).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Class {
    /// Somebody waits for it: it answers requests, keeps a heartbeat. Polled before the others while its class has not had its share.
    Latency,
    /// What [`spawn`](fn@super::spawn) starts.
    #[default]
    Default,
    /// Nobody waits for it: compaction, rebuilding an index. Gets little while others want the core, and all of it otherwise.
    Background,
}

impl Class {
    /// From the most urgent one down.
    pub(crate) const ALL: [Class; 3] = [Class::Latency, Class::Default, Class::Background];
}

/// Starts a task of this [class](super#classes) on this core; in all else as [`spawn`](fn@super::spawn). Dropping the returned handle
/// detaches the task.
///
/// The task keeps its class. What it spawns itself is of the default class, unless it says otherwise, too.
///
/// ```
/// use krug::task::{Class, spawn_in, yield_now};
///
/// # krug::Runtime::new()?.block_on(async {
/// let rebuilding = spawn_in(Class::Background, async {
///     for _part in 0..100 {
///         // Some work, then whoever is more urgent.
///         yield_now().await;
///     }
/// });
/// rebuilding.await.unwrap();
/// # });
/// # std::io::Result::Ok(())
/// ```
///
/// To start one on another core, call this in a task that was sent there by [`spawn_on`](crate::spawn_on).
///
/// # Panics
///
/// Outside a runtime.
#[track_caller]
pub fn spawn_in<F: Future + 'static>(class: Class, future: F) -> JoinHandle<F::Output> {
    let spawned_at = Location::caller();
    let spawned = here::with(|scheduler| spawn_on_in(scheduler, class, future, spawned_at));
    match spawned {
        Some(handle) => handle,
        None => panic!(
            "`krug::task::spawn_in` needs a runtime on this thread, and there is none: call it from a \
             future that `Runtime::block_on` runs"
        ),
    }
}
