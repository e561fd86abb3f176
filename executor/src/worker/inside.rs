//! [`Inside`]: a core as the current one of its thread.

use std::rc::Rc;

use super::Worker;
use crate::buf::arena::{self, Arena};
use crate::buf::{Pool, pool};
use crate::context::{self, Core};
use crate::inflight::{self, Slots};
use crate::source::{self, Sources};
use crate::task::Entered;

impl Worker {
    /// Makes this core the thread's current one until the answer is dropped.
    pub(crate) fn enter(&self) -> Inside {
        Inside {
            scheduler: Some(self.core.scheduler.enter()),
            core: context::replace(Some(self.core.clone())),
            arena: arena::replace(Some(self.arena.clone())),
            pool: pool::replace(Some(self.pool.clone())),
            slots: inflight::replace(Some(self.slots.clone())),
            sources: source::replace(Some(self.sources.clone())),
        }
    }
}

/// While it lives, its core is the thread's current one.
pub(crate) struct Inside {
    // Restored before the others, which wakers of tasks may need.
    scheduler: Option<Entered<'static>>,
    core: Option<Rc<Core>>,
    arena: Option<Rc<Arena>>,
    pool: Option<Rc<Pool>>,
    slots: Option<Rc<Slots>>,
    sources: Option<Rc<Sources>>,
}

impl Inside {
    /// While it lives, the thread has no current core.
    pub(super) fn nobody() -> Inside {
        Inside {
            scheduler: Some(Entered::nobody()),
            core: context::replace(None),
            arena: arena::replace(None),
            pool: pool::replace(None),
            slots: inflight::replace(None),
            sources: source::replace(None),
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        drop(source::replace(self.sources.take()));
        drop(inflight::replace(self.slots.take()));
        drop(pool::replace(self.pool.take()));
        drop(arena::replace(self.arena.take()));
        drop(context::replace(self.core.take()));
        drop(self.scheduler.take());
    }
}
