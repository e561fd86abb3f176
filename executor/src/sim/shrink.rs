//! [`shrink`]: a failure, with as little going wrong as it takes.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic;
use std::sync::Once;

use crate::driver::sim::{Fault, FaultId, Purpose, Suffering};

/// How often a test is run again at most.
pub(super) const RUNS_MAX: u32 = 100;
/// How often the time that something lasts is halved at most.
const HALVINGS_MAX: u32 = 10;
/// So many of the faults that are left are told.
const TOLD_MAX: usize = 20;

thread_local! {
    /// Panics of this thread are expected.
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// What came of running a test again.
pub(super) struct Rerun {
    /// What it fails with, without what differs from run to run; `None`: it does not.
    pub(super) signature: Option<String>,
    pub(super) faults: Vec<Fault>,
}

/// What is left of what went wrong.
pub(super) struct Smallest {
    pub(super) suffering: Suffering,
    faults: Vec<Fault>,
    /// How much there was before.
    all: usize,
    runs: u32,
}

struct Search<'a> {
    signature: &'a str,
    rerun: &'a dyn Fn(Suffering) -> Rerun,
    runs: u32,
    /// What went wrong in the last run that failed in the same way.
    faults: Vec<Fault>,
}

/// Runs a failing test again and again, with less and less going wrong, as long as it fails in the same way. `None` if it does not when
/// nothing has changed, or nothing has gone wrong at all.
pub(super) fn shrink(signature: &str, rerun: &dyn Fn(Suffering) -> Rerun) -> Option<Smallest> {
    let mut search = Search {
        signature,
        rerun,
        runs: 0,
        faults: Vec::new(),
    };
    if !search.still_fails(&Suffering::default()) || search.faults.is_empty() {
        return None;
    }
    let all = search.faults.len();
    let (plans, chance): (Vec<FaultId>, Vec<FaultId>) = search
        .faults
        .iter()
        .map(|fault| fault.id)
        .partition(|id| id.purpose == Purpose::Plan);
    let chance = least(chance, |chance| search.still_fails(&only(chance, &[])));
    let mut spared = Vec::new();
    for plan in plans {
        spared.push(plan.number);
        if !search.still_fails(&only(&chance, &spared)) {
            spared.pop();
        }
    }
    let mut suffering = only(&chance, &spared);
    search.narrow(&mut suffering);
    let Search { faults, runs, .. } = search;
    Some(Smallest {
        suffering,
        faults,
        all,
        runs,
    })
}

/// Nothing but this happens by chance, and nothing of that by plan.
fn only(chance: &[FaultId], spared: &[u32]) -> Suffering {
    Suffering {
        only: Some(chance.iter().map(|id| (*id, 0)).collect()),
        spared: BTreeSet::from_iter(spared.iter().copied()),
        ..Suffering::default()
    }
}

/// As few of `all` as are needed, found by leaving out half of them, then a quarter, and so on (as Zeller and Hildebrandt's
/// delta debugging, 2002, without its complements).
fn least<T: Copy>(all: Vec<T>, mut is_enough: impl FnMut(&[T]) -> bool) -> Vec<T> {
    if is_enough(&[]) {
        return Vec::new();
    }
    let mut kept = all;
    let mut size = kept.len().div_ceil(2);
    while size > 0 {
        let mut start = 0;
        while start < kept.len() {
            let end = (start + size).min(kept.len());
            let fewer = [&kept[..start], &kept[end..]].concat();
            match is_enough(&fewer) {
                true => kept = fewer,
                false => start = end,
            }
        }
        size /= 2;
    }
    kept
}

impl Search<'_> {
    fn still_fails(&mut self, suffering: &Suffering) -> bool {
        if self.runs >= RUNS_MAX {
            return false;
        }
        self.runs += 1;
        let rerun = (self.rerun)(Suffering {
            is_recorded: true,
            ..suffering.clone()
        });
        let fails = rerun.signature.as_deref() == Some(self.signature);
        if fails {
            self.faults = rerun.faults;
        }
        fails
    }

    /// What lasts is made shorter.
    fn narrow(&mut self, suffering: &mut Suffering) {
        let lasting: Vec<FaultId> = self
            .faults
            .iter()
            .filter(|fault| fault.lasts)
            .map(|fault| fault.id)
            .collect();
        for id in lasting {
            for halvings in 1..=HALVINGS_MAX {
                let mut shorter = suffering.clone();
                let only: &mut BTreeMap<FaultId, u32> = shorter.only.get_or_insert_default();
                only.insert(id, halvings);
                if !self.still_fails(&shorter) {
                    break;
                }
                *suffering = shorter;
            }
        }
    }
}

impl fmt::Display for Smallest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, runs, left) = (self.all, self.runs, self.faults.len());
        match left {
            0 => write!(f, "none of the {all} faults is needed for it ({runs} runs)"),
            1 => write!(f, "of {all} faults one is enough for it ({runs} runs):"),
            _ => write!(f, "of {all} faults {left} are enough for it ({runs} runs):"),
        }?;
        for fault in self.faults.iter().take(TOLD_MAX) {
            let Fault {
                id, moment, what, ..
            } = fault;
            let shorter = self.suffering.only.as_ref().and_then(|only| only.get(id));
            let note = match shorter {
                Some(1..) => ", for a shorter time",
                _ => "",
            };
            write!(f, "\n  at {moment:?}: {what}{note} ({id})")?;
        }
        match left.saturating_sub(TOLD_MAX) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

/// What a failure says, without numbers: they differ between runs that fail in the same way.
pub(super) fn signature(text: &str) -> String {
    let first_line = text.lines().next().unwrap_or_default();
    first_line
        .chars()
        .filter(|it| !it.is_ascii_digit())
        .collect()
}

/// Calls `f`, and lets its panics go unsaid.
pub(super) fn quietly<T>(f: impl FnOnce() -> T) -> T {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !IS_QUIET.get() {
                before(panic);
            }
        }));
    });
    IS_QUIET.set(true);
    let returned = f();
    IS_QUIET.set(false);
    returned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_remains_and_nothing_else() {
        for needed in [&[][..], &[0], &[99], &[3, 50], &[10, 11, 12]] {
            let mut runs = 0;
            let found = least((0..100).collect(), |kept| {
                runs += 1;
                needed.iter().all(|number| kept.contains(number))
            });
            assert_eq!(found, needed);
            assert!(runs < 60, "{runs}");
        }
    }

    #[test]
    fn failures_with_other_numbers_are_the_same_failure() {
        assert_eq!(signature("at 3: lost 17\nmore"), signature("at 51: lost 4"));
        assert_ne!(signature("at 3: lost 17"), signature("at 3: found 17"));
    }
}
