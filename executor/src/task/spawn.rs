//! How tasks come into being: here, and on another core.

use std::future::Future;
use std::panic::Location;

use super::made::MadeAtHome;
use super::raw::{Birth, Task};
use super::remote::{MERGED, NEW, QUEUED, Word};
use super::{Class, JoinHandle, here, home};
use crate::cores::{BacklogPlace, Closed, CoreId, SpawnError};
use crate::scheduler::Scheduler;

/// One for the scheduler until the task is complete, one for the join handle.
const AT_BIRTH: u64 = 2;

/// Starts a task on this core. It first runs when the caller has returned to the runtime.
///
/// The future need not be `Send`: it stays on this core. Dropping the returned handle detaches
/// the task. If the runtime is shutting down the task is cancelled before its first poll.
///
/// # Panics
///
/// Outside a runtime.
#[inline]
#[track_caller]
pub fn spawn<F: Future + 'static>(future: F) -> JoinHandle<F::Output> {
    let spawned_at = Location::caller();
    let spawned = here::with(|scheduler| spawn_on(scheduler, future, spawned_at));
    match spawned {
        Some(handle) => handle,
        None => panic!(
            "`krug::spawn` needs a runtime on this thread, and there is none: call it from a \
             future that `Runtime::block_on` runs, or use `Runtime::spawn`"
        ),
    }
}

/// Starts a task of `scheduler`, which is entered on this thread or could be.
#[inline]
pub(crate) fn spawn_on<F: Future + 'static>(
    scheduler: &Scheduler,
    future: F,
    spawned_at: &'static Location<'static>,
) -> JoinHandle<F::Output> {
    if scheduler.is_closing() {
        return spawn_stillborn(scheduler.id(), future, spawned_at);
    }
    let task = Task::allocate(future, birth_at_home(scheduler, spawned_at));
    home::adopt(scheduler, task);
    JoinHandle::new(task)
}

/// As [`spawn_on`], for a task of this class.
pub(super) fn spawn_on_in<F: Future + 'static>(
    scheduler: &Scheduler,
    class: Class,
    future: F,
    spawned_at: &'static Location<'static>,
) -> JoinHandle<F::Output> {
    if scheduler.is_closing() {
        return spawn_stillborn(scheduler.id(), future, spawned_at);
    }
    let task = Task::allocate(future, birth_at_home(scheduler, spawned_at));
    home::adopt_in(scheduler, class, task);
    JoinHandle::new(task)
}

#[inline(always)]
fn birth_at_home<'a>(
    scheduler: &'a Scheduler,
    spawned_at: &'static Location<'static>,
) -> Birth<'a> {
    Birth {
        blocks: Some(scheduler.blocks()),
        home: scheduler.id(),
        spawned_at,
        count: AT_BIRTH,
        word: Word::new(0, 0),
    }
}

/// A task that was cancelled before it began: merged from the start, known to no scheduler.
#[cold]
fn spawn_stillborn<F: Future + 'static>(
    home: CoreId,
    future: F,
    spawned_at: &'static Location<'static>,
) -> JoinHandle<F::Output> {
    let task = Task::allocate(
        future,
        Birth {
            blocks: None,
            home,
            spawned_at,
            count: 0,
            word: Word::new(MERGED, 1),
        },
    );
    // SAFETY: nobody else knows the task, and this is the thread that made its future.
    unsafe { home::cancel_unknown(task) };
    JoinHandle::new(task)
}

/// Starts a task on the core `home`, from any thread.
///
/// # Errors
///
/// Hands the future back if that life is over, or too many tasks are on their way there. If it ends before the task was taken
/// in, the task is cancelled.
#[track_caller]
pub(crate) fn spawn_from_afar<F>(
    home: CoreId,
    future: F,
) -> Result<JoinHandle<F::Output>, SpawnError<F>>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    if !home.is_alive() {
        return Err(SpawnError::Ended(future));
    }
    match home.try_place() {
        Some(place) => spawn_in(place, future, Location::caller()).map_err(SpawnError::Ended),
        None => Err(SpawnError::Full(future)),
    }
}

/// Starts a task on the core where it has a place, from any thread.
///
/// # Errors
///
/// Hands the future back if that life is over.
fn spawn_in<F>(
    place: BacklogPlace,
    future: F,
    spawned_at: &'static Location<'static>,
) -> Result<JoinHandle<F::Output>, F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    let home = place.core();
    let task = Task::allocate(
        future,
        Birth {
            blocks: None,
            home,
            spawned_at,
            count: AT_BIRTH,
            word: Word::new(QUEUED | NEW, 0),
        },
    );
    // SAFETY: the task was born with `QUEUED`, so nobody else pushes its node and it stays
    // alive until it was delivered. What is touched after a success is the handle's alone.
    match unsafe { home.mailbox().push(task.as_ptr().cast()) } {
        Ok(()) => {
            place.leave_taken();
            Ok(JoinHandle::new(task))
        }
        // SAFETY: the push failed, so the task is known here only, with its future inside.
        Err(Closed) => Err(unsafe { Task::<F>::dismantle(task) }),
    }
}

/// Starts a task on the core `home`, from any thread. `make` is called there, and its future stays there.
///
/// # Errors
///
/// Hands `make` back if that life is over, or too many tasks are on their way there. If it ends before the task was taken in, the
/// task is cancelled, and `make` dropped.
#[track_caller]
pub(crate) fn spawn_made_from_afar<M, F>(
    home: CoreId,
    make: M,
) -> Result<JoinHandle<F::Output>, SpawnError<M>>
where
    M: FnOnce() -> F + Send + 'static,
    F: Future<Output: Send> + 'static,
{
    spawn_from_afar(home, MadeAtHome::new(make)).map_err(|error| match error {
        SpawnError::Ended(made) => SpawnError::Ended(never_polled(made)),
        SpawnError::Full(made) => SpawnError::Full(never_polled(made)),
    })
}

/// As [`spawn_made_from_afar`], where the task has a place.
///
/// # Errors
///
/// Hands `make` back if that life is over.
pub(crate) fn spawn_made_in<M, F>(
    place: BacklogPlace,
    make: M,
    spawned_at: &'static Location<'static>,
) -> Result<JoinHandle<F::Output>, M>
where
    M: FnOnce() -> F + Send + 'static,
    F: Future<Output: Send> + 'static,
{
    spawn_in(place, MadeAtHome::new(make), spawned_at).map_err(never_polled)
}

fn never_polled<M, F>(made: MadeAtHome<M, F>) -> M {
    made.into_closure()
        .expect("a task that comes back was never polled")
}
