//! [`Worker`]: the loop of one core. The only file that knows all parts.
//!
//! ```text
//! reap      walk the completion queue (no system call): slot -> task ready, or queued to its source
//! inbox     take control messages and what other threads sent
//! timers    fire what is due
//! run       poll every task that was ready when the turn began, and what they make ready, within a budget
//! enter     one io_uring_enter: submit what produces, then what waits; wait only if nothing is ready
//! ```

use std::cell::{Cell, RefCell};
use std::io;
use std::mem;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::buf::arena::{self, Arena};
use crate::buf::{Pool, ReceiveSettings, pool};
use crate::context::{self, Clock, Core, Counters, Expiry, Random};
use crate::cores::{CoreId, MailboxLease, quietly};
use crate::driver::{self, Completion, Config, DriverCounters, Key, Outside, Wait};
use crate::inflight::{self, Delivery, Slots};
use crate::scheduler::{Scheduler, TurnBudget};
use crate::source::{self, Sources};
use crate::task::{Entered, MainTask, budget};
use crate::wheel::Wheel;

/// How many polls one turn makes at most before it looks at the ring again.
pub(crate) const POLLS_MAX: usize = 256;
/// How long one turn polls at most before it looks at the ring again. Both are guards of
/// fairness: a turn that ends early costs nothing measurable, one that does not starves I/O.
pub(crate) const RUN_MAX: Duration = Duration::from_micros(500);

/// What a worker is made with.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) driver: Config,
    pub(crate) seed: u64,
    pub(crate) linger: Duration,
    pub(crate) receive: ReceiveSettings,
    /// Bytes, a power of two.
    pub(crate) registered_memory: usize,
    pub(crate) start_paused: bool,
}

pub(crate) struct Worker {
    // Fields are dropped in this order: what refers to tasks before the scheduler, the ring after all of them.
    sources: Rc<Sources>,
    slots: Rc<Slots>,
    pool: Rc<Pool>,
    arena: Rc<Arena>,
    core: Rc<Core>,
    lease: MailboxLease,
    completions: RefCell<Vec<(Key, Completion)>>,
    expired: RefCell<Vec<Expiry>>,
}

/// What could not be ended in time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stragglers {
    pub(crate) tasks: usize,
    pub(crate) operations: usize,
}

impl Worker {
    pub(crate) fn new(settings: &Settings) -> io::Result<Worker> {
        let driver = Outside::new(&settings.driver)?;
        let lease = MailboxLease::acquire();
        lease.set_bell(Box::new(driver.bell()));
        let id = lease.id();
        let clock = Clock::default();
        if settings.start_paused {
            clock.pause();
        }
        let core = Core {
            id,
            scheduler: Scheduler::new(&lease),
            wheel: RefCell::new(Wheel::new(clock.now())),
            clock,
            tries_at_once: driver.tries_at_once(),
            driver: RefCell::new(driver),
            random: Random::new(settings.seed),
            counters: Counters::default(),
            linger: settings.linger,
            stopping: Cell::new(false),
        };
        Ok(Worker {
            sources: Rc::new(Sources::new(id)),
            slots: Rc::new(Slots::new(id)),
            pool: Rc::new(Pool::new(settings.receive)),
            arena: Rc::new(Arena::new(settings.registered_memory)),
            core: Rc::new(core),
            lease,
            completions: RefCell::default(),
            expired: RefCell::default(),
        })
    }

    pub(crate) fn id(&self) -> CoreId {
        self.core.id
    }

    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    pub(crate) fn operations_in_use(&self) -> usize {
        self.slots.in_use()
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(crate) fn sources(&self) -> usize {
        self.sources.len()
    }

    pub(crate) fn driver_counters(&self) -> DriverCounters {
        self.core.driver.borrow().counters()
    }

    /// Makes this core the thread's current one until the answer is dropped.
    pub(crate) fn enter(&self) -> Inside {
        Inside {
            scheduler: Some(self.core.scheduler.enter()),
            core: context::replace(Some(self.core.clone())),
            arena: arena::replace(Some(self.arena.clone())),
            pool: pool::replace(Some(self.pool.clone())),
            slots: inflight::replace(Some(self.slots.clone())),
            sources: source::replace(Some(self.sources.clone())),
        }
    }

    /// Runs `future` and all tasks until `future` is ready.
    ///
    /// # Panics
    ///
    /// In a child of the process that made it.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        belongs_to_this_process();
        let _inside = self.enter();
        let main = self.core.scheduler.main_task();
        let output = self.run_until_ready(future, &main);
        // What was staged last, also by the destructor of the future, is submitted before the core rests.
        self.submit(Wait::No);
        output
    }

