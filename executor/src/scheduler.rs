//! [`Scheduler`]: which task of a core runs next, and for how long the core stays with its tasks.
//!
//! Tasks run first in, first out. A task woken by one that is running goes to a slot of its
//! own and runs next, while what the two share is in the cache; after [`LIFO_STREAK`] polls
//! out of that slot the queue has its turn, so that two tasks which wake each other for ever
//! starve nobody. A task that awaits another one's end is an exception, it goes to the queue: who
//! joins a batch of tasks runs once when most of them have ended, instead of once for each
//! (measured for a spawn and a join in batches of 64: 290 instructions, against 460).
//!
//! Tasks of another class than the default one have queues of their own. While one of them is ready, the shares decide which
//! class is next: see [`classes`].
//!
//! A simulation wants to see every order that a program might meet: there, the next task is drawn among those of its class that are ready.
//!
//! Like `task` it knows nothing of I/O. It is not `Send`, and runs no code of the user while
//! any of its cells is borrowed: there are only `Cell`s, and [`Spans`], which gives out what it has.

mod classes;
mod turn;

#[cfg(test)]
pub(crate) use classes::UNIT_TIME;
pub(crate) use classes::{SHARE_MAX, SHARES_DEFAULT};
pub(crate) use turn::{TurnBudget, Until};

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

use classes::Classes;

use crate::cores::{CoreId, Delivery, Lease, MailboxLease, Seat, Team};
use crate::observe::{Board, Shown, Spans, TaskEntry, Times};
use crate::random::Random;
use crate::task::{
    self, Blocks, Class, Entered, JoinHandle, MainTask, Panics, RunQueue, Runnable, TaskList,
    budget,
};

/// How many polls in a row the LIFO slot gets while the queue waits.
pub(crate) const LIFO_STREAK: u8 = 3;

/// Among how many of those that are ready the next one is drawn, so that a long queue costs no more than a short one.
const DRAWN_AMONG_MAX: usize = 8;

/// How many polls pass between two looks at the clock: one look costs as much as several polls.
const POLLS_PER_LOOK_AT_THE_CLOCK: usize = 16;

/// The tasks of one core. See the [module docs](self).
pub(crate) struct Scheduler {
    queue: RunQueue,
    /// Draws which of those in the queue is next, instead of the first.
    order: Option<Random>,
    /// A task woken by another task: next in line.
    lifo: Cell<Option<Runnable>>,
    lifo_streak: Cell<u8>,
    /// The next task is not simply the first one: there is an order to draw, or tasks of other classes than the default one
    /// were ready a moment ago.
    is_chosen: Cell<bool>,
    classes: Classes,
    /// A task is being polled: who is woken now was woken by a task.
    polling: Cell<bool>,
    /// Every task that has not been freed or merged, finished ones too.
    tasks: TaskList,
    /// What finished tasks left behind.
    blocks: Blocks,
    /// By which it knows how old a task is; models have none.
    times: OnceCell<Rc<Times>>,
    /// Where it shows what it polls, if somebody watches.
    board: OnceCell<Arc<Board>>,
    spans: Spans,
    live: Cell<usize>,
    panics: Panics,
    /// All cores of the runtime, this one among them.
    team: RefCell<Team>,
    seat: Seat,
    /// Tasks that came from elsewhere, whose places are not given back yet.
    arrived: Cell<u32>,
    wakes: Cell<u64>,
    wakes_from_afar: Cell<u64>,
    stage: Cell<Stage>,
    lease: Rc<Lease>,
}

/// How a scheduler ends: it only ever goes to the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Open,
    /// Nothing is spawned any more: what is, is cancelled at once.
    Closing,
    /// Its tasks know it no longer.
    Dead,
}

impl Scheduler {
    /// With a generator, the order of tasks is drawn from that.
    ///
    /// # Panics
    ///
    /// If the lease has a scheduler already.
    pub(crate) fn new(lease: &MailboxLease, order: Option<Random>) -> Rc<Scheduler> {
        let lease = lease.share_with_scheduler();
        Rc::new(Scheduler {
            queue: RunQueue::new(),
            is_chosen: Cell::new(order.is_some()),
            classes: Classes::new(),
            order,
            lifo: Cell::new(None),
            lifo_streak: Cell::new(0),
            polling: Cell::new(false),
            tasks: TaskList::new(),
            blocks: Blocks::new(),
            times: OnceCell::new(),
            board: OnceCell::new(),
            spans: Spans::default(),
            live: Cell::new(0),
            panics: Panics::default(),
            team: RefCell::new(Team::new([lease.id()])),
            seat: Seat::default(),
            arrived: Cell::new(0),
            wakes: Cell::new(0),
            wakes_from_afar: Cell::new(0),
            stage: Cell::new(Stage::Open),
            lease,
        })
    }

    /// Lets it go by this clock.
    pub(crate) fn go_by(&self, times: Rc<Times>) {
        let set = self.times.set(times);
        debug_assert!(set.is_ok(), "a scheduler has one clock");
    }

