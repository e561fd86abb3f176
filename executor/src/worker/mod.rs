//! [`Worker`]: the loop of one core. The only file that knows all parts.
//!
//! ```text
//! reap      walk the completion queue (no system call): slot -> task ready, or queued to its source
//! inbox     take control messages and what other threads sent
//! timers    fire what is due
//! run       poll every task that was ready when the turn began, and what they make ready, within a budget, by the shares of their classes;
//!           when none is ready, what the core runs for, if it was woken, and what that makes ready
//! enter     one io_uring_enter: submit what produces, then what waits; wait only if nothing is ready
//! ```

mod ending;
mod inside;
mod running;
mod siblings;
mod spin;
mod stepping;
mod turns;

pub(crate) use ending::Remains;
pub(crate) use inside::Inside;
pub(crate) use siblings::Siblings;
pub(crate) use spin::{SPIN_DEFAULT, SPIN_MAX};
pub(crate) use stepping::{MainFuture, Stepped, Turn};
pub(crate) use turns::{TakesTurns, draw, next_moment};

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::buf::arena::Arena;
use crate::buf::{Pool, ReceiveSettings};
use crate::context::{Clock, Core, Counters, Expiry};
use crate::cores::{CoreId, MailboxLease, Team, quietly};
use crate::driver::{self, Choice, Completion, Config, DriverCounters, Key, Outside, Wait};
use crate::inflight::{Delivery, Slots};
use crate::observe::{self, Board, Latencies, Times};
use crate::random::Random;
use crate::scheduler::Scheduler;
use crate::source::Sources;
use crate::task::{MainTask, PanicResponse, budget};
use crate::wheel::Wheel;

use spin::Spin;

/// How many polls one turn makes at most before it looks at the ring again.
pub(crate) const POLLS_MAX: usize = 256;
/// How long one turn polls at most before it looks at the ring again. Both are guards of
/// fairness: a turn that ends early costs nothing measurable, one that does not starves I/O.
pub(crate) const RUN_MAX: Duration = Duration::from_micros(500);

/// How often a core that looks on does so before it looks at the clock again.
const LOOKS_PER_CLOCK: usize = 4;

/// Which of the generators of a core's seed is the programs'.
const NUMBERS_OF_PROGRAMS: u64 = 1;

/// What a worker is made with.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) driver: Config,
    pub(crate) linger: Duration,
    pub(crate) receive: ReceiveSettings,
    /// Bytes, a power of two.
    pub(crate) registered_memory: usize,
    /// How many tasks may be on their way from elsewhere.
    pub(crate) spawn_backlog: u32,
    /// How the classes of tasks share a core, from the most urgent one down.
    pub(crate) class_shares: [u32; 3],
    pub(crate) start_paused: bool,
    pub(crate) panics: PanicResponse,
    /// For how long at most a core looks on before it sleeps. Zero: it sleeps at once.
    pub(crate) spin: Duration,
    /// Where it shows what it polls, if somebody watches. Each core has one of its own.
    pub(crate) board: Option<Arc<Board>>,
}

/// Tells the cores of a runtime who they are, in their order.
pub(crate) fn know_each_other<'a>(workers: impl Iterator<Item = &'a Worker> + Clone) {
    let team = Team::on_one_thread(workers.clone().map(Worker::id).collect::<Vec<_>>());
    workers.for_each(|worker| worker.core.scheduler.join_team(team.clone()));
}

pub(crate) struct Worker {
    // Fields are dropped in this order: what refers to tasks before the scheduler, the ring after all of them.
    sources: Rc<Sources>,
    slots: Rc<Slots>,
    pool: Rc<Pool>,
    arena: Rc<Arena>,
    core: Rc<Core>,
    lease: MailboxLease,
    spin: Spin,
    /// How many completions this turn has taken in.
    completed: Cell<usize>,
    completions: RefCell<Vec<(Key, Completion)>>,
    expired: RefCell<Vec<Expiry>>,
}