    fn run_until_ready<F: Future>(&self, future: F, main: &MainTask) -> F::Output {
        let waker = main.waker();
        let mut future = pin!(future);
        waker.wake_by_ref();
        loop {
            if main.take_notified() {
                Counters::add(&self.core.counters.polls, 1);
                let polled =
                    budget::scope(|| future.as_mut().poll(&mut Context::from_waker(&waker)));
                if let Poll::Ready(output) = polled {
                    return output;
                }
            }
            self.turn(main);
        }
    }

    fn turn(&self, main: &MainTask) {
        belongs_to_this_process();
        Counters::add(&self.core.counters.turns, 1);
        self.reap();
        self.core.scheduler.receive();
        self.fire_timers();
        self.run();
        self.submit_and_wait(main);
    }

    /// Takes in what has completed, without a system call.
    fn reap(&self) {
        let mut completions = self.completions.take();
        self.core.driver.borrow_mut().reap(&mut completions);
        for (key, completion) in completions.drain(..) {
            let delivery = self.slots.complete(key, completion);
            // A panic of a foreign waker or of a buffer's destructor must not cost the others their completions.
            quietly(|| self.deliver(delivery));
        }
        // Whatever came in meanwhile is kept; the memory of the longer list is used again.
        let mut newer = self.completions.borrow_mut();
        if newer.is_empty() {
            *newer = completions;
        }
    }

    fn deliver(&self, delivery: Delivery) {
        match delivery {
            Delivery::Nothing => {}
            Delivery::Ready {
                waiter,
                attachment,
                completion,
            } => {
                if let Some(attachment) = attachment {
                    self.sources.observe(attachment, completion);
                }
                if let Some(waiter) = waiter {
                    waiter.wake();
                }
            }
            Delivery::Sent {
                foreign,
                finished,
                attachment,
            } => {
                if let Some(attachment) = attachment {
                    self.sources.observe(attachment, finished.completion());
                }
                foreign.bring(Some(finished));
            }
            Delivery::Dispose(finished) => drop(finished),
            for_source => self.sources.deliver(for_source),
        }
    }

    fn fire_timers(&self) {
        if self.core.wheel.borrow().len() == 0 {
            return;
        }
        let mut expired = self.expired.take();
        self.core
            .wheel
            .borrow_mut()
            .expire(self.core.clock.now(), &mut expired);
        for expiry in expired.drain(..) {
            match expiry {
                Expiry::Wake(waiter) => waiter.wake_quietly(),
                Expiry::Source { index, generation } => self.sources.timer_fired(index, generation),
            }
        }
        self.expired.replace(expired);
    }

    fn run(&self) {
        if !self.core.scheduler.has_ready() {
            return;
        }
        let until = self.core.driver.borrow().now() + RUN_MAX;
        let polls = self.core.scheduler.run(TurnBudget {
            polls_max: POLLS_MAX,
            until: Some(until),
        });
        Counters::add(&self.core.counters.polls, polls as u64);
    }

    fn submit_and_wait(&self, main: &MainTask) {
        if main.is_notified() || self.core.scheduler.has_ready() {
            return self.submit(Wait::No);
        }
        let deadline = self.core.wheel.borrow().next_deadline();
        if self.core.clock.is_paused() && deadline.is_some() {
            return self.skip_to(deadline);
        }
        if !self.lease.prepare_park() {
            return self.submit(Wait::No);
        }
        let deadline = deadline.map(|deadline| self.core.clock.to_system(deadline));
        self.submit(Wait::Until(deadline));
        self.lease.unpark();
    }

    /// With the clock paused: when nothing else can happen, the next timer is due.
    fn skip_to(&self, deadline: Option<Instant>) {
        self.submit(Wait::No);
        let nothing_came = self.completions.borrow().is_empty() && !self.lease.has_mail();
        if let Some(deadline) = deadline.filter(|_| nothing_came) {
            self.core.clock.advance_to(deadline);
        }
    }

    fn submit(&self, wait: Wait) {
        if let Err(error) = self.try_submit(wait) {
            // The driver itself is broken: no operation of this core can ever complete.
            panic!("the driver of {} failed: {error}", self.core.id);
        }
    }

    fn try_submit(&self, wait: Wait) -> io::Result<()> {
        let mut completions = self.completions.borrow_mut();
        self.core.driver.borrow_mut().enter(wait, &mut completions)
    }

