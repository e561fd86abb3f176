//! Results that outlive their core: a future may be polled or dropped after its
//! runtime is gone, and then finds its operation, and its buffer, here.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use super::finished::Finished;
use crate::cores::CoreId;
use crate::driver::Key;

struct Entry(Finished);

// SAFETY: only the future that owns the operation takes it out again (the key is its own), on a thread
// where it may be: a future that is not `Send` has not left its thread.
unsafe impl Send for Entry {}

static LEFT: LazyLock<Mutex<HashMap<(CoreId, Key), Entry>>> = LazyLock::new(Mutex::default);

/// Keeps a result for the future that owns it.
pub(super) fn keep(home: CoreId, key: Key, finished: Finished) {
    let mut left = LEFT.lock().unwrap_or_else(PoisonError::into_inner);
    left.insert((home, key), Entry(finished));
}

/// The result of `key`; `None` if the core had to leak it.
pub(super) fn take(home: CoreId, key: Key) -> Option<Finished> {
    let mut left = LEFT.lock().unwrap_or_else(PoisonError::into_inner);
    left.remove(&(home, key)).map(|entry| entry.0)
}
