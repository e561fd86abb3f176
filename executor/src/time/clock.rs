//! The clock, and how tests set it.

use std::time::Duration;

use super::{Instant, after};
use crate::context::{self, Core};
use crate::task::yield_now;

/// What the current core's clock shows: [`Instant::now`], unless it was paused or set.
/// Outside a runtime it is always [`Instant::now`].
pub fn now() -> Instant {
    context::look(|core| core.clock.now()).unwrap_or_else(Instant::now)
}

/// Stops this core's clock: a test can then wait for hours in no time.
///
/// While the clock stands still, [`now`] and all timers go by it, and whenever the core has
/// nothing left to do it jumps to the next deadline. An operation that waits for another thread or
/// process counts as nothing to do: a timeout around it ends at once. Code that asks [`Instant::now`] itself
/// sees the system's time. Without effect if the clock stands still already.
/// `#[krug::test(start_paused = true)]` begins that way.
///
/// # Panics
///
/// Outside a runtime.
#[track_caller]
pub fn pause() {
    on_core("pause", |core| core.clock.pause());
}

/// Lets this core's clock run again from where it stands. It is then ahead of the
/// system's by as much as it jumped, and never goes back. Without effect if it runs.
///
/// # Panics
///
/// Outside a runtime.
#[track_caller]
pub fn resume() {
    on_core("resume", |core| core.clock.resume());
}

/// Sets a paused clock forward by `duration`, in one step, and waits until every timer that is
/// due by then has fired and the tasks waiting for them have run.
///
/// ```
/// # use std::time::Duration;
/// # let runtime = krug::Runtime::builder().start_paused(true).build().unwrap();
/// # runtime.block_on(async {
/// use krug::time::{advance, sleep};
///
/// let sleeper = krug::spawn(sleep(Duration::from_secs(10)));
/// krug::task::yield_now().await; // it begins to wait
/// advance(Duration::from_secs(9)).await;
/// assert!(!sleeper.is_finished());
/// advance(Duration::from_secs(1)).await;
/// assert!(sleeper.is_finished());
/// # });
/// ```
///
/// # Cancellation
///
/// The clock is set at the first poll; a future dropped after that leaves it so.
///
/// # Panics
///
/// Outside a runtime, and if the clock is not paused.
pub async fn advance(duration: Duration) {
    let target = on_core("advance", |core| {
        assert!(
            core.clock.is_paused(),
            "time::advance sets a paused clock: call time::pause() first"
        );
        let target = after(core.clock.now(), duration);
        core.clock.advance_to(target);
        target
    });
    let is_due = || {
        let next = on_core("advance", |core| core.wheel.borrow_mut().next_deadline());
        next.is_some_and(|next| next <= target)
    };
    while is_due() {
        yield_now().await;
    }
    // The tasks whose timers have fired stand in the queue before this one.
    yield_now().await;
}

#[track_caller]
fn on_core<R>(name: &str, f: impl FnOnce(&Core) -> R) -> R {
    let Some(result) = context::with(f) else {
        panic!("time::{name} sets the clock of a core: call it inside a krug runtime");
    };
    result
}
