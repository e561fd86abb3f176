//! A core runs until its future is ready, or until the first panic of a task ends the runtime: [`PanicPolicy::Shutdown`](super::PanicPolicy).

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, Waker};

use crate::task::FirstPanic;

/// What [`unless_paniced`] came to.
///
/// # Panics
///
/// With what the first panic of a task said.
pub(super) fn or_panic<T>(ended: Result<T, Arc<str>>) -> T {
    ended.unwrap_or_else(|message| {
        panic!("{message}; its runtime has ended, by PanicPolicy::Shutdown")
    })
}

/// The output of `future`, unless a task panics first; then what it said.
pub(super) async fn unless_paniced<F: Future>(
    first: &FirstPanic,
    future: F,
) -> Result<F::Output, Arc<str>> {
    let mut future = pin!(future);
    let mut waits = Waits { first, waker: None };
    poll_fn(|cx| {
        if let Poll::Ready(message) = first.poll(cx) {
            return Poll::Ready(Err(message));
        }
        if waits.waker.is_none() {
            waits.waker = Some(cx.waker().clone());
        }
        future.as_mut().poll(cx).map(Ok)
    })
    .await
}

/// Leaves no waker behind that nobody needs.
struct Waits<'a> {
    first: &'a FirstPanic,
    waker: Option<Waker>,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        if let Some(waker) = &self.waker {
            self.first.forget(waker);
        }
    }
}
