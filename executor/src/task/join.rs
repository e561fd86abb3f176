//! [`JoinHandle`] and [`AbortHandle`]: what the one who spawned a task holds of it.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::ptr;
use std::task::{Context, Poll};

use super::JoinError;
use super::header::{COMPLETE, RawTask};
use super::remote::{ABORT, DETACH, WATCH};
use super::waker::{self, TaskRef, Waiter};
use super::{afar, here, home};
use crate::cores::quietly;

/// Waits for a task: `handle.await` gives its output, or the [`JoinError`] that says why there is none.
///
/// Dropping it detaches the task: it runs on, and its output is dropped when it is there.
///
/// It is `Send` if the output is, and may be awaited, aborted and dropped on any thread, also
/// after the runtime of the task has ended.
pub struct JoinHandle<T> {
    /// Counted. `None` once the output was handed out.
    task: Option<RawTask>,
    _output: PhantomData<T>,
}

// SAFETY: all it does on a foreign thread goes by the remote word, or is `watched`, which nothing else touches; the only
// thing it moves between threads is the output, and that is `Send`.
unsafe impl<T: Send> Send for JoinHandle<T> {}
// SAFETY: by shared reference it can only abort, ask and count, which any thread may do.
unsafe impl<T: Send> Sync for JoinHandle<T> {}

impl<T> UnwindSafe for JoinHandle<T> {}
impl<T> RefUnwindSafe for JoinHandle<T> {}
impl<T> Unpin for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    /// `task` outputs `T`, and one of its references is for this handle, the only one.
    pub(super) fn new(task: RawTask) -> JoinHandle<T> {
        JoinHandle {
            task: Some(task),
            _output: PhantomData,
        }
    }

    /// Asks the task's core to drop its future. Awaiting the handle tells when that has happened.
    ///
    /// A task that has finished already, or finishes first, keeps its output.
    pub fn abort(&self) {
        if let Some(task) = self.task {
            abort(task);
        }
    }

    /// Something that can abort the task, apart from the handle.
    pub fn abort_handle(&self) -> AbortHandle {
        if let Some(task) = self.task {
            waker::retain(task);
        }
        AbortHandle {
            task: self.task.map(TaskRef::counted),
        }
    }

    /// True when the future is gone and the output, or the error, can be had without waiting.
    pub fn is_finished(&self) -> bool {
        self.task.is_none_or(|task| task.is_finished())
    }

    /// True if the output is there; else whoever polls with `cx` is woken when it is.
    pub(super) fn register(&mut self, cx: &mut Context<'_>) -> bool {
        match self.task {
            None => true,
            Some(task) if here::is_home(task.home()) => self.poll_at_home(task, cx),
            Some(task) => self.poll_from_afar(task, cx),
        }
    }

    /// Registers with the home we are on.
    fn poll_at_home(&mut self, task: RawTask, cx: &mut Context<'_>) -> bool {
        if task.has(COMPLETE) {
            return true;
        }
        // SAFETY: home only; `is_for` runs no code of the user.
        let registered = task
            .joiner
            .with(|joiner| unsafe { (*joiner).as_ref().is_some_and(|joiner| joiner.is_for(cx)) });
        if !registered {
            let new = Some(Waiter::new(cx));
            // SAFETY: home only; the old one is dropped after the access.
            let old = task
                .joiner
                .with_mut(|joiner| unsafe { ptr::replace(joiner, new) });
            drop(old);
        }
        // A foreign waker's `clone` and `drop` are code of the user, which might have run anything.
        task.has(COMPLETE)
    }

    /// Registers with a home that is elsewhere, or nowhere.
    fn poll_from_afar(&mut self, task: RawTask, cx: &mut Context<'_>) -> bool {
        if task.is_finished() {
            return true;
        }
        drop(task.leave_remote_joiner(Box::new(cx.waker().clone())));
        if !task.watched.replace(true) {
            afar::announce(task, WATCH);
        }
        task.is_finished()
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    /// # Panics
    ///
    /// If it is polled again after it was ready.
    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(task) = self.task else {
            panic!("a `JoinHandle` was polled after it had given its output");
        };
        // No code of the user runs between this and the release.
        let is_known = here::is_home(task.home()) && task.has(COMPLETE);
        if !is_known && !self.register(cx) {
            return Poll::Pending;
        }
        self.task = None;
        task.stage_guard.with_mut(|_| ());
        // SAFETY: the task is complete, so the output is there; it belongs to the handle,
        // which has just forgotten the task and so takes it once. `T` is the task's output
        // (`new`), and if it is not `Send` this is the thread of the task.
        let output = unsafe { ptr::read(task.output().cast::<Result<T, JoinError>>()) };
        let left = task.take_remote_joiner_if_any();
        match is_known {
            true => home::release(task),
            false => waker::release(task),
        }
        if let Some(waker) = left {
            quietly(|| drop(waker));
        }
        Poll::Ready(output)
    }
}

/// The handle's last use of the task.
fn forget_remote_joiner(task: RawTask) {
    if let Some(waker) = task.take_remote_joiner_if_any() {
        quietly(|| drop(waker));
    }
}

impl<T> Drop for JoinHandle<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            detach(task);
        }
    }
}

/// The handle is gone without the output.
fn detach(task: RawTask) {
    forget_remote_joiner(task);
    if here::is_home(task.home()) {
        home::detach(task);
        home::release(task);
    } else if task.is_finished() || !afar::announce_and_release(task, DETACH) {
        // Nobody else will drop it: the home leaves the output of a finished task to its
        // handle, and a merged task is finished.
        // SAFETY: as in `poll`.
        unsafe { (task.vtable().drop_output)(task) };
        afar::release(task);
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JoinHandle").field(&self.task).finish()
    }
}

fn abort(task: RawTask) {
    if here::is_home(task.home()) {
        home::abort(task);
    } else {
        afar::announce(task, ABORT);
    }
}

/// Aborts a task, from any thread. Keeps its memory, but not the task itself, alive.
pub struct AbortHandle {
    /// `None` if it was made of a join handle that had given its output, or of none.
    task: Option<TaskRef>,
}

// SAFETY: it can only abort, ask and count, which any thread may do.
unsafe impl Send for AbortHandle {}
// SAFETY: as above.
unsafe impl Sync for AbortHandle {}

impl UnwindSafe for AbortHandle {}
impl RefUnwindSafe for AbortHandle {}

impl AbortHandle {
    /// Of a task that never was.
    pub(super) fn of_nothing() -> AbortHandle {
        AbortHandle { task: None }
    }

    /// Asks the task's core to drop its future, as [`JoinHandle::abort`].
    pub fn abort(&self) {
        if let Some(task) = &self.task {
            abort(task.task());
        }
    }

    /// True when the task's future is gone.
    pub fn is_finished(&self) -> bool {
        self.task
            .as_ref()
            .is_none_or(|task| task.task().is_finished())
    }
}

impl Clone for AbortHandle {
    fn clone(&self) -> AbortHandle {
        AbortHandle {
            task: self.task.clone(),
        }
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AbortHandle").field(&self.task).finish()
    }
}
