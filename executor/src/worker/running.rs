//! What a core polls in one turn: its tasks, and the future that it runs for.

use std::task::Poll;

use super::{POLLS_MAX, RUN_MAX, Worker};
use crate::context::Counters;
use crate::driver::monotonic_nanos;
use crate::scheduler::{TurnBudget, Until};
use crate::task::MainTask;

/// How many times the future is polled between two looks at the clock, each time with a task or more.
const ROUNDS_PER_LOOK_AT_THE_CLOCK: usize = 8;

impl Worker {
    /// Polls every task that is ready, and those they make ready as far as a turn goes.
    pub(super) fn run(&self) {
        let core = &self.core;
        if core.scheduler.has_ready() {
            let polls = core.scheduler.run(self.budget_of_turn());
            Counters::add(&core.counters.polls, polls as u64);
        }
    }

    /// As [`run`](Worker::run), and polls the future that the core runs for when it was woken and no task is ready any more. If that has
    /// made tasks ready, such as one that it has spawned and awaits, the turn goes on. If it has woken itself, it gives way to the whole
    /// turn. It may not be polled at all: where tasks are always ready, that is left to the next turn.
    pub(super) fn run_with<T>(
        &self,
        main: &MainTask,
        mut poll_main: impl FnMut() -> Poll<T>,
    ) -> Poll<T> {
        let core = &self.core;
        if !self.has_to_poll(main) {
            return Poll::Pending;
        }
        let turn = self.budget_of_turn();
        let mut polled = Poll::Pending;
        let mut rounds = 0;
        let polls = core.scheduler.run_with(turn, || {
            if !main.is_notified() {
                return false;
            }
            polled = poll_main();
            let has_made_ready = !main.is_notified() && core.scheduler.has_ready();
            let looks = rounds % ROUNDS_PER_LOOK_AT_THE_CLOCK == ROUNDS_PER_LOOK_AT_THE_CLOCK - 1;
            let is_over = looks && turn.until.is_some_and(|until| until.has_come());
            let goes_on = polled.is_pending() && has_made_ready && !is_over;
            rounds += usize::from(goes_on);
            goes_on
        });
        // Those of the future are counted where they are made.
        Counters::add(&core.counters.polls, (polls - rounds) as u64);
        polled
    }

    /// As far as the time of the turn says so: the clock of timers is not asked.
    pub(super) fn no_timer_is_due(&self) -> bool {
        let core = &self.core;
        let age = core.clock.age_at_most(self.time_of_turn());
        age.is_some_and(|age| !core.wheel.borrow_mut().is_due_at(age))
    }

    fn budget_of_turn(&self) -> TurnBudget {
        let now = self.time_of_turn();
        TurnBudget {
            polls_max: POLLS_MAX,
            until: self.core.clock.is_system().then_some(Until {
                nanos: now + RUN_MAX.as_nanos() as u64,
                clock: monotonic_nanos,
            }),
        }
    }
}
