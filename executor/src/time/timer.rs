//! [`Timer`]: a deadline, and its entry in the wheel of the core that polls it.

use std::fmt;
use std::task::{Context, Poll};
use std::time::Duration;

use super::Instant;
use crate::context::{self, Core, Expiry};
use crate::cores::CoreId;
#[cfg(feature = "console")]
use crate::observe::{self, AsyncOperation, Resource};
use crate::task::Waiter;
use crate::wheel::TimerKey;

/// Becomes ready at its deadline. It is in the wheel of at most one core, where it was polled
/// last, from its first pending poll to its end; it is `Send` and `Sync`, as all it holds of the
/// core is a key.
pub(super) struct Timer {
    deadline: Instant,
    entry: Option<Entry>,
    /// From its first poll on, if somebody wants it.
    #[cfg(feature = "console")]
    told: Option<AsyncOperation>,
}

#[derive(Clone, Copy)]
struct Entry {
    core: CoreId,
    key: TimerKey,
}

/// A deadline that was so far away when the turn began is not due within the turn, so the clock need not be asked. If a poll takes
/// longer than that, it is due in the next turn.
const FAR: Duration = Duration::from_millis(1);

/// What one look at the wheel came to.
enum Look {
    Elapsed,
    Entered,
    /// A waiter must be made first, which may run code of the user: not while we look.
    NeedsWaiter,
}

impl Timer {
    pub(super) fn at(deadline: Instant) -> Timer {
        Timer {
            deadline,
            entry: None,
            #[cfg(feature = "console")]
            told: None,
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The new deadline holds from now on; a task that waits has to poll again.
    pub(super) fn reset(&mut self, deadline: Instant) {
        self.leave();
        self.deadline = deadline;
    }

    /// Does not use up budget: that is for those to do that can be ready again and again.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub(super) fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        #[cfg(feature = "console")]
        if observe::is_traced() {
            let told = self.told.get_or_insert_with(tell).clone();
            return told.poll(|| self.wait(cx));
        }
        self.wait(cx)
    }

    fn wait(&mut self, cx: &Context<'_>) -> Poll<()> {
        // Outlives every look, so that what it holds in the end is dropped after them.
        let mut fresh = None;
        loop {
            match self.look(cx, &mut fresh) {
                Look::Elapsed => return Poll::Ready(()),
                Look::Entered => return Poll::Pending,
                Look::NeedsWaiter => fresh = Some(Waiter::new(cx)),
            }
        }
    }

    fn look(&mut self, cx: &Context<'_>, fresh: &mut Option<Waiter>) -> Look {
        if self.entry.is_some_and(|entry| !entry.is_here()) {
            self.leave();
        }
        let look = context::look(|core| {
            // No need to ask the clock: until it fires, it is not due.
            if let Some(entry) = self.entry
                && let Some(look) = entry.refresh(core, cx, fresh)
            {
                return look;
            }
            self.entry = None;
            let nanos = core.wheel.borrow().nanos(self.deadline);
            if self.is_due(core, nanos) {
                return Look::Elapsed;
            }
            let Some(waiter) = fresh.take().or_else(|| Waiter::of_task(cx)) else {
                return Look::NeedsWaiter;
            };
            self.entry = Some(Entry::new(core, nanos, waiter));
            Look::Entered
        });
        look.expect(
            "a krug timer was polled outside a krug runtime: await it inside `block_on` or a task",
        )
    }

    /// Whether its deadline has passed, which is so many nanoseconds after the origin of the wheel.
    fn is_due(&self, core: &Core, nanos: i64) -> bool {
        let began = core.times.of_turn(|| core.clock.system_nanos());
        let is_far =
            |age: u64| nanos > 0 && nanos as u64 > age.saturating_add(FAR.as_nanos() as u64);
        !core.clock.age_at_most(began).is_some_and(is_far) && core.clock.now() >= self.deadline
    }

    /// Takes the entry out of the wheel, here or by letter.
    #[inline]
    fn leave(&mut self) {
        if let Some(entry) = self.entry.take()
            && !entry.remove()
        {
            entry.remove_from_afar();
        }
    }
}

/// A timer is a resource with one operation.
#[cfg(feature = "console")]
fn tell() -> AsyncOperation {
    let timer = Resource {
        concrete_type: "Timer",
        kind: "timer",
    };
    AsyncOperation::alone(timer, "wait")
}

impl Entry {
    fn new(core: &Core, nanos: i64, waiter: Waiter) -> Entry {
        let mut wheel = core.wheel.borrow_mut();
        Entry {
            core: core.id,
            key: wheel.insert_at(nanos, Expiry::Wake(waiter)),
        }
    }

    fn is_here(&self) -> bool {
        context::current_id() == Some(self.core)
    }

    /// Makes sure that whoever polls now is woken; `None` if the entry has fired.
    fn refresh(&self, core: &Core, cx: &Context<'_>, fresh: &mut Option<Waiter>) -> Option<Look> {
        let mut wheel = core.wheel.borrow_mut();
        let Expiry::Wake(waiter) = wheel.get_mut(self.key)? else {
            unreachable!("the key is of a timer that wakes");
        };
        if waiter.is_for(cx) {
            return Some(Look::Entered);
        }
        let Some(fresh) = fresh else {
            return Some(Look::NeedsWaiter);
        };
        std::mem::swap(waiter, fresh);
        Some(Look::Entered)
    }

    /// False if this is another core.
    fn remove(&self) -> bool {
        let take = |core: &Core| {
            let is_here = core.id == self.core;
            is_here.then(|| core.wheel.borrow_mut().remove(self.key))
        };
        // The waiter may run code of the user when it is dropped: outside of `look`.
        let removed = context::look(take).flatten();
        removed.is_some()
    }

    /// Left alone, the entry would hold on to its task and wake it for nothing, perhaps hours
    /// later.
    #[cold]
    fn remove_from_afar(self) {
        let letter = move || {
            self.remove();
        };
        // If that core's life is over, so is its wheel's.
        let _ = self.core.post(Box::new(letter));
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer")
            .field("deadline", &self.deadline)
            .field("entered", &self.entry.is_some())
            .finish()
    }
}