    /// Ends everything: see the module docs of [`runtime`](crate::runtime). What the kernel still holds at the deadline is
    /// leaked, with its memory, never freed.
    pub(crate) fn shutdown(self, deadline: Duration) -> Stragglers {
        if driver::has_forked() {
            // What is in flight is the parent's, and so are ring and descriptors.
            mem::forget(self);
            return Stragglers::default();
        }
        let begin = Instant::now();
        let inside = self.enter();
        self.core.stopping.set(true);
        let tasks = self.core.scheduler.live_tasks();
        self.core.scheduler.abort_all();
        self.sources.close_all();
        self.end(begin + deadline / 2, || self.sources.has_unsent());
        self.sources.give_up();
        self.slots.cancel_all();
        self.end(begin + deadline, || !self.is_quiet());
        // Timers may hold the last references to tasks, which are counted on this core only.
        let timers = self.core.wheel.replace(Wheel::new(self.core.clock.now()));
        drop(timers);
        // The last letters are opened: they may give up operations. Those that come later are dropped unopened, and find
        // the results among what is kept.
        self.core.scheduler.receive();
        let stragglers = Stragglers {
            tasks: tasks.min(self.core.scheduler.live_tasks()),
            operations: self.slots.in_flight(),
        };
        inflight::keep_results(&self.slots);
        self.let_go(inside, stragglers);
        stragglers
    }

    fn is_quiet(&self) -> bool {
        {
            let driver = self.core.driver.borrow();
            self.slots.in_flight() == 0 && driver.own_in_flight() == 0 && !driver.has_staged()
        }
    }

    /// Turns without tasks, until `goes_on` says no or the `deadline` is over; and then as long as each turn ends
    /// something without waiting.
    fn end(&self, deadline: Instant, goes_on: impl Fn() -> bool) {
        // What has come already is taken in first: nobody waits for that.
        let mut ended = self.take_in();
        while goes_on() {
            let is_late = Instant::now() >= deadline;
            let wait = if is_late {
                Wait::No
            } else {
                self.wait_until(deadline)
            };
            if self.try_submit(wait).is_err() {
                break;
            }
            let ended_now = self.take_in();
            if is_late && ended_now == ended {
                break;
            }
            ended = ended_now;
        }
    }

    /// Returns how many completions there have been.
    fn take_in(&self) -> u64 {
        self.reap();
        self.core.scheduler.receive();
        self.fire_timers();
        self.driver_counters().completions
    }

    /// Sleeps until `deadline`, or until a timer before that: a linger time may be over earlier.
    fn wait_until(&self, deadline: Instant) -> Wait {
        let timer = self
            .core
            .wheel
            .borrow()
            .next_deadline()
            .filter(|_| !self.core.clock.is_paused());
        let timer = timer.map(|timer| self.core.clock.to_system(timer));
        Wait::Until(Some(timer.map_or(deadline, |timer| timer.min(deadline))))
    }

    fn let_go(self, inside: Inside, stragglers: Stragglers) {
        self.lease.remove_bell();
        if stragglers.operations > 0 {
            tracing::warn!(
                "{}: {} operations still in flight at the end of the shutdown deadline; \
                 their memory and the ring are leaked",
                self.core.id,
                stragglers.operations
            );
            mem::forget(self.slots.clone());
            mem::forget(self.pool.clone());
            mem::forget(self.core.clone());
            mem::forget(self.sources.clone());
        }
        let Worker {
            sources,
            slots,
            pool,
            core,
            lease,
            ..
        } = self;
        drop(sources);
        drop(slots);
        drop(pool);
        core.scheduler.shut_down();
        drop(inside);
        drop(lease);
        if let Ok(core) = Rc::try_unwrap(core) {
            core.driver.into_inner().shutdown();
        }
    }
}

/// While it lives, its core is the thread's current one.
pub(crate) struct Inside {
    // Restored before the others, which wakers of tasks may need.
    scheduler: Option<Entered<'static>>,
    core: Option<Rc<Core>>,
    arena: Option<Rc<Arena>>,
    pool: Option<Rc<Pool>>,
    slots: Option<Rc<Slots>>,
    sources: Option<Rc<Sources>>,
}

impl Drop for Inside {
    fn drop(&mut self) {
        drop(source::replace(self.sources.take()));
        drop(inflight::replace(self.slots.take()));
        drop(pool::replace(self.pool.take()));
        drop(arena::replace(self.arena.take()));
        drop(context::replace(self.core.take()));
        drop(self.scheduler.take());
    }
}

/// # Panics
///
/// In a child of the process that made the runtime.
#[inline]
fn belongs_to_this_process() {
    assert!(
        !driver::has_forked(),
        "a krug runtime is used in a forked child: it belongs to the parent; make another one here"
    );
}
