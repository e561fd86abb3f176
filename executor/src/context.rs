//! [`Core`]: what one core owns, and [`with`], which finds the core this thread is running.
//!
//! Everything here is of the current worker, never of the thread: a thread that
//! leaves [`Runtime::block_on`](crate::Runtime::block_on) has no core, and the same
//! thread may run another runtime's core next. A function that needs the core asks
//! for it each time and gets `None` outside a runtime.

use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::cores::CoreId;
use crate::driver::{AtOnce, Outside, TimeSource, monotonic_nanos};
#[cfg(feature = "console")]
use crate::observe;
use crate::observe::{Latencies, Times};
use crate::random::Random;
use crate::scheduler::Scheduler;
use crate::task::Waiter;
use crate::wheel::Wheel;

/// What one core owns, below the operations in flight and the sources, which have
/// locals of their own.
pub(crate) struct Core {
    pub(crate) id: CoreId,
    pub(crate) scheduler: Rc<Scheduler>,
    pub(crate) wheel: RefCell<Wheel<Expiry>>,
    pub(crate) clock: Clock,
    pub(crate) driver: RefCell<Outside>,
    /// What the driver says of itself, so that nobody asks it for every operation.
    pub(crate) tries_at_once: AtOnce,
    pub(crate) random: Random,
    /// What programs draw from: no choice of ours shifts it.
    pub(crate) numbers: Random,
    pub(crate) counters: Counters,
    pub(crate) times: Rc<Times>,
    /// How long operations have taken that ended by themselves.
    pub(crate) latencies: Latencies,
    /// What is told of its sources and operations.
    #[cfg(feature = "console")]
    pub(crate) console: observe::Console,
    /// How long a dropped or closed stream may go on sending what was accepted.
    pub(crate) linger: Duration,
    /// Set when shutdown begins: nothing new starts.
    pub(crate) stopping: Cell<bool>,
}

/// What a timer does when it is due.
pub(crate) enum Expiry {
    /// Wakes whoever waits.
    Wake(Waiter),
    /// Tells the source with this index and generation that its own deadline has passed.
    Source { index: u32, generation: u32 },
}

/// Counts of one core; plain cells, read by [`Runtime::metrics`](crate::Runtime::metrics).
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) turns: Cell<u64>,
    pub(crate) polls: Cell<u64>,
    pub(crate) operations: Cell<u64>,
    pub(crate) messages: Cell<u64>,
    pub(crate) stale: Cell<u64>,
    pub(crate) adopted: Cell<u64>,
    pub(crate) lingered_out: Cell<u64>,
    pub(crate) spins: Cell<u64>,
    pub(crate) spins_caught: Cell<u64>,
}

impl Counters {
    pub(crate) fn add(counter: &Cell<u64>, count: u64) {
        counter.set(counter.get() + count);
    }
}

/// The core's clock: the system's monotonic one, or, while paused, one that only
/// moves when it is told to.
#[derive(Debug)]
pub(crate) struct Clock {
    system: TimeSource,
    /// What it showed at first.
    origin: Instant,
    /// The same as `system_nanos` gives it, or a little less.
    origin_nanos: u64,
    paused_at: Cell<Option<Instant>>,
    /// How far the clock was advanced beyond the system's while it was paused.
    ahead: Cell<Duration>,
}

impl Clock {
    pub(crate) fn new(system: TimeSource) -> Clock {
        let origin_nanos = match &system {
            TimeSource::System => monotonic_nanos(),
            TimeSource::World(_) => 0,
        };
        Clock {
            origin: system.now(),
            origin_nanos,
            system,
            paused_at: Cell::new(None),
            ahead: Cell::new(Duration::ZERO),
        }
    }

    /// False in a simulation.
    pub(crate) fn is_system(&self) -> bool {
        matches!(self.system, TimeSource::System)
    }

    /// What the system's clock shows.
    pub(crate) fn system_now(&self) -> Instant {
        self.system.now()
    }

    /// The same as a number of nanoseconds, from whenever on.
    #[inline]
    pub(crate) fn system_nanos(&self) -> u64 {
        match &self.system {
            TimeSource::System => monotonic_nanos(),
            TimeSource::World(world) => {
                let age = world.get().saturating_duration_since(self.origin);
                u64::try_from(age.as_nanos()).unwrap_or(u64::MAX)
            }
        }
    }