    /// Lets it show what it polls.
    pub(crate) fn show_on(&self, board: Arc<Board>) {
        let set = self.board.set(board);
        debug_assert!(set.is_ok(), "a scheduler has one board");
    }

    /// Shows that the main task is polled, while the answer lives.
    pub(crate) fn show_main(&self, main: &MainTask) -> Option<Shown<'_>> {
        let board = self.board.get()?;
        board.begin(main.spawned_at());
        Some(Shown(board))
    }

    pub(crate) fn id(&self) -> CoreId {
        self.lease.id()
    }

    /// Makes this scheduler the home of the thread while the guard lives.
    pub(crate) fn enter(self: &Rc<Self>) -> Entered<'static> {
        Entered::owning(self)
    }

    /// See [`task::spawn`]. Once the scheduler is closing, the task is cancelled at once.
    #[track_caller]
    pub(crate) fn spawn<F: Future + 'static>(&self, future: F) -> JoinHandle<F::Output> {
        self.spawn_at(future, Location::caller())
    }

    #[inline]
    pub(crate) fn spawn_at<F: Future + 'static>(
        &self,
        future: F,
        spawned_at: &'static Location<'static>,
    ) -> JoinHandle<F::Output> {
        task::spawn_on(self, future, spawned_at)
    }

    /// For one `block_on`.
    #[track_caller]
    pub(crate) fn main_task(self: &Rc<Self>) -> MainTask {
        MainTask::new(Rc::clone(self))
    }

    /// True if a poll is due. The main task does not count.
    pub(crate) fn has_ready(&self) -> bool {
        self.ready() > 0
    }

    fn ready(&self) -> usize {
        self.ready_by_default() + self.classes.ready()
    }

    /// Those of the default class.
    fn ready_by_default(&self) -> usize {
        let lifo = self.lifo.take();
        let in_slot = usize::from(lifo.is_some());
        self.lifo.set(lifo);
        self.queue.len() + in_slot
    }

    /// How the classes share the core, in the order of [`Class::ALL`].
    pub(crate) fn share_by(&self, shares: [u32; 3]) {
        self.classes.share_by(shares);
    }

    /// How many tasks have not ended yet.
    pub(crate) fn live_tasks(&self) -> usize {
        // Asked first: it may free what the user has left in tasks that ended elsewhere.
        let stealable = self.seat.live_tasks();
        self.live.get().saturating_sub(self.seat.runners()) + stealable
    }

    /// All cores of the runtime, in their order.
    pub(crate) fn team(&self) -> Team {
        self.team.borrow().clone()
    }

    /// The core is one of these.
    pub(crate) fn join_team(&self, team: Team) {
        self.team.replace(team);
    }

    /// Its part in stealable tasks.
    #[inline]
    pub(crate) fn seat(&self) -> &Seat {
        &self.seat
    }

    /// How many of its tasks have paniced, and what that leads to.
    pub(crate) fn panics(&self) -> &Panics {
        &self.panics
    }

    /// What its tasks are doing.
    pub(crate) fn report(&self, times: &Times) -> Vec<TaskEntry> {
        task::report(&self.tasks, times)
    }

    /// How often a task was made ready, and how many wakes came from other threads.
    pub(crate) fn wakes(&self) -> (u64, u64) {
        (self.wakes.get(), self.wakes_from_afar.get())
    }

    /// The next task of a turn that has made so many polls. `None`: there is none, or the turn is over.
    fn next(&self, turn: &TurnBudget, polls: usize) -> Option<Runnable> {
        if self.is_chosen.get() {
            return self.chosen(turn, polls);
        }
        self.first()
    }

    /// The next one of the default class.
    #[inline(always)]
    fn first(&self) -> Option<Runnable> {
        if self.lifo_streak.get() < LIFO_STREAK
            && let Some(runnable) = self.lifo.take()
        {
            self.lifo_streak.set(self.lifo_streak.get() + 1);
            return Some(runnable);
        }
        self.lifo_streak.set(0);
        self.queue.pop().or_else(|| self.lifo.take())
    }

    /// The next one, by the shares of the classes and by the order that a simulation draws.
    #[inline(never)]
    fn chosen(&self, turn: &TurnBudget, polls: usize) -> Option<Runnable> {
        if self.classes.urgent_polls_are_over(turn, polls) {
            return None;
        }
        if self.classes.ready() == 0 {
            self.classes.end_slice();
            self.is_chosen.set(self.order.is_some());
            return self.first_or_drawn();
        }
        if !self.classes.may_poll(turn, polls) {
            return None;
        }
        let class = self.classes.choose(self.ready_by_default() > 0);
        let Some(queue) = self.classes.queue(class) else {
            return self.first_or_drawn();
        };
        if let Some(order) = &self.order {
            pass_some_over(queue, order);
        }
        self.classes.pop(queue)
    }

    fn first_or_drawn(&self) -> Option<Runnable> {
        let Some(order) = &self.order else {
            return self.first();
        };
        if let Some(last) = self.lifo.take() {
            self.queue.push(last);
        }
        pass_some_over(&self.queue, order);
        self.queue.pop()
    }

    /// How many of so many that are ready are passed over, where the order is drawn.
    #[inline]
    pub(crate) fn draw(&self, ready: usize) -> usize {
        self.order
            .as_ref()
            .map_or(0, |order| draw_among(order, ready))
    }

    #[inline]
    fn poll(&self, runnable: Runnable) {
        if let Some(board) = self.board.get() {
            board.begin(runnable.spawned_at());
        }
        let outer = self.polling.replace(true);
        budget::scope(|| runnable.run());
        self.polling.set(outer);
    }

    /// Opens everything in the mailbox: messages of tasks, and letters. Returns how many there were.
    pub(crate) fn receive(&self) -> usize {
        let _entered = Entered::borrowing(self);
        let delivery = match self.stage.get() {
            Stage::Dead => Delivery::Discard,
            _ => Delivery::At {
                epoch: self.id().epoch(),
            },
        };
        let received = self.lease.take().deliver_all(delivery);
        // All at once: one atomic for as many tasks as there were.
        match self.arrived.take() {
            0 => {}
            arrived => self.id().mailbox().backlog().give_back(arrived),
        }
        received
    }

    /// Drops the future of every task; who joins them sees that they were cancelled. From now
    /// on every spawn ends the same way.
    pub(crate) fn abort_all(&self) {
        let _entered = Entered::borrowing(self);
        let _shown = self.board.get().map(|board| Shown(board));
        self.stage.set(self.stage.get().max(Stage::Closing));
        self.seat.end();
        task::abort_all(&self.tasks);
        while let Some(runnable) = self.next(&TurnBudget::UNLIMITED, 0) {
            self.poll(runnable);
        }
    }

    /// Ends this life: aborts all, makes every task independent, closes the mailbox.
    /// Dropping the scheduler does the same.
    ///
    /// # Panics
    ///
    /// If called by a task of this scheduler.
    pub(crate) fn shut_down(&self) {
        assert!(!self.polling.get(), "a task cannot end its own core");
        if self.stage.get() == Stage::Dead {
            return;
        }
        let _entered = Entered::borrowing(self);
        self.abort_all();
        self.stage.set(Stage::Dead);
        task::merge_all(&self.tasks, || self.receive());
        self.lease.close();
    }

    // For `task`.

    pub(crate) fn is_closing(&self) -> bool {
        self.stage.get() >= Stage::Closing
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.stage.get() == Stage::Dead
    }

    /// When something happens that happens now.
    #[inline]
    pub(crate) fn tick(&self) -> u32 {
        self.times.get().map_or(0, |times| times.ticks())
    }

    pub(crate) fn spans(&self) -> &Spans {
        &self.spans
    }

    pub(crate) fn tasks(&self) -> &TaskList {
        &self.tasks
    }

    pub(crate) fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    pub(crate) fn count_in(&self) {
        self.live.set(self.live.get() + 1);
    }

    /// A task that was sent here is taken in.
    pub(crate) fn count_arrival(&self) {
        self.arrived.set(self.arrived.get() + 1);
    }

    pub(crate) fn count_out(&self) {
        self.live.set(self.live.get() - 1);
    }

    #[inline]
    pub(crate) fn count_wake(&self) {
        self.wakes.set(self.wakes.get() + 1);
    }

    pub(crate) fn count_wake_from_afar(&self) {
        self.wakes_from_afar.set(self.wakes_from_afar.get() + 1);
    }

    /// For a task that was woken.
    #[inline]
    pub(crate) fn schedule(&self, runnable: Runnable) {
        if !self.polling.get() {
            return self.queue.push(runnable);
        }
        if let Some(displaced) = self.lifo.replace(Some(runnable)) {
            self.queue.push(displaced);
        }
    }

    /// For a task that is new, or that woke itself: all others first.
    #[inline]
    pub(crate) fn schedule_last(&self, runnable: Runnable) {
        self.queue.push(runnable);
    }

    /// For a task that is not of the default class, however it became ready.
    pub(crate) fn schedule_in(&self, class: Class, runnable: Runnable) {
        self.classes.push(class, runnable);
        self.is_chosen.set(true);
    }
}

/// Draws one of those in the queue to be its first. Whoever is passed over goes to the end of the queue.
#[cold]
fn pass_some_over(queue: &RunQueue, order: &Random) {
    for _ in 0..draw_among(order, queue.len()) {
        if let Some(passed_over) = queue.pop() {
            queue.push(passed_over);
        }
    }
}

fn draw_among(order: &Random, ready: usize) -> usize {
    let candidates = ready.clamp(1, DRAWN_AMONG_MAX);
    order.below(candidates as u32) as usize
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler")
            .field("core", &self.id())
            .field("stage", &self.stage.get())
            .field("live", &self.live.get())
            .field("ready", &self.ready())
            .finish_non_exhaustive()
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.shut_down();
    }
}

#[cfg(all(test, not(krug_loom)))]
pub(crate) mod tests;
