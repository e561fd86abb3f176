//! How a core ends: see the docs of [`runtime`](crate::runtime). A thread goes through it in one go, a simulation turn by turn.

use std::mem;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::{Inside, Worker};
use crate::driver::{self, Wait};
use crate::inflight;
use crate::wheel::Wheel;

/// What a core has under way, or could not end in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Remains {
    pub(crate) tasks: usize,
    pub(crate) operations: usize,
    /// Results of operations that nobody has looked at.
    pub(crate) unread: usize,
    /// Buffers that streams have received into and nobody has given back.
    pub(crate) buffers: usize,
}

impl Remains {
    pub(crate) fn add(&mut self, other: Remains) {
        self.tasks += other.tasks;
        self.operations += other.operations;
        self.unread += other.unread;
        self.buffers += other.buffers;
    }

    /// What there is, in words.
    pub(crate) fn list(&self) -> Vec<String> {
        let counts = [
            (self.tasks, "tasks"),
            (self.operations, "operations in flight"),
            (
                self.unread,
                "results of operations that nobody has looked at",
            ),
            (self.buffers, "buffers of received bytes"),
        ];
        let some = counts.iter().filter(|(count, _)| *count > 0);
        some.map(|(count, what)| format!("{count} {what}"))
            .collect()
    }
}

/// A shutdown that is under way.
#[derive(Debug)]
pub(crate) struct Ending {
    begin: Instant,
    /// How long it may take.
    time: Duration,
    phase: Phase,
    /// How many tasks there were.
    tasks: usize,
    /// How many completions there had been after the last turn.
    completions: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// What was accepted for sending is being sent, for half of the time.
    Draining,
    /// Everything in flight was cancelled.
    LettingGo,
    Over,
}

impl Ending {
    fn deadline(&self) -> Instant {
        match self.phase {
            Phase::Draining => self.begin + self.time / 2,
            Phase::LettingGo | Phase::Over => self.begin + self.time,
        }
    }
}

impl Worker {
    /// Ends everything. What the kernel still holds at the deadline is leaked, with its memory, never freed.
    pub(crate) fn shutdown(self, time: Duration) -> Remains {
        if driver::has_forked() {
            // What is in flight is the parent's, and so are ring and descriptors.
            mem::forget(self);
            return Remains::default();
        }
        let inside = self.enter();
        let mut ending = self.begin_to_end(time);
        while self.go_on_ending(&mut ending) {}
        self.finish(inside, &ending)
    }

    /// Nothing new starts, and every task's future is dropped.
    pub(crate) fn begin_to_end(&self, time: Duration) -> Ending {
        let begin = self.core.clock.system_now();
        self.core.stopping.set(true);
        let tasks = self.core.scheduler.live_tasks();
        self.core.scheduler.abort_all();
        self.sources.close_all();
        Ending {
            begin,
            time,
            phase: Phase::Draining,
            tasks,
            // What has come already is taken in first: nobody waits for that.
            completions: self.take_in(),
        }
    }

    /// A turn without tasks. False when the end has come.
    pub(crate) fn go_on_ending(&self, ending: &mut Ending) -> bool {
        if !self.waits_for_more(ending) || !self.turn_of_ending(ending) {
            self.begin_next_phase(ending);
        }
        ending.phase != Phase::Over
    }

    /// Whether the phase of `ending` has something left to wait for.
    pub(crate) fn waits_for_more(&self, ending: &Ending) -> bool {
        match ending.phase {
            Phase::Draining => self.sources.has_unsent(),
            Phase::LettingGo => !self.is_quiet(),
            Phase::Over => false,
        }
    }

    fn is_quiet(&self) -> bool {
        let driver = self.core.driver.borrow();
        self.slots.in_flight() == 0 && driver.own_in_flight() == 0 && !driver.has_staged()
    }

    /// False if the phase is over: by its deadline, when no more comes without waiting, or because the driver is broken.
    fn turn_of_ending(&self, ending: &mut Ending) -> bool {
        let is_late = self.core.clock.system_now() >= ending.deadline();
        let wait = match is_late {
            true => Wait::No,
            false => Wait::Until(Some(self.next_moment_of(ending))),
        };
        if self.try_submit(wait).is_err() {
            return false;
        }
        let completions = self.take_in();
        let has_ended_something = completions != ending.completions;
        ending.completions = completions;
        !is_late || has_ended_something
    }

    /// The deadline of its phase, or a timer before that: a linger time may be over earlier.
    pub(crate) fn next_moment_of(&self, ending: &Ending) -> Instant {
        let deadline = ending.deadline();
        self.next_timer()
            .filter(|_| !self.core.clock.is_paused())
            .map_or(deadline, |timer| timer.min(deadline))
    }

    fn begin_next_phase(&self, ending: &mut Ending) {
        ending.phase = match ending.phase {
            Phase::Draining => {
                self.sources.give_up();
                self.slots.cancel_all();
                ending.completions = self.take_in();
                Phase::LettingGo
            }
            Phase::LettingGo | Phase::Over => Phase::Over,
        };
    }

    /// Returns how many completions there have been.
    fn take_in(&self) -> u64 {
        self.core.times.begin_turn();
        self.reap();
        self.receive();
        self.fire_timers();
        self.driver_counters().completions
    }

    /// Frees everything that the kernel has let go of.
    /// What there is at this moment.
    pub(crate) fn remains(&self) -> Remains {
        let operations = self.slots.in_flight();
        Remains {
            tasks: self.core.scheduler.live_tasks(),
            operations,
            unread: self.slots.in_use() - operations,
            buffers: self.pool.leased(),
        }
    }

    pub(crate) fn finish(self, inside: Inside, ending: &Ending) -> Remains {
        // Timers may hold the last references to tasks, which are counted on this core only.
        let timers = self.core.wheel.replace(Wheel::new(self.core.clock.now()));
        drop(timers);
        // The last letters are opened: they may give up operations. Those that come later are dropped unopened, and find
        // the results among what is kept.
        self.core.scheduler.receive();
        let mut remains = self.remains();
        remains.tasks = remains.tasks.min(ending.tasks);
        inflight::keep_results(&self.slots);
        self.let_go(inside, remains);
        remains
    }

    fn let_go(self, inside: Inside, remains: Remains) {
        self.lease.remove_bell();
        if remains.operations > 0 {
            tracing::warn!(
                "{}: {} operations still in flight at the end of the shutdown deadline; \
                 their memory and the ring are leaked",
                self.core.id,
                remains.operations
            );
            mem::forget(self.slots.clone());
            mem::forget(self.pool.clone());
            mem::forget(self.core.clone());
            mem::forget(self.sources.clone());
        }
        let Worker {
            sources,
            slots,
            pool,
            core,
            lease,
            ..
        } = self;
        drop(sources);
        drop(slots);
        drop(pool);
        core.scheduler.shut_down();
        drop(inside);
        drop(lease);
        if let Ok(core) = Rc::try_unwrap(core) {
            core.driver.into_inner().shutdown();
        }
    }
}
