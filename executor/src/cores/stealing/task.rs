//! [`Task`]: a future that any core may poll, one at a time.
//!
//! | field | touched by |
//! |---|---|
//! | `state` | anyone, see [`state`](super::state) |
//! | the stage: future | who has `RUNNING` |
//! | the stage: output | who has `RUNNING`, before `DONE`; after that the handle, or, if that has gone, who set `DONE` |
//! | `joiner` | anyone, see [`waker_slot`](super::super::waker_slot) |
//! | `lane` | written by who has `RUNNING`; a hint |
//! | all others | read by anyone; never written |
//!
//! References are counted by `Arc`: the handle's, those of wakers, the one in a queue, and that of the core that has spawned it, which ends with the
//! task. No future is ever dropped by the last reference: it is gone before `DONE`, and the core that spawned it sees to that at the latest.

use std::any::Any;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use super::super::waker_slot::WakerSlot;
use super::pool::Pool;
use super::state::{Begun, Paused, State};
use crate::cores::quietly;
use crate::primitives::{AtomicU32, Ordering, UnsafeCell};
use crate::task::{JoinError, budget, note_panic_here, with_scheduler};

pub(super) struct Task<F: Future> {
    state: State,
    /// Which core has polled it last.
    lane: AtomicU32,
    /// Which core has spawned it, and where it stands in that one's list.
    home: usize,
    key: usize,
    pool: Arc<Pool>,
    spawned_at: &'static Location<'static>,
    joiner: WakerSlot,
    stage: UnsafeCell<Stage<F>>,
}

enum Stage<F: Future> {
    Future(F),
    Output(Result<F::Output, JoinError>),
    Empty,
}

// SAFETY: future and output go between threads and are `Send`; no reference to them is shared, the state word says who has them.
unsafe impl<F: Future<Output: Send> + Send> Send for Task<F> {}
// SAFETY: as above.
unsafe impl<F: Future<Output: Send> + Send> Sync for Task<F> {}

/// A task as cores see it.
pub(crate) trait Stealable: Send + Sync {
    /// For who has taken it from a queue: one poll, by the core of this lane.
    fn run(self: Arc<Self>, lane: usize);

    /// The core that has spawned it ends: drops the future, or leaves that to who has it.
    fn end(&self);
}

/// A task as its handle sees it.
pub(super) trait Joinable<T>: Send + Sync {
    fn abort(self: Arc<Self>);

    fn is_done(&self) -> bool;

    /// Leaves a waker. Afterwards one looks once more whether the task is done.
    fn register(&self, waker: &Waker);

    /// The output of a task that is done, once.
    fn take_output(&self) -> Result<T, JoinError>;

    /// The handle is gone.
    fn detach(&self);
}

/// Where a task belongs.
pub(super) struct Birth {
    pub(super) pool: Arc<Pool>,
    pub(super) home: usize,
    pub(super) key: usize,
    pub(super) spawned_at: &'static Location<'static>,
}

impl<F: Future> Task<F> {
    /// A task that is about to be pushed.
    pub(super) fn new(future: F, birth: Birth) -> Task<F> {
        Task {
            state: State::queued(),
            lane: AtomicU32::new(birth.home as u32),
            home: birth.home,
            key: birth.key,
            pool: birth.pool,
            spawned_at: birth.spawned_at,
            joiner: WakerSlot::new(),
            stage: UnsafeCell::new(Stage::Future(future)),
        }
    }