    pub(crate) fn now(&self) -> Instant {
        match self.paused_at.get() {
            Some(instant) => instant,
            None if self.ahead.get().is_zero() => self.system_now(),
            None => self.system_now() + self.ahead.get(),
        }
    }

    /// What it showed at first.
    pub(crate) fn origin(&self) -> Instant {
        self.origin
    }

    /// How many nanoseconds after its origin it stands at the most, when `system_nanos` is this. `None` if it was ever set.
    #[inline]
    pub(crate) fn age_at_most(&self, system_nanos: u64) -> Option<u64> {
        let was_set = self.is_paused() || !self.ahead.get().is_zero();
        (!was_set).then(|| system_nanos.saturating_sub(self.origin_nanos))
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused_at.get().is_some()
    }

    pub(crate) fn pause(&self) {
        self.paused_at.set(Some(self.now()));
    }

    pub(crate) fn resume(&self) {
        if let Some(instant) = self.paused_at.take() {
            self.ahead
                .set(instant.saturating_duration_since(self.system_now()));
        }
    }

    /// Moves a paused clock forward; going back is ignored.
    pub(crate) fn advance_to(&self, instant: Instant) {
        if self.paused_at.get().is_some_and(|now| now < instant) {
            self.paused_at.set(Some(instant));
        }
    }

    /// The system's instant at which this clock will show `instant`.
    pub(crate) fn to_system(&self, instant: Instant) -> Instant {
        if self.ahead.get().is_zero() {
            return instant;
        }
        instant.checked_sub(self.ahead.get()).unwrap_or(instant)
    }
}

/// A thread's current instance of one part of a core: see [`replace`](Current::replace).
///
/// Without a destructor, so that it can be used as long as the thread runs: a runtime, a stream or a future that is
/// itself a thread-local may be dropped after everything that has one.
pub(crate) struct Current<T>(RefCell<ManuallyDrop<Option<Rc<T>>>>);

impl<T> Current<T> {
    pub(crate) const fn none() -> Current<T> {
        Current(RefCell::new(ManuallyDrop::new(None)))
    }

    /// Calls `f` with what is current. `f` may run code of the user, such as a foreign waker, and that may enter
    /// another runtime: so nothing is borrowed meanwhile.
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(&T) -> R) -> Option<R> {
        self.get().as_deref().map(f)
    }

    /// As [`with`](Current::with), for an `f` that runs no code of the user.
    #[inline]
    pub(crate) fn look<R>(&self, f: impl FnOnce(&T) -> R) -> Option<R> {
        self.0.borrow().as_deref().map(f)
    }

    /// What is current.
    #[inline]
    pub(crate) fn get(&self) -> Option<Rc<T>> {
        Option::clone(&self.0.borrow())
    }

    /// Makes `part` the current one and returns what was current before.
    pub(crate) fn replace(&self, part: Option<Rc<T>>) -> Option<Rc<T>> {
        ManuallyDrop::into_inner(self.0.replace(ManuallyDrop::new(part)))
    }
}

thread_local! {
    static CORE: Current<Core> = const { Current::none() };
}

/// Calls `f` with the core this thread is running; `None` outside a runtime.
#[inline]
pub(crate) fn with<R>(f: impl FnOnce(&Core) -> R) -> Option<R> {
    CORE.with(|current| current.with(f))
}

/// As [`with`], for an `f` that runs no code of the user.
#[inline]
pub(crate) fn look<R>(f: impl FnOnce(&Core) -> R) -> Option<R> {
    CORE.with(|current| current.look(f))
}

/// The core this thread is running, for whoever asks it several things.
#[inline]
pub(crate) fn current() -> Option<Rc<Core>> {
    CORE.with(Current::get)
}

/// Makes `core` current on this thread and returns the one before.
pub(crate) fn replace(core: Option<Rc<Core>>) -> Option<Rc<Core>> {
    CORE.with(|current| current.replace(core))
}

/// The identity of the core this thread is running.
pub(crate) fn current_id() -> Option<CoreId> {
    look(|core| core.id)
}
