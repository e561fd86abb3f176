//! Sleeping, deadlines and ticks.
//!
//! - [`sleep()`], [`sleep_until`]: wait;
//! - [`timeout()`], [`timeout_at`]: wait for a future, but not for ever;
//! - [`interval()`], [`interval_at`]: wait again and again;
//! - [`pause`], [`advance`], [`resume`]: a clock that tests set.
//!
//! Timers need no system call and nothing of the kernel: the core that polls one keeps it
//! in its own memory, and the wait at the end of an idle turn ends when the earliest is due.
//!
//! # What all of them keep
//!
//! - **Never early**, on the clock of [`Instant`], which does not run while the machine is
//!   suspended; late only by what the core was busy with.
//! - **The deadline is fixed when the future is made**, wherever that is, also outside a
//!   runtime: work done before the first `.await` counts.
//! - **They may travel.** All are `Send` and `Sync`; polled on another core they wait there.
//! - **Durations of any length** are fine: what is beyond the clock's range is a hundred
//!   years away.
//! - **Dropping one costs the next wait nothing**: its timer is removed.
//!
//! Polling any of them outside a runtime panics: nobody would wake the task.
//!
//! ```
//! use krug::time::{interval, timeout};
//! use std::time::Duration;
//!
//! # krug::Runtime::new().unwrap().block_on(async {
//! let mut ticks = interval(Duration::from_millis(1));
//! let counting = async {
//!     for _ in 0..3 {
//!         ticks.tick().await;
//!     }
//! };
//! assert!(timeout(Duration::from_secs(60), counting).await.is_ok());
//! # });
//! ```
//!
//! A test of something that takes hours, with the clock paused:
//!
//! ```
//! # use std::time::Duration;
//! # async fn cache_with_lifetime(_: Duration) -> Cache { Cache(krug::time::now()) }
//! # struct Cache(std::time::Instant);
//! # impl Cache { fn is_fresh(&self) -> bool { krug::time::now() < self.0 + Duration::from_secs(3600) } }
//! # /*
//! #[krug::test(start_paused = true)]
//! # */
//! async fn entries_expire_after_an_hour() {
//!     let hour = Duration::from_secs(3600);
//!     let cache = cache_with_lifetime(hour).await;
//!     krug::time::sleep(hour / 2).await; // returns at once, half an hour later
//!     assert!(cache.is_fresh());
//!     krug::time::sleep(hour / 2).await;
//!     assert!(!cache.is_fresh());
//! }
//! # let paused = krug::Runtime::builder().start_paused(true).build().unwrap();
//! # paused.block_on(entries_expire_after_an_hour());
//! ```

use std::time::Duration;

pub use std::time::Instant;

mod clock;
mod interval;
mod sleep;
#[cfg(test)]
mod tests;
mod timeout;
mod timer;

pub use clock::{advance, now, pause, resume};
pub use interval::{Interval, MissedTickBehavior, interval, interval_at};
pub use sleep::{Sleep, sleep, sleep_until};
pub use timeout::{Elapsed, timeout, timeout_at};

/// `duration` after `instant`; a hundred years after, if the clock cannot say that.
fn after(instant: Instant, duration: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    instant
        .checked_add(duration)
        .unwrap_or_else(|| instant + CENTURY)
}
