//! [`Seat`]: a core's own part in the stealable tasks of its runtime.

use std::cell::{Cell, OnceCell, RefCell};
use std::panic::Location;
use std::sync::Arc;

use slab::Slab;

use super::pool::Pool;
use super::runner::Runner;
use super::task::Stealable;
use crate::cores::quietly;
use crate::scheduler::Scheduler;
use crate::task::with_scheduler;

/// Touched by the core's thread only. What is taken out of its list is dropped after the borrow: that may be code of the user.
#[derive(Default)]
pub(crate) struct Seat {
    place: OnceCell<(Arc<Pool>, usize)>,
    /// What was spawned here and has not ended, as far as is known here.
    spawned: RefCell<Slab<Arc<dyn Stealable>>>,
    has_runner: Cell<bool>,
}

impl Seat {
    /// This core's lane, if it has joined that pool.
    #[inline]
    pub(super) fn lane_in(&self, pool: &Pool) -> Option<usize> {
        let (mine, lane) = self.place.get()?;
        std::ptr::eq(&raw const **mine, pool).then_some(*lane)
    }

    /// The pool of this core's runtime, and its lane there. The first call on any core has all of them join.
    pub(super) fn take(&self, scheduler: &Scheduler) -> (&Arc<Pool>, usize) {
        if self.place.get().is_none() {
            let team = scheduler.team();
            let pool = team.pool();
            for (lane, core) in team.iter().enumerate() {
                if *core == scheduler.id() {
                    self.join(scheduler, pool.clone(), lane);
                }
            }
            if pool.begin() {
                let others = team.iter().enumerate();
                for (lane, core) in others.filter(|(_, core)| **core != scheduler.id()) {
                    let pool = pool.clone();
                    // One that has ended needs no runner.
                    drop(core.post(Box::new(move || join_here(pool, lane))));
                }
            }
        }
        let (pool, lane) = self.place.get().expect("a core is one of its team");
        (pool, *lane)
    }

    fn join(&self, scheduler: &Scheduler, pool: Arc<Pool>, lane: usize) {
        if self.place.set((pool.clone(), lane)).is_err() {
            return;
        }
        self.has_runner.set(true);
        pool.join();
        drop(scheduler.spawn_at(Runner::new(pool, lane), Location::caller()));
    }

    /// The runner of this core is gone.
    pub(super) fn runner_is_gone(&self) {
        self.has_runner.set(false);
    }

    /// How many of the scheduler's tasks are ours.
    pub(crate) fn runners(&self) -> usize {
        usize::from(self.has_runner.get())
    }

    /// How many of those that were spawned here have not ended.
    pub(crate) fn live_tasks(&self) -> usize {
        self.forget_ended();
        self.spawned.borrow().len()
    }

    /// Takes in a task, which is made with its place in the list.
    pub(super) fn insert<T: Stealable + 'static>(
        &self,
        make: impl FnOnce(usize) -> Arc<T>,
    ) -> Arc<T> {
        self.forget_ended();
        let mut spawned = self.spawned.borrow_mut();
        let entry = spawned.vacant_entry();
        let task = make(entry.key());
        entry.insert(task.clone());
        task
    }

    /// A task that was spawned here has ended.
    pub(super) fn forget(&self, key: usize) {
        let ended = self.spawned.borrow_mut().try_remove(key);
        quietly(|| drop(ended));
    }

    /// Forgets the tasks that have ended elsewhere.
    #[inline]
    pub(super) fn forget_ended(&self) {
        if let Some((pool, lane)) = self.place.get() {
            while let Some(key) = pool.next_ended(*lane) {
                self.forget(key);
            }
        }
    }

    /// The core ends, and with it what it has spawned. Nothing is spawned any more.
    pub(crate) fn end(&self) {
        let spawned = self.spawned.take();
        for (_, task) in spawned {
            task.end();
            quietly(|| drop(task));
        }
    }
}

/// On the core of this lane.
fn join_here(pool: Arc<Pool>, lane: usize) {
    with_scheduler(|scheduler| scheduler.seat().join(scheduler, pool, lane));
}
