//! [`TurnBudget`]: how much a turn of a core may do.

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
    pub(super) fn has_come(&self) -> bool {
        (self.clock)() >= self.nanos
    }
}

impl TurnBudget {
    pub(super) const UNLIMITED: TurnBudget = TurnBudget {
        polls_max: usize::MAX,
        until: None,
    };
}
