//! The clock that deadlines are measured against, and how long `enter` may sleep.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The clock that deadlines are measured against.
#[derive(Clone, Debug)]
pub(crate) enum TimeSource {
    System,
    /// A world's; it shows what stands here.
    World(Rc<Cell<Instant>>),
}

impl TimeSource {
    #[inline]
    pub(crate) fn now(&self) -> Instant {
        match self {
            TimeSource::System => Instant::now(),
            TimeSource::World(clock) => clock.get(),
        }
    }
}

/// Whether `enter` sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Submit, take what is ready, come back.
    No,
    /// Sleep until something completes, the bell rings, or the moment has come;
    /// without a moment: for as long as it takes.
    Until(Option<Instant>),
}

/// `None`: not to wait, or no longer. `Some(None)`: for as long as it takes.
pub(super) fn time_left(wait: Wait) -> Option<Option<Duration>> {
    let Wait::Until(deadline) = wait else {
        return None;
    };
    let Some(deadline) = deadline else {
        return Some(None);
    };
    let left = deadline.saturating_duration_since(Instant::now());
    // Added to the present time it must not overflow, whatever a kernel counts in.
    (!left.is_zero()).then_some(Some(left.min(TIMEOUT_MAX)))
}

const TIMEOUT_MAX: Duration = Duration::from_secs(1 << 30);