impl Worker {
    pub(crate) fn new(settings: &Settings) -> io::Result<Worker> {
        let driver = Outside::new(&settings.driver)?;
        let lease = MailboxLease::acquire();
        lease.set_spawn_backlog(settings.spawn_backlog);
        lease.set_bell(Box::new(driver.bell()));
        let id = lease.id();
        let clock = Clock::new(driver.time_source());
        if settings.start_paused {
            clock.pause();
        }
        let times = Rc::new(Times::new(clock.system_nanos()));
        // Another driver does not show without a system call what has come.
        let spin = match driver.choice() == Choice::Uring {
            true => settings.spin,
            false => Duration::ZERO,
        };
        let core = Core {
            id,
            scheduler: Scheduler::new(&lease, driver.order_of_tasks()),
            wheel: RefCell::new(Wheel::new(clock.origin())),
            clock,
            tries_at_once: driver.tries_at_once(),
            driver: RefCell::new(driver),
            random: Random::new(settings.driver.seed),
            numbers: Random::of_stream(settings.driver.seed, NUMBERS_OF_PROGRAMS, 0),
            counters: Counters::default(),
            times: times.clone(),
            latencies: Latencies::new(),
            #[cfg(feature = "console")]
            console: observe::Console::default(),
            linger: settings.linger,
            stopping: Cell::new(false),
        };
        core.scheduler.panics().respond_by(settings.panics.clone());
        core.scheduler.go_by(times);
        if let Some(board) = &settings.board {
            core.scheduler.show_on(board.clone());
        }
        core.scheduler.share_by(settings.class_shares);
        let core = Rc::new(core);
        Ok(Worker {
            sources: Rc::new(Sources::new(id)),
            slots: Rc::new(Slots::new(core.clone())),
            pool: Rc::new(Pool::new(settings.receive)),
            arena: Rc::new(Arena::new(settings.registered_memory)),
            core,
            lease,
            spin: Spin::new(spin),
            completed: Cell::new(0),
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

    #[cfg(test)]
    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(crate) fn driver_counters(&self) -> DriverCounters {
        self.core.driver.borrow().counters()
    }

    /// Runs `future` and all tasks until `future` is ready.
    ///
    /// # Panics
    ///
    /// In a child of the process that made it.
    #[track_caller]
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
        let mut poll = || self.poll_main(future.as_mut(), main, &waker);
        self.look_at_clock();
        waker.wake_by_ref();
        loop {
            if let Poll::Ready(output) = poll() {
                return output;
            }
            let gives_way = main.is_notified();
            self.begin_turn();
            if gives_way {
                self.run();
            } else if let Poll::Ready(output) = self.run_with(main, &mut poll) {
                return output;
            }
            self.submit_and_wait(main);
        }
    }

    /// Polls the future that the core runs for, if it was woken.
    fn poll_main<F: Future + ?Sized>(
        &self,
        future: Pin<&mut F>,
        main: &MainTask,
        waker: &Waker,
    ) -> Poll<F::Output> {
        if !main.take_notified() {
            return Poll::Pending;
        }
        Counters::add(&self.core.counters.polls, 1);
        let _shown = self.core.scheduler.show_main(main);
        budget::scope(|| future.poll(&mut Context::from_waker(waker)))
    }

    fn turn(&self, main: &MainTask) {
        self.begin_turn();
        self.run();
        self.submit_and_wait(main);
    }

    /// Takes in all that has come.
    fn begin_turn(&self) {
        belongs_to_this_process();
        Counters::add(&self.core.counters.turns, 1);
        if self.core.times.begin_turn() {
            let slept = self.core.times.unpark(self.core.clock.system_nanos());
            self.spin.slept(slept);
        }
        self.reap();
        self.receive();
        self.fire_timers();
    }

    /// For what happens to the core while nobody runs it.
    pub(crate) fn look_at_clock(&self) {
        let core = &self.core;
        core.times.begin_to_run(core.clock.system_nanos());
    }

    /// What the system's clock shows in this turn, in nanoseconds; it is asked once, and not if nothing happens.
    #[inline]
    fn time_of_turn(&self) -> u64 {
        let core = &self.core;
        core.times.of_turn(|| core.clock.system_nanos())
    }

    /// Takes in what other threads have sent.
    fn receive(&self) {
        let messages = self.core.scheduler.receive();
        Counters::add(&self.core.counters.messages, messages as u64);
    }

    /// Takes in what has completed, without a system call.
    fn reap(&self) {
        let mut completions = self.completions.take();
        self.core.driver.borrow_mut().reap(&mut completions);
        self.completed.set(completions.len());
        if !completions.is_empty() {
            self.time_of_turn();
        }
        for (key, completion) in completions.drain(..) {
            // Before: what is not used afterwards need not be kept over the call.
            if observe::is_traced() {
                self.trace(key, completion);
            }
            self.deliver(self.slots.complete(key, completion));
        }
        // Whatever came in meanwhile is kept; the memory of the longer list is used again.
        let mut newer = self.completions.borrow_mut();
        if newer.is_empty() {
            *newer = completions;
        }
    }

    /// Tells a subscriber that wants to know. A panic of that costs nobody anything.
    #[cold]
    fn trace(&self, key: Key, completion: Completion) {
        if let Some(kind) = self.slots.kind(key) {
            let Completion { result, more, .. } = completion;
            quietly(|| observe::operation_completes(kind, key.index, result, more));
        }
    }

    /// A panic of a foreign waker or of a buffer's destructor must not cost the others their completions.
    #[inline]
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
                    waiter.wake_quietly();
                }
            }
            rarer => quietly(|| self.deliver_rarer(rarer)),
        }
    }

    fn deliver_rarer(&self, delivery: Delivery) {
        match delivery {
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
        if self.core.wheel.borrow().len() == 0 || self.no_timer_is_due() {
            return;
        }
        let mut expired = self.expired.take();
        let now = self.core.clock.now();
        self.core.wheel.borrow_mut().expire(now, &mut expired);
        for expiry in expired.drain(..) {
            match expiry {
                Expiry::Wake(waiter) => waiter.wake_quietly(),
                Expiry::Source { index, generation } => self.sources.timer_fired(index, generation),
            }
        }
        self.expired.replace(expired);
    }

    fn has_to_poll(&self, main: &MainTask) -> bool {
        main.is_notified() || self.core.scheduler.has_ready()
    }

    fn submit_and_wait(&self, main: &MainTask) {
        if self.has_to_poll(main) {
            return self.submit(Wait::No);
        }
        let deadline = self.core.wheel.borrow_mut().next_deadline();
        if self.core.clock.is_paused() && deadline.is_some() {
            return self.skip_to(deadline);
        }
        let deadline = deadline.map(|deadline| self.core.clock.to_system(deadline));
        if self.spin.is_due(self.completed.get()) && self.looks_on(deadline) {
            return;
        }
        if !self.lease.prepare_park() {
            return self.submit(Wait::No);
        }
        self.core.times.park(|| self.core.clock.system_nanos());
        self.submit(Wait::Until(deadline));
        self.lease.unpark();
    }

    /// Looks on for a moment before the core sleeps: who sends to it meanwhile has nobody to wake. True if something has come, or the moment of a
    /// timer.
    #[inline(never)]
    fn looks_on(&self, deadline: Option<Instant>) -> bool {
        self.submit(Wait::No);
        if self.has_come() {
            return true;
        }
        let core = &self.core;
        let left = deadline.map(|moment| moment.saturating_duration_since(core.clock.system_now()));
        let time = self.spin.time(left);
        let began = core.clock.system_nanos();
        let mut now = began;
        let has_come = loop {
            let comes = (0..LOOKS_PER_CLOCK).any(|_| {
                std::hint::spin_loop();
                self.has_come()
            });
            now = core.clock.system_nanos().max(now);
            if comes {
                break true;
            }
            if now - began >= time.as_nanos() as u64 {
                break left.is_some_and(|left| left <= time);
            }
        };
        core.times.spin(began, now, has_come);
        self.spin.learn(has_come, Duration::from_nanos(now - began));
        Counters::add(&core.counters.spins, 1);
        if has_come {
            Counters::add(&core.counters.spins_caught, 1);
            // Completions may wait in the kernel for a system call that hands them out; else this makes none.
            self.submit(Wait::No);
        }
        has_come
    }

    fn has_come(&self) -> bool {
        let has_completions = !self.completions.borrow().is_empty();
        has_completions || self.lease.has_mail() || self.core.driver.borrow_mut().has_news()
    }

    /// With the clock paused: when nothing else can happen, the next timer is due.
    fn skip_to(&self, deadline: Option<Instant>) {
        self.submit(Wait::No);
        let nothing_came = self.completions.borrow().is_empty() && !self.lease.has_mail();
        if let Some(deadline) = deadline.filter(|_| nothing_came) {
            self.core.clock.advance_to(deadline);
        }
    }

    /// The next moment of a timer, on the system's clock.
    fn next_timer(&self) -> Option<Instant> {
        let timer = self.core.wheel.borrow_mut().next_deadline()?;
        Some(self.core.clock.to_system(timer))
    }

    /// Whether something has come to it that it has not done itself: news of its driver, a completion, a message, a moment.
    fn is_reached(&self, has_news: bool, next_moment: impl FnOnce() -> Option<Instant>) -> bool {
        // What came with the last submission is taken in by the next turn.
        let has_completions = !self.completions.borrow().is_empty();
        let now = self.core.clock.system_now();
        let is_due = || next_moment().is_some_and(|moment| moment <= now);
        has_news || has_completions || self.lease.has_mail() || is_due()
    }

    /// Does work that blocks and is due, of a driver that has no threads; as a thread would, outside of the core.
    fn do_due_work(&self) {
        if self.core.clock.is_system() {
            return;
        }
        loop {
            let work = self.core.driver.borrow_mut().due_work();
            let Some(work) = work else {
                return;
            };
            let _outside = Inside::nobody();
            quietly(work);
        }
    }

    fn submit(&self, wait: Wait) {
        self.do_due_work();
        if let Err(error) = self.try_submit(wait) {
            // The driver itself is broken: no operation of this core can ever complete.
            panic!("the driver of {} failed: {error}", self.core.id);
        }
    }

    fn try_submit(&self, wait: Wait) -> io::Result<()> {
        let mut completions = self.completions.borrow_mut();
        self.core.driver.borrow_mut().enter(wait, &mut completions)
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
