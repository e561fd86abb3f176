//! [`Cores`]: on how many threads a runtime runs, and where those may run.

use std::io;
use std::sync::Arc;

use super::processors::in_order;
use crate::driver::{self, System};

/// How many cores a runtime has. The first one, number 0, is the thread that makes the runtime; each other one is a thread of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cores {
    /// The calling thread alone.
    #[default]
    One,
    /// As many as there are processors on which the thread that builds the runtime may run (`sched_getaffinity`): a
    /// container or `taskset` that allows two of them gives two. One in a simulation, on whatever machine: what happens there follows
    /// from the seed alone.
    All,
    /// So many, at least 1. They may be more than there are processors: then they share.
    Count(usize),
    /// One for each of these processors, on which they run: together on all of them, or, with [`Builder::pin`](super::Builder::pin), each on its
    /// own, in this order. A simulation has no processors: as many cores as are named here.
    Set(Vec<usize>),
}

impl From<usize> for Cores {
    /// [`Cores::Count`].
    fn from(count: usize) -> Cores {
        Cores::Count(count)
    }
}

/// Where each core of a runtime may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// For each core; `None`: wherever it could run without us.
    pub(super) places: Vec<Option<Vec<usize>>>,
    /// Where threads may run that help the cores, if that is not where the cores may.
    pub(super) helpers: Option<Arc<[usize]>>,
}

impl Plan {
    /// Whether each core is bound to a processor that no other core is on.
    pub(super) fn is_a_processor_for_each(&self) -> bool {
        let mut taken = Vec::new();
        self.places.iter().all(|place| match place.as_deref() {
            Some([processor]) if !taken.contains(processor) => {
                taken.push(*processor);
                true
            }
            _ => false,
        })
    }

    fn anywhere(count: usize) -> Plan {
        Plan {
            places: vec![None; count],
            helpers: None,
        }
    }

    /// For a runtime of this thread.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if there is no core, or a processor is named that there is not. What the system says if it does not
    /// tell where this thread may run.
    pub(super) fn of(cores: &Cores, is_pinned: bool) -> io::Result<Plan> {
        let count = match cores {
            Cores::One => 1,
            Cores::Count(0) => return Err(invalid("a runtime needs at least one core".into())),
            Cores::Count(count) => *count,
            Cores::All => return Ok(Plan::among(None, is_pinned, &System::here(), &allowed()?)),
            Cores::Set(set) => return Plan::of_set(set, is_pinned, &allowed()?),
        };
        if !is_pinned {
            return Ok(Plan::anywhere(count));
        }
        let allowed = allowed()?;
        Ok(Plan::among(
            Some(count),
            is_pinned,
            &System::here(),
            &allowed,
        ))
    }

    /// In a simulation, whose hosts have no processors.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if there is no core.
    pub(super) fn simulated(cores: &Cores) -> io::Result<Plan> {
        let count = match cores {
            Cores::One | Cores::All => 1,
            Cores::Count(count) => *count,
            Cores::Set(set) => set.len(),
        };
        match count {
            0 => Err(invalid("a runtime needs at least one core".into())),
            _ => Ok(Plan::anywhere(count)),
        }
    }

    /// `count` cores, or as many as there are processors.
    fn among(count: Option<usize>, is_pinned: bool, system: &System, allowed: &[usize]) -> Plan {
        let count = count.unwrap_or(allowed.len());
        if !is_pinned {
            return Plan::anywhere(count);
        }
        // More cores than processors begin at the first one again.
        let processors = in_order(allowed, system).into_iter().cycle().take(count);
        Plan {
            places: processors.map(|processor| Some(vec![processor])).collect(),
            helpers: Some(allowed.into()),
        }
    }

    fn of_set(set: &[usize], is_pinned: bool, allowed: &[usize]) -> io::Result<Plan> {
        if set.is_empty() {
            return Err(invalid(
                "a runtime needs at least one core, and the set of processors is empty".into(),
            ));
        }
        for (place, processor) in set.iter().enumerate() {
            if set[..place].contains(processor) {
                return Err(invalid(format!(
                    "processor {processor} is named twice for the cores of a runtime: name each once"
                )));
            }
            if !allowed.contains(processor) {
                return Err(invalid(format!(
                    "no core of a runtime can run on processor {processor}: this thread may run on {allowed:?} only; name some of these, \
                     or allow it more (taskset, cpuset)"
                )));
            }
        }
        let places = set.iter().map(|processor| match is_pinned {
            true => Some(vec![*processor]),
            false => Some(set.to_vec()),
        });
        Ok(Plan {
            places: places.collect(),
            helpers: Some(set.into()),
        })
    }
}

