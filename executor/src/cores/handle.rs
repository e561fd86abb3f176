//! [`CoreHandle`]: a core as other threads see it.

use std::fmt;

use super::CoreId;
use crate::task::{self, JoinHandle};

/// A core of a runtime: starts tasks there, from any thread. Cheap to copy; does not keep the runtime alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CoreHandle {
    home: CoreId,
}

impl CoreHandle {
    pub(crate) fn new(home: CoreId) -> CoreHandle {
        CoreHandle { home }
    }

    pub(crate) fn id(self) -> CoreId {
        self.home
    }

    /// Spawns a task on the core. Never blocks. The join handle can be awaited on any thread, by any
    /// executor.
    ///
    /// # Errors
    ///
    /// If the core has ended: the future comes back.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> Result<JoinHandle<F::Output>, RuntimeEnded<F>>
    where
        F: Future + Send + 'static,
        F::Output: Send,
    {
        task::spawn_from_afar(self.home, future).map_err(RuntimeEnded)
    }

    /// True until the core has ended.
    pub fn is_alive(&self) -> bool {
        self.home.is_alive()
    }
}

/// Spawns a task on another core, or on this one, whose future need not be `Send`: `make` is sent there and called there, and what it
/// makes stays there. Never blocks. What comes of abort, panic and drop is as for [`CoreHandle::spawn`]: aborting the
/// task drops `make`, or the future that it has made; a panic of either goes to the joiner.
///
/// ```
/// use std::rc::Rc;
///
/// let runtime = krug::Runtime::builder().cores(2).build()?;
/// let other = runtime.core(1).expect("there are two");
/// let sum = runtime.block_on(async {
///     let task = krug::spawn_on(other, || async {
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
pub fn spawn_on<M, F>(core: CoreHandle, make: M) -> Result<JoinHandle<F::Output>, RuntimeEnded<M>>
where
    M: FnOnce() -> F + Send + 'static,
    F: Future<Output: Send> + 'static,
{
    task::spawn_made_from_afar(core.home, make).map_err(RuntimeEnded)
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
