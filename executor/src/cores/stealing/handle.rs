//! [`StealableHandle`]: what the one who spawned a stealable task holds of it.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::task::Joinable;
use crate::task::JoinError;

/// Waits for a task of [`spawn_stealable`](super::spawn_stealable): `handle.await` gives its output, or the [`JoinError`] that says why
/// there is none.
///
/// Dropping it detaches the task: it runs on, and its output is dropped when it is there.
///
/// It may be awaited, aborted and dropped on any thread, by any executor, also after the runtime of the task has ended.
pub struct StealableHandle<T> {
    /// `None` once the output was handed out.
    task: Option<Arc<dyn Joinable<T>>>,
}

impl<T> UnwindSafe for StealableHandle<T> {}
impl<T> RefUnwindSafe for StealableHandle<T> {}
impl<T> Unpin for StealableHandle<T> {}

impl<T> StealableHandle<T> {
    pub(super) fn new(task: Arc<dyn Joinable<T>>) -> StealableHandle<T> {
        StealableHandle { task: Some(task) }
    }

    /// Has the task's future dropped, by whichever core comes to it. Awaiting the handle tells when that has happened.
    ///
    /// A task that has finished already, or finishes first, keeps its output.
    pub fn abort(&self) {
        if let Some(task) = &self.task {
            task.clone().abort();
        }
    }

    /// True when the future is gone and the output, or the error, can be had without waiting.
    pub fn is_finished(&self) -> bool {
        self.task.as_ref().is_none_or(|task| task.is_done())
    }
}

impl<T> Future for StealableHandle<T> {
    type Output = Result<T, JoinError>;

    /// # Panics
    ///
    /// If it is polled again after it was ready.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(task) = &self.task else {
            panic!("a `StealableHandle` was polled after it had given its output");
        };
        if !task.is_done() {
            task.register(cx.waker());
            if !task.is_done() {
                return Poll::Pending;
            }
        }
        let output = task.take_output();
        self.task = None;
        Poll::Ready(output)
    }
}

impl<T> fmt::Debug for StealableHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StealableHandle")
            .field("is_finished", &self.is_finished())
            .finish_non_exhaustive()
    }
}

impl<T> Drop for StealableHandle<T> {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.detach();
        }
    }
}