fn allowed() -> io::Result<Vec<usize>> {
    driver::affinity().map_err(|error| {
        let text =
            format!("the system does not say on which processors this thread may run: {error}");
        io::Error::new(error.kind(), text)
    })
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

/// Lets the calling thread run on these processors only.
///
/// # Errors
///
/// What the system says, and of which processors.
pub(super) fn bind_to(processors: &[usize]) -> io::Result<()> {
    driver::set_affinity(processors).map_err(|error| {
        let text = format!(
            "the system does not let its thread run on the processors {processors:?}: {error}; were they taken away, or is \
             sched_setaffinity forbidden? Build without `pin`, and with a number of cores"
        );
        io::Error::new(error.kind(), text)
    })
}

/// Gives the thread of core 0 back where it could run before. Stays on that thread, as the runtime does.
#[derive(Debug)]
pub(super) struct Bound {
    before: Vec<usize>,
}

impl Bound {
    /// # Errors
    ///
    /// As [`bind_to`]; then nothing is changed.
    pub(super) fn to(processors: &[usize]) -> io::Result<Bound> {
        let before = allowed()?;
        bind_to(processors)?;
        Ok(Bound { before })
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if let Err(error) = driver::set_affinity(&self.before) {
            tracing::warn!(
                "the thread of a runtime that has ended stays where it was bound to, and cannot run on the processors {:?} again: {error}",
                self.before
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pinned(processors: &[usize]) -> Vec<Option<Vec<usize>>> {
        let one = |processor: &usize| Some(vec![*processor]);
        processors.iter().map(one).collect()
    }

    #[test]
    fn more_cores_than_processors_begin_at_the_first_again() {
        let nothing_said = System::at(std::path::Path::new("/nonexistent"));
        let plan = Plan::among(Some(5), true, &nothing_said, &[2, 3]);
        assert_eq!(plan.places, pinned(&[2, 3, 2, 3, 2]));
        assert_eq!(plan.helpers.as_deref(), Some(&[2, 3][..]));
        let all = Plan::among(None, true, &nothing_said, &[2, 3]);
        assert_eq!(all.places, pinned(&[2, 3]));
        let free = Plan::among(None, false, &nothing_said, &[2, 3]);
        assert_eq!(free, Plan::anywhere(2));
    }

    #[test]
    fn a_set_is_kept_in_its_order_and_without_pinning_as_a_whole() {
        let plan = Plan::of_set(&[7, 2], true, &[1, 2, 7]).unwrap();
        assert_eq!(plan.places, pinned(&[7, 2]));
        let together = Plan::of_set(&[7, 2], false, &[1, 2, 7]).unwrap();
        assert_eq!(together.places, vec![Some(vec![7, 2]); 2]);
        assert_eq!(together.helpers.as_deref(), Some(&[7, 2][..]));
    }

    #[test]
    fn a_set_that_cannot_be_says_why() {
        for (set, part) in [
            (&[][..], "empty"),
            (&[1, 1], "processor 1 is named twice"),
            (&[1, 9], "processor 9: this thread may run on [1, 2] only"),
        ] {
            let error = Plan::of_set(set, true, &[1, 2]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    #[test]
    fn a_core_has_a_processor_for_itself_only_if_it_is_bound_to_one_that_no_other_is_on() {
        for (place, has_its_own) in [
            (Plan::of_set(&[1, 2], true, &[1, 2]).unwrap(), true),
            (Plan::of_set(&[1, 2], false, &[1, 2]).unwrap(), false),
            (Plan::anywhere(2), false),
        ] {
            assert_eq!(place.is_a_processor_for_each(), has_its_own, "{place:?}");
        }
        for (count, has_its_own) in [(1, true), (2, true), (3, false)] {
            let plan = Plan::among(Some(count), true, &System::here(), &[0, 1]);
            assert_eq!(plan.is_a_processor_for_each(), has_its_own, "{plan:?}");
        }
    }
}