    /// Polls the future, which the caller has.
    fn poll(&self, waker: &Waker) -> Poll<Result<F::Output, JoinError>> {
        let polled = self.stage.with_mut(|stage| {
            catch_unwind(AssertUnwindSafe(|| {
                // SAFETY: the caller has the future: it has `RUNNING`.
                let Stage::Future(future) = (unsafe { &mut *stage }) else {
                    unreachable!("it is not done");
                };
                // SAFETY: it never moves until it is dropped in place.
                let future = unsafe { Pin::new_unchecked(future) };
                budget::scope(|| future.poll(&mut Context::from_waker(waker)))
            }))
        });
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(payload) => Poll::Ready(Err(self.panicked(payload))),
        }
    }

    /// Drops the future, which the caller has, and leaves the output.
    fn complete(&self, outcome: Result<F::Output, JoinError>) {
        let dropped = self.stage.with_mut(|stage| {
            // SAFETY: the caller has the stage (it has `RUNNING`). The future is dropped in place, once: what it was is overwritten without
            // another drop, whether its destructor panics or not.
            unsafe {
                let dropped = catch_unwind(AssertUnwindSafe(|| ptr::drop_in_place(stage)));
                ptr::write(stage, Stage::Empty);
                dropped
            }
        });
        let outcome = match dropped {
            Ok(()) => outcome,
            Err(payload) => self.after_panic_in_destructor(outcome, payload),
        };
        self.stage.with_mut(|stage| {
            // SAFETY: as above; what was there is `Empty`.
            unsafe { ptr::write(stage, Stage::Output(outcome)) };
        });
        match self.state.finish() {
            true => self.drop_output(),
            false => self.joiner.wake(),
        }
        self.leave_home();
    }

    /// The panic of a destructor goes to the joiner, unless the future had paniced before.
    #[cold]
    fn after_panic_in_destructor(
        &self,
        outcome: Result<F::Output, JoinError>,
        payload: Box<dyn Any + Send>,
    ) -> Result<F::Output, JoinError> {
        let second = self.panicked(payload);
        match outcome {
            Err(first) if first.is_panic() => Err(first),
            unwanted => {
                quietly(|| drop(unwanted));
                Err(second)
            }
        }
    }

    #[cold]
    fn panicked(&self, payload: Box<dyn Any + Send>) -> JoinError {
        let error = JoinError::panicked(payload, self.spawned_at);
        note_panic_here(&error, self.spawned_at);
        error
    }

    /// For who has the output.
    fn output(&self) -> Option<Result<F::Output, JoinError>> {
        let left = self.stage.with_mut(|stage| {
            // SAFETY: the task is done, so the future is gone and the stage belongs to the caller: to the handle, or, if that has gone, to
            // who has learned that last.
            unsafe { ptr::replace(stage, Stage::Empty) }
        });
        match left {
            Stage::Output(output) => Some(output),
            Stage::Future(_) | Stage::Empty => None,
        }
    }

    fn drop_output(&self) {
        let output = self.output();
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(output))) {
            drop(self.panicked(payload));
        }
    }

    /// The core that has spawned it need not know it any more.
    fn leave_home(&self) {
        let is_home = with_scheduler(|scheduler| {
            let seat = scheduler.seat();
            let is_home = seat.lane_in(&self.pool) == Some(self.home);
            if is_home {
                seat.forget(self.key);
            }
            is_home
        });
        if is_home != Some(true) {
            self.pool.tell_ended(self.home, self.key);
        }
    }

    fn cancelled(&self) -> Result<F::Output, JoinError> {
        Err(JoinError::cancelled(self.spawned_at))
    }
}

impl<F> Task<F>
where
    F: Future<Output: Send> + Send + 'static,
{
    /// Puts it where it runs soon: to the core this thread is running, or else to the one that has polled it last.
    fn push(self: Arc<Self>) {
        let last = || self.lane.load(Ordering::Relaxed) as usize;
        let lane = self.pool.here().unwrap_or_else(last);
        let pool = self.pool.clone();
        pool.push(lane, self);
    }
}

impl<F> Stealable for Task<F>
where
    F: Future<Output: Send> + Send + 'static,
{
    fn run(self: Arc<Self>, lane: usize) {
        match self.state.begin() {
            Begun::Poll => {}
            Begun::Cancel => return self.complete(self.cancelled()),
            Begun::Nothing => return,
        }
        self.lane.store(lane as u32, Ordering::Relaxed);
        let waker = Waker::from(self.clone());
        let outcome = match self.poll(&waker) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => match self.state.pause() {
                Paused::Sleeping => return,
                Paused::Woken => {
                    let pool = self.pool.clone();
                    return pool.push_back(lane, self);
                }
                Paused::Aborted => self.cancelled(),
            },
        };
        self.complete(outcome);
    }

    fn end(&self) {
        if self.state.claim() {
            self.complete(self.cancelled());
        }
    }
}

impl<F> Joinable<F::Output> for Task<F>
where
    F: Future<Output: Send> + Send + 'static,
{
    fn abort(self: Arc<Self>) {
        if self.state.abort() {
            self.push();
        }
    }

    fn is_done(&self) -> bool {
        self.state.is_done()
    }

    fn register(&self, waker: &Waker) {
        self.joiner.register(waker);
    }

    fn take_output(&self) -> Result<F::Output, JoinError> {
        self.output()
            .expect("a task that is done has an output, which its handle takes once")
    }

    fn detach(&self) {
        if self.state.detach() {
            self.drop_output();
        }
        self.joiner.forget();
    }
}

impl<F> Wake for Task<F>
where
    F: Future<Output: Send> + Send + 'static,
{
    fn wake(self: Arc<Self>) {
        if self.state.wake() {
            self.push();
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.wake() {
            self.clone().push();
        }
    }
}
