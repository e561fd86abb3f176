//! [`Dump`] of a core: gathered by the core itself.

use crate::context;
use crate::inflight;
use crate::observe::Dump;
use crate::source;
use crate::worker::Worker;

/// Of a core that may not be running now.
pub(super) fn of(worker: &Worker) -> Dump {
    let _inside = worker.enter();
    of_this_core().expect("the core was entered")
}

/// Of the core that this thread is running, if it does.
pub(super) fn of_this_core() -> Option<Dump> {
    let core = context::current()?;
    let cores = core.scheduler.team();
    let descriptor = |attachment| source::with(|sources| sources.descriptor(attachment))?;
    Some(Dump {
        core: cores.iter().position(|id| *id == core.id).unwrap_or(0),
        tasks: core.scheduler.report(&core.times),
        operations: inflight::with(|slots| slots.report(descriptor))?,
    })
}
