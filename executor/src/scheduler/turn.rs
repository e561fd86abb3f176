//! [`TurnBudget`]: how much a turn of a core may do.

use super::{POLLS_PER_LOOK_AT_THE_CLOCK, Scheduler};
use crate::observe::Shown;
use crate::task::Entered;

/// How much of a turn goes to tasks that became ready during the turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TurnBudget {
    pub(crate) polls_max: usize,
    /// `None`: no limit in time.
    pub(crate) until: Option<Until>,
}

/// A moment, and the clock it is of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Until {
    pub(crate) nanos: u64,
    pub(crate) clock: fn() -> u64,
}

impl Until {
    pub(crate) fn has_come(&self) -> bool {
        (self.clock)() >= self.nanos
    }
}

impl TurnBudget {
    pub(super) const UNLIMITED: TurnBudget = TurnBudget {
        polls_max: usize::MAX,
        until: None,
    };
}

impl Scheduler {
    /// Polls every task that is ready now, and those they make ready as far as `turn` allows. Where tasks of several classes are
    /// ready, `turn` bounds all of them, but for the first poll.
    /// Returns the number of polls.
    pub(crate) fn run(&self, turn: TurnBudget) -> usize {
        self.run_with(turn, || false)
    }

    /// As [`run`](Scheduler::run). When no task is ready any more, and none of another class than the default one was a moment ago,
    /// `make_ready` is asked for more, which counts as a poll, until it answers false.
    #[inline]
    pub(crate) fn run_with(&self, turn: TurnBudget, mut make_ready: impl FnMut() -> bool) -> usize {
        let _entered = Entered::borrowing(self);
        let _shown = self.board.get().map(|board| Shown(board));
        let due = self.ready();
        let mut polls = 0;
        while polls < due || self.may_go_on(&turn, polls, due) {
            match self.next(&turn, polls) {
                Some(runnable) => self.poll(runnable),
                None if !self.is_chosen.get() && make_ready() => {}
                None => break,
            }
            polls += 1;
        }
        if self.is_chosen.get() {
            self.classes.end_slice();
        }
        polls
    }

    fn may_go_on(&self, turn: &TurnBudget, polls: usize, due: usize) -> bool {
        if polls >= turn.polls_max {
            return false;
        }
        let look = (polls - due).is_multiple_of(POLLS_PER_LOOK_AT_THE_CLOCK) && self.has_ready();
        !(look && turn.until.is_some_and(|until| until.has_come()))
    }
}
