//! [`MissedCancels`]: cancels that did not find their operation although it has not completed.

use std::time::{Duration, Instant};

use crate::driver::Key;

/// Long enough not to keep the core busy while a disk works, short enough not to be noticed in a
/// shutdown; the gap in which a cancel misses a connect has closed by then.
const PAUSE: Duration = Duration::from_millis(1);

/// Keys whose cancelling is to be asked for again after a pause.
#[derive(Debug, Default)]
pub(super) struct MissedCancels {
    keys: Vec<Key>,
    /// When the pause of all of them is over.
    due: Option<Instant>,
}

impl MissedCancels {
    pub(super) fn add(&mut self, key: Key) {
        self.keys.push(key);
        self.due.get_or_insert_with(|| Instant::now() + PAUSE);
    }

    /// The next key to be asked for, if the pause is over.
    pub(super) fn next_due(&mut self) -> Option<Key> {
        if self.due? > Instant::now() {
            return None;
        }
        let next = self.keys.pop();
        if self.keys.is_empty() {
            self.due = None;
        }
        next
    }

    /// `timeout`, or the rest of the pause if that is shorter.
    pub(super) fn shorten(&self, timeout: Option<Duration>) -> Option<Duration> {
        let Some(due) = self.due else { return timeout };
        let pause = due.saturating_duration_since(Instant::now());
        Some(timeout.map_or(pause, |timeout| timeout.min(pause)))
    }
}
