//! The one warning about memory that may not be locked.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

/// Tells once in the life of the process that the kernel has refused memory, and what can be done about it.
pub(super) fn warn(error: &io::Error) {
    static WAS_TOLD: AtomicBool = AtomicBool::new(false);
    if WAS_TOLD.swap(true, Ordering::Relaxed) {
        return;
    }
    tracing::warn!(
        "the kernel refuses to lock memory for buffers of krug ({error}): everything works, with plain buffers and more copying. \
         Raise RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK=) or give the process CAP_IPC_LOCK"
    );
}
