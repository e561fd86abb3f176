//! [`Dump`] of a core: gathered by the core itself.

use std::io;

use crate::context;
use crate::cores::CoreHandle;
use crate::inflight;
use crate::observe::Dump;
use crate::signal::{self, SignalKind};
use crate::source;
use crate::task::{JoinHandle, spawn};
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

/// Shows what all cores of this runtime are doing whenever the process gets this signal: calls `show` with the [`Dump`] of each, in their
/// order. A core that a task holds comes when that gives way, and those after it then; one that has ended is passed over.
///
/// It is a task of this core, which goes on until it is aborted or its core ends; dropping the handle leaves it alone. What listening to a signal changes
/// is said in [`signal`].
///
/// ```no_run
/// use krug::runtime::dump_on;
/// use krug::signal::SignalKind;
///
/// # async fn example() -> std::io::Result<()> {
/// // From now on: kill -USR1 PID
/// dump_on(SignalKind::user_defined1(), |dump| eprintln!("{dump}"))?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As [`signal::unix`]; outside a runtime.
pub fn dump_on(
    kind: SignalKind,
    mut show: impl FnMut(Dump) + 'static,
) -> io::Result<JoinHandle<()>> {
    let mut signal = signal::unix(kind)?;
    Ok(spawn(async move {
        while signal.recv().await.is_ok() {
            for core in CoreHandle::of_all_cores() {
                if let Ok(dump) = core.dump().await {
                    show(dump);
                }
            }
        }
    }))
}
