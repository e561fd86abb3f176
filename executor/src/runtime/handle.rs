//! What a [`CoreHandle`] knows of running cores.

use super::{Dump, Metrics, dump};
use crate::context;
use crate::cores::CoreHandle;
use crate::task::JoinError;

impl CoreHandle {
    /// The handle of the core that this thread is running; `None` outside a runtime.
    pub fn try_current() -> Option<CoreHandle> {
        context::current_id().map(CoreHandle::new)
    }

    /// The handle of the core that this thread is running.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn current() -> CoreHandle {
        CoreHandle::try_current().expect(
            "CoreHandle::current needs a krug runtime on this thread: call it inside Runtime::block_on",
        )
    }

    /// The handles of all cores of the runtime that this thread is running, in their order; none outside a runtime. On
    /// a simulated host they are the cores of the host.
    pub fn of_all_cores() -> Vec<CoreHandle> {
        let cores = context::with(|core| core.scheduler.team());
        let cores = cores.iter().flat_map(|cores| cores.iter().copied());
        cores.map(CoreHandle::new).collect()
    }

    /// What the core has done since it was made. It is asked, so this waits for its next turn, and counts the task that looks.
    /// Dropping the future changes nothing.
    ///
    /// # Errors
    ///
    /// As [`call`](CoreHandle::call): if the core has ended, or ends meanwhile.
    pub async fn metrics(&self) -> Result<Metrics, JoinError> {
        let asked = self.call(|| async { Metrics::of_this_core() });
        Ok(asked.await?.expect("a task runs inside a runtime"))
    }

    /// What the core has at this moment. It is asked, so this waits for its next turn, and lists the task that looks. A core that a task
    /// holds does not answer. Dropping the future changes nothing.
    ///
    /// # Errors
    ///
    /// As [`metrics`](CoreHandle::metrics).
    pub async fn dump(&self) -> Result<Dump, JoinError> {
        let asked = self.call(|| async { dump::of_this_core() });
        Ok(asked.await?.expect("a task runs inside a runtime"))
    }
}
