//! What may be done to a task from anywhere, at any time: one change of its remote word,
//! and a push of its node if the home has to do the rest.

use super::header::RawTask;
use super::remote::{Announced, Released};

pub(super) fn release(task: RawTask) {
    match task.remote.release() {
        Released::Nothing => {}
        Released::Push => push(task),
        // SAFETY: merged and counted down to zero: no reference is left, the home has
        // forgotten it, and a merged task is complete with its output taken or dropped.
        Released::Free => unsafe { task.free() },
    }
}

/// Tells the home `flag`; nothing if there is no home any more.
pub(super) fn announce(task: RawTask, flag: u64) {
    match task.remote.announce(flag) {
        Announced::Push => push(task),
        Announced::Known | Announced::Merged => {}
    }
}

/// Tells the home `flag` and drops a reference. False if there is no home any more: then
/// the reference is still there.
#[must_use]
pub(super) fn announce_and_release(task: RawTask, flag: u64) -> bool {
    match task.remote.announce_and_release(flag) {
        Announced::Push => push(task),
        Announced::Known => {}
        Announced::Merged => return false,
    }
    true
}

/// The caller has just set `QUEUED` on an unmerged task that did not have it.
fn push(task: RawTask) {
    let mailbox = task.home().mailbox();
    // SAFETY: `QUEUED` gives this thread alone the node, and keeps the task alive until the
    // home has taken its word; nothing of the task is touched after the push.
    let pushed = unsafe { mailbox.push(task.as_ptr().cast()) };
    debug_assert!(
        pushed.is_ok(),
        "a worker closed its mailbox before its tasks were merged"
    );
}
