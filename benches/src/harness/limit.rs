//! How long it may take to show that everything runs.
//!
//! With `--quick` a scenario has a share of time, after which it makes no further runs; what has not begun when the time of all is over
//! is left out, and says so. A machine that is slow or busy thus makes fewer runs and no failure. Only what does not come to its end at all is ended.

use std::cell::Cell;
use std::thread;
use std::time::{Duration, Instant};

/// After this a scenario makes no further run that it can do without.
const OF_SCENARIO: Duration = Duration::from_secs(15);

/// After this no scenario begins.
const OF_ALL: Duration = Duration::from_secs(200);

/// After this the process ends, wherever it is.
const AT_MOST: Duration = Duration::from_secs(290);

thread_local! {
    /// When the scenario that runs on this thread is to make no further runs.
    static ENDS: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Whether the scenario that runs on this thread should come to its end: what it has must do.
pub(crate) fn is_over() -> bool {
    ENDS.get().is_some_and(|ends| ends <= Instant::now())
}

/// Lets the scenario that begins take this long; without a limit as long as it likes.
fn begin(limit: Option<Duration>) {
    ENDS.set(limit.map(|limit| Instant::now() + limit));
}

/// The time of all scenarios of this process.
#[derive(Debug)]
pub(crate) struct Limit {
    /// When none may begin any more.
    ends: Option<Instant>,
}

impl Limit {
    /// Without `is_quick` there is none: a measurement takes what it needs.
    pub(crate) fn begin(is_quick: bool) -> Limit {
        if is_quick {
            thread::spawn(|| {
                thread::sleep(AT_MOST);
                eprintln!("--quick has not come to its end in {} s", AT_MOST.as_secs());
                std::process::exit(1);
            });
        }
        Limit {
            ends: is_quick.then(|| Instant::now() + OF_ALL),
        }
    }

    /// Whether there is time for one more scenario. If so, its time begins.
    pub(crate) fn begin_scenario(&self) -> bool {
        let has_time = self.ends.is_none_or(|ends| Instant::now() < ends);
        if has_time {
            begin(self.ends.map(|_| OF_SCENARIO));
        }
        has_time
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::pairs::interleave;

    #[test]
    fn a_scenario_whose_time_is_over_still_has_one_pair() {
        begin(Some(Duration::ZERO));
        assert!(is_over());
        let runs = interleave(9, 2, |_| Ok(1.0)).unwrap();
        assert_eq!((runs.subject.len(), runs.baselines[1].len()), (1, 2));
        assert_eq!(runs.ratios(0, |run| *run), [1.0]);
        begin(None);
        assert!(!is_over());
        assert_eq!(interleave(9, 2, |_| Ok(1.0)).unwrap().subject.len(), 9);
    }

    #[test]
    fn nothing_begins_when_the_time_of_all_is_over() {
        let over = Limit {
            ends: Some(Instant::now()),
        };
        assert!(!over.begin_scenario());
        let unlimited = Limit { ends: None };
        assert!(unlimited.begin_scenario());
        assert!(!is_over());
    }
}
