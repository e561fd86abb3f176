//! A task that computes for long at a time, for servers to be measured beside it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long each of its polls takes.
pub(crate) const POLL: Duration = Duration::from_millis(5);

/// Computes, lets others run by `yield_now`, for ever. Counts its polls.
pub(super) async fn run<F: Future<Output = ()>>(polls: Arc<AtomicU64>, yield_now: impl Fn() -> F) {
    loop {
        polls.fetch_add(1, Ordering::Relaxed);
        let begin = Instant::now();
        while begin.elapsed() < POLL {
            std::hint::spin_loop();
        }
        yield_now().await;
    }
}
