//! Stealable tasks: an executor of its own on top of the cores, in which any core may poll what another one has spawned.
//!
//! From the bottom up: [`queue`] is what is ready on one core; [`state`] and [`task`] are a future that goes between cores; [`pool`] has
//! the queues of all cores and knows which of them are idle; [`runner`] is the task on each core that polls; [`seat`] is what a core's
//! scheduler has of it; [`handle`] is what the user has.

mod handle;
mod pool;
mod queue;
mod runner;
mod seat;
mod state;
mod task;

pub use handle::StealableHandle;
pub(super) use pool::Pool;
pub(crate) use seat::Seat;

use std::panic::Location;
use std::sync::Arc;

use super::quietly;
use crate::scheduler::Scheduler;
use crate::task::with_scheduler;
use task::{Birth, Stealable, Task};

/// Starts a task that is not bound to this core: a core of this runtime that has nothing to do takes it over from one that is busy. For
/// work whose place does not matter, such as computing an answer, where what comes in is spread unevenly over the cores. The
/// future has to be `Send`; all else is as for [`spawn`](crate::spawn).
///
/// ```
/// let runtime = krug::Runtime::builder().cores(2).build()?;
/// let sum = runtime.block_on(async {
///     let parts = (0..8_u64).map(|part| {
///         krug::spawn_stealable(async move { (part * 1000..(part + 1) * 1000).sum::<u64>() })
///     });
///     let mut sum = 0;
///     for part in parts.collect::<Vec<_>>() {
///         sum += part.await.unwrap();
///     }
///     sum
/// });
/// assert_eq!(sum, (0..8000).sum());
/// # std::io::Result::Ok(())
/// ```
///
/// # Where it runs
///
/// It waits in the queue of the core that spawned it, and after a wake in that of the core where it was woken; a wake on a thread that runs no core
/// of the runtime puts it to the one that has polled it last. If that core has no stealable task to poll, it comes to this one with its next
/// turn. Else one that is idle is woken, and takes over half of what waits there. No system call is made towards a core that is awake, and none
/// if no core is idle. So tasks move when two or more are ready on one core; one alone waits for its core.
///
/// A core polls up to 16 of them, then its other tasks have their turn. With one core it is like `spawn`, and in a simulation the order follows
/// from the seed.
///
/// # I/O
///
/// A stream, a file, a listener belongs to a core and errs on another one, and where this task is polled next is not known. It may use timers, and
/// everything in [`cores`](super): what it needs of a stream it asks of a task at its side, by a channel or by
/// [`CoreHandle::call`](super::CoreHandle::call).
///
/// # End
///
/// The future is dropped on a core of the runtime, whichever has it. When the core that spawned it ends, with the runtime or by a failure of its
/// driver, the task is cancelled: its joiner sees so, and a wake after that does nothing. If the runtime is shutting down, it is cancelled before its
/// first poll. A panic goes to the joiner, and counts, also for [`PanicPolicy`](crate::runtime::PanicPolicy), on the core where it happened. In
/// [`Metrics::tasks`](crate::runtime::Metrics::tasks) the task counts for the core that spawned it.
///
/// # Panics
///
/// Outside a runtime.
#[track_caller]
pub fn spawn_stealable<F>(future: F) -> StealableHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    let spawned_at = Location::caller();
    match with_scheduler(|scheduler| spawn(scheduler, future, spawned_at)) {
        Some(handle) => handle,
        None => panic!(
            "`krug::spawn_stealable` needs a runtime on this thread, and there is none: call it from a \
             future that `Runtime::block_on` runs"
        ),
    }
}

fn spawn<F>(
    scheduler: &Scheduler,
    future: F,
    spawned_at: &'static Location<'static>,
) -> StealableHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let seat = scheduler.seat();
    let (pool, home) = seat.take(scheduler);
    let birth = |key| Birth {
        pool: pool.clone(),
        home,
        key,
        spawned_at,
    };
    if scheduler.is_closing() {
        // It stands in no list, so nobody is told of its end.
        let stillborn = Arc::new(Task::new(future, birth(usize::MAX)));
        stillborn.end();
        return StealableHandle::new(stillborn);
    }
    let task = seat.insert(|key| Arc::new(Task::new(future, birth(key))));
    pool.push(home, task.clone());
    StealableHandle::new(task)
}

#[cfg(all(test, krug_loom))]
mod loom_models;
