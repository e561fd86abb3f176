//! [`Timer`]: a deadline, and its entry in the wheel of the core that polls it.

use std::fmt;
use std::task::{Context, Poll};

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
        let look = context::with(|core| match self.entry {
            // No need to ask the clock: until it fires, it is not due.
            Some(entry) if let Some(look) = entry.refresh(core, cx, fresh) => look,
            _ if core.clock.now() >= self.deadline => {
                self.entry = None;
                Look::Elapsed
            }
            _ => match fresh.take() {
                Some(waiter) => {
                    self.entry = Some(Entry::new(core, self.deadline, waiter));
                    Look::Entered
                }
                None => Look::NeedsWaiter,
            },
        });
        look.expect(
            "a krug timer was polled outside a krug runtime: await it inside `block_on` or a task",
        )
    }

    /// Takes the entry out of the wheel, here or by letter.
    fn leave(&mut self) {
        if let Some(entry) = self.entry.take() {
            match entry.is_here() {
                true => entry.remove(),
                false => entry.remove_from_afar(),
            }
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
    fn new(core: &Core, deadline: Instant, waiter: Waiter) -> Entry {
        let mut wheel = core.wheel.borrow_mut();
        Entry {
            core: core.id,
            key: wheel.insert(deadline, Expiry::Wake(waiter)),
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

    fn remove(&self) {
        // The waiter may run code of the user when it is dropped: outside of `with`.
        let removed = context::with(|core| core.wheel.borrow_mut().remove(self.key));
        drop(removed);
    }

    /// Left alone, the entry would hold on to its task and wake it for nothing, perhaps hours
    /// later.
    #[cold]
    fn remove_from_afar(self) {
        let letter = move || {
            if self.is_here() {
                self.remove();
            }
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
