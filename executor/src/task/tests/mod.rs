//! What a task promises, without any I/O.

mod cancellation;
mod join_set;
mod join_table;
mod local;
mod main_task;
mod panics;
mod remote_spawn;
mod scope;
mod wakers;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

pub(super) use crate::scheduler::tests::Bench;

/// How often something was dropped: exactly once is what most tests want.
#[derive(Clone, Default)]
pub(super) struct Drops(Arc<AtomicUsize>);

impl Drops {
    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    pub(super) fn counter(&self) -> DropCounter {
        DropCounter(self.clone())
    }
}

#[derive(Debug)]
pub(super) struct DropCounter(Drops);

impl std::fmt::Debug for Drops {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Drops({})", self.count())
    }
}

impl Drop for DropCounter {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::SeqCst);
    }
}

pub(super) struct PanicOnDrop(pub(super) &'static str);

impl Drop for PanicOnDrop {
    fn drop(&mut self) {
        panic!("{}", self.0);
    }
}

/// Counts how often it was woken.
#[derive(Default)]
pub(super) struct CountingWaker(AtomicUsize);

impl CountingWaker {
    pub(super) fn new() -> (Waker, Arc<CountingWaker>) {
        let counter = Arc::<CountingWaker>::default();
        (counter.clone().into(), counter)
    }

    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for CountingWaker {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

struct Unparker(Thread);

impl Wake for Unparker {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future on a thread that has no scheduler.
pub(super) fn wait<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unparker(std::thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        let before = std::time::Instant::now();
        std::thread::park_timeout(Duration::from_secs(20));
        assert!(
            before.elapsed() < Duration::from_secs(19),
            "nobody wakes the joiner"
        );
    }
}

/// Polls once, with a waker that does nothing.
pub(super) fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}
