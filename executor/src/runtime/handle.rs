//! [`Handle`]: a runtime as other threads see it.

use std::fmt;

use super::Metrics;
use crate::context;
use crate::cores::CoreId;
use crate::task::{self, JoinHandle};

/// Spawns tasks on one core of a runtime, from any thread. Cheap to clone; does not keep the runtime alive.
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

    /// The handles of all cores of the runtime that this thread is running, in their order; none outside a runtime. In a simulation,
    /// each core of a host is by itself.
    pub fn of_all_cores() -> Vec<Handle> {
        let cores = context::with(|core| core.cores.borrow().clone());
        let cores = cores.iter().flat_map(|cores| cores.iter().copied());
        cores.map(Handle::new).collect()
    }

    /// Spawns a task on the handle's core. Never blocks. The join handle can be awaited on any thread, by any
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

    /// Spawns a task whose future need not be `Send`: `make` is sent to the handle's core and called there, and what it
    /// makes stays there. Never blocks. What comes of abort, panic and drop is as for [`spawn`](Handle::spawn): aborting the
    /// task drops `make`, or the future that it has made; a panic of either goes to the joiner.
    ///
    /// ```
    /// use std::rc::Rc;
    ///
    /// let runtime = krug::Runtime::builder().cores(krug::runtime::Cores::Count(2)).build()?;
    /// let other = runtime.core(1).expect("there are two");
    /// let sum = runtime.block_on(async {
    ///     let task = other.spawn_with(|| async {
    ///         let here = Rc::new(20);
    ///         krug::task::yield_now().await;
    ///         *here + 22
    ///     });
    ///     task.unwrap().await.unwrap()
    /// });
    /// assert_eq!(sum, 42);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the core has ended: `make` comes back.
    #[track_caller]
    pub fn spawn_with<M, F>(&self, make: M) -> Result<JoinHandle<F::Output>, RuntimeEnded<M>>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future<Output: Send> + 'static,
    {
        task::spawn_made_from_afar(self.home, make).map_err(RuntimeEnded)
    }

    /// What the core has done since it was made. It is asked, so this waits for its next turn, and counts the task that looks.
    /// Dropping the future changes nothing.
    ///
    /// # Errors
    ///
    /// If the core has ended, or ends meanwhile.
    pub async fn metrics(&self) -> Result<Metrics, RuntimeEnded<()>> {
        let asked = self.spawn_with(|| async { Metrics::of_this_core() });
        let answer = asked.map_err(|_| RuntimeEnded(()))?.await;
        answer.ok().flatten().ok_or(RuntimeEnded(()))
    }

    /// True until the core has ended.
    pub fn is_alive(&self) -> bool {
        self.home.is_alive()
    }
}

/// The runtime has ended; holds the future, or the closure, that was to be spawned.
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
