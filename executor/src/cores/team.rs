//! [`Team`]: the cores of one runtime, and what they have in common.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use super::CoreId;
use super::stealing::Pool;

/// All cores of a runtime, in their order. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Team(Arc<Members>);

struct Members {
    cores: Box<[CoreId]>,
    takes_turns: bool,
    /// Made when the first stealable task is spawned on any of them.
    pool: OnceLock<Arc<Pool>>,
}

impl Team {
    /// Each has a thread of its own.
    pub(crate) fn new(cores: impl Into<Box<[CoreId]>>) -> Team {
        Team::of(cores.into(), false)
    }

    /// All share one thread, and take turns there.
    pub(crate) fn on_one_thread(cores: impl Into<Box<[CoreId]>>) -> Team {
        Team::of(cores.into(), true)
    }

    fn of(cores: Box<[CoreId]>, takes_turns: bool) -> Team {
        Team(Arc::new(Members {
            cores,
            takes_turns,
            pool: OnceLock::new(),
        }))
    }

    /// The stealable tasks of this runtime.
    pub(super) fn pool(&self) -> &Arc<Pool> {
        let members = &*self.0;
        members
            .pool
            .get_or_init(|| Arc::new(Pool::new(members.cores.len(), members.takes_turns)))
    }
}

impl Deref for Team {
    type Target = [CoreId];

    fn deref(&self) -> &[CoreId] {
        &self.0.cores
    }
}

impl fmt::Debug for Team {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Team").field(&self.0.cores).finish()
    }
}
