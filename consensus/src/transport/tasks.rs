//! Tasks that end with their owner.

use std::future::Future;

use krug::task::AbortHandle;

/// Tasks that are aborted when this is dropped: a hero who dies takes his links along.
#[derive(Debug, Default)]
pub struct Tasks {
    handles: Vec<AbortHandle>,
}

impl Tasks {
    /// None yet.
    pub fn new() -> Tasks {
        Tasks::default()
    }

    /// Starts one more.
    pub fn spawn(&mut self, task: impl Future<Output = ()> + 'static) {
        self.handles.push(krug::spawn(task).abort_handle());
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.handles.iter().for_each(AbortHandle::abort);
    }
}
