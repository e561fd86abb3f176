//! [`Handle`]: a runtime as other threads see it.

use std::fmt;

use crate::context;
use crate::cores::CoreId;
use crate::task::{self, JoinHandle};

/// Spawns tasks on a runtime, from any thread. Cheap to clone; does not keep the runtime alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle {
    home: CoreId,
}

impl Handle {
    pub(super) fn new(home: CoreId) -> Handle {
        Handle { home }
    }

    /// The handle of the runtime that this thread is running; `None` outside a runtime.
    pub fn try_current() -> Option<Handle> {
        context::current_id().map(Handle::new)
    }

    /// The handle of the runtime that this thread is running.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn current() -> Handle {
        Handle::try_current().expect(
            "Handle::current needs a krug runtime on this thread: call it inside Runtime::block_on",
        )
    }

    /// Spawns a task on the handle's runtime. Never blocks. The join handle can be awaited on any thread, by any
    /// executor.
    ///
    /// # Errors
    ///
    /// If the runtime has ended: the future comes back.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> Result<JoinHandle<F::Output>, RuntimeEnded<F>>
    where
        F: Future + Send + 'static,
        F::Output: Send,
    {
        task::spawn_from_afar(self.home, future).map_err(RuntimeEnded)
    }

    /// True until the runtime has ended.
    pub fn is_alive(&self) -> bool {
        self.home.is_alive()
    }
}

/// The runtime has ended; holds the future that was to be spawned.
pub struct RuntimeEnded<F>(pub F);

impl<F> fmt::Debug for RuntimeEnded<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RuntimeEnded(..)")
    }
}

impl<F> fmt::Display for RuntimeEnded<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the krug runtime of this handle has ended, so nothing can be spawned on it")
    }
}

impl<F> std::error::Error for RuntimeEnded<F> {}
