//! [`Pool`]: the stealable tasks of one runtime that are ready, and which of its cores look for such.
//!
//! # Going to sleep
//!
//! A core that finds nothing counts itself idle, raises its flag, and looks once more at all queues. Whoever pushes does so first, and
//! then looks who is idle. Between the two steps of each stands a fence of sequential consistency: so either the one sees the push, or the
//! other one sees that it is idle. Who lowers a flag (by an exchange, so only one does) counts it out and wakes that core; it finds what was
//! pushed, or somebody else has taken that.
//!
//! A core is counted before its flag is up, and counted out after it is down: the count is never too low, and only says
//! whether it is worth looking for a flag.

use std::sync::Arc;
use std::task::Waker;

use super::super::waker_slot::WakerSlot;
use super::super::{OwnLine, quietly};
use super::queue::Queue;
use super::task::Stealable;
use crate::primitives::{AtomicBool, AtomicU64, Ordering, fence};
use crate::task::with_scheduler;

/// How many tasks a core has in its queue before a lock is taken.
const SLOTS: usize = 1024;
/// How many tasks one steal brings at most.
const STOLEN_MAX: usize = 32;
/// How many ended tasks a core that is idle keeps in memory.
const ENDED_MAX: usize = 64;

/// In the word: a core that is idle.
const IDLE: u64 = 1;
/// A core that has a runner.
const MEMBER: u64 = 1 << 32;

/// See the [module docs](self).
pub(crate) struct Pool {
    lanes: Box<[OwnLine<Lane>]>,
    /// How many cores have a runner, and how many of those are idle.
    word: OwnLine<AtomicU64>,
    /// The cores were asked to join.
    has_begun: AtomicBool,
    takes_turns: bool,
}

/// What belongs to one core.
struct Lane {
    queue: Queue<Arc<dyn Stealable>>,
    /// Where tasks that this core has spawned stand in its list, and that have ended elsewhere.
    ended: Queue<usize>,
    is_idle: AtomicBool,
    /// Wakes this core's runner.
    runner: WakerSlot,
}

impl Pool {
    /// `takes_turns`: the cores share a thread.
    pub(in super::super) fn new(cores: usize, takes_turns: bool) -> Pool {
        Pool::with_slots(cores, takes_turns, SLOTS)
    }

    pub(super) fn with_slots(cores: usize, takes_turns: bool, slots: usize) -> Pool {
        let lanes = (0..cores).map(|_| {
            OwnLine(Lane {
                queue: Queue::new(slots),
                ended: Queue::new(slots),
                is_idle: AtomicBool::new(false),
                runner: WakerSlot::new(),
            })
        });
        Pool {
            lanes: lanes.collect(),
            word: OwnLine(AtomicU64::new(0)),
            has_begun: AtomicBool::new(false),
            takes_turns,
        }
    }

    pub(super) fn takes_turns(&self) -> bool {
        self.takes_turns
    }

    /// True for the first who asks.
    pub(super) fn begin(&self) -> bool {
        !self.has_begun.swap(true, Ordering::Relaxed)
    }

    /// One more core has a runner.
    pub(super) fn join(&self) {
        self.word.fetch_add(MEMBER, Ordering::AcqRel);
    }

    /// The runner of this core is gone. What is in its queue is for the others.
    pub(super) fn leave(&self, lane: usize) {
        self.rise(lane);
        self.word.fetch_sub(MEMBER, Ordering::AcqRel);
        // Who was about to push to this core may have chosen to wake it.
        self.wake_one(lane);
    }

    /// A task is ready.
    #[inline]
    pub(super) fn push(&self, lane: usize, task: Arc<dyn Stealable>) {
        self.lanes[lane].queue.push(task);
        self.wake_one(lane);
    }

    /// A task was woken while this core's runner polled it.
    pub(super) fn push_back(&self, lane: usize, task: Arc<dyn Stealable>) {
        let queue = &self.lanes[lane].queue;
        queue.push(task);
        // The runner itself goes on with its queue: nobody else need come for this one alone.
        if queue.len() > 1 {
            self.wake_one(lane);
        }
    }

    /// After a push: wakes one core that is idle, if any is, this one first.
    #[inline]
    fn wake_one(&self, lane: usize) {
        // See "Going to sleep".
        fence(Ordering::SeqCst);
        let word = self.word.load(Ordering::Acquire);
        if word < MEMBER {
            self.drain();
        } else if word & (MEMBER - 1) > 0 {
            self.wake_first_idle(lane);
        }
    }

    #[cold]
    fn wake_first_idle(&self, first: usize) {
        for step in 0..self.lanes.len() {
            let lane = (first + step) % self.lanes.len();
            if self.rise(lane) {
                return self.lanes[lane].runner.wake();
            }
        }
    }

    /// Lowers the flag of a core. True if it was up, and nobody else has lowered it.
    fn rise(&self, lane: usize) -> bool {
        let flag = &self.lanes[lane].is_idle;
        let was_idle = flag.load(Ordering::Relaxed) && flag.swap(false, Ordering::AcqRel);
        if was_idle {
            self.word.fetch_sub(IDLE, Ordering::AcqRel);
        }
        was_idle
    }

    /// For the runner of this core, which found nothing. False if there is something now; else it will be woken.
    pub(super) fn sleep(&self, lane: usize, waker: &Waker) -> bool {
        self.lanes[lane].runner.register(waker);
        self.word.fetch_add(IDLE, Ordering::AcqRel);
        self.lanes[lane].is_idle.store(true, Ordering::Release);
        // See "Going to sleep".
        fence(Ordering::SeqCst);
        if self.lanes.iter().all(|lane| lane.queue.is_empty()) {
            return true;
        }
        self.rise(lane);
        false
    }

    /// The next task of this core. `draw`: given how many may be chosen from, how many of those are passed over.
    #[inline]
    pub(super) fn next(
        &self,
        lane: usize,
        draw: impl FnOnce(usize) -> usize,
    ) -> Option<Arc<dyn Stealable>> {
        let queue = &self.lanes[lane].queue;
        for _ in 0..draw(queue.len()) {
            let passed_over = queue.pop()?;
            queue.push(passed_over);
        }
        queue.pop()
    }

    /// The first task of another core, of those after `first`; half of its others come to this core's queue.
    pub(super) fn steal(&self, thief: usize, first: usize) -> Option<Arc<dyn Stealable>> {
        let count = self.lanes.len();
        let victims = (0..count).map(|step| (first + step) % count);
        let mut victims = victims.filter(|victim| *victim != thief);
        let (stolen, victim) = victims.find_map(|victim| {
            let queue = &self.lanes[victim].queue;
            Some((queue.pop()?, queue))
        })?;
        let more = (victim.len() / 2).min(STOLEN_MAX - 1);
        let mine = &self.lanes[thief].queue;
        for task in (0..more).map_while(|_| victim.pop()) {
            mine.push(task);
        }
        if more > 0 {
            self.wake_one(thief);
        }
        Some(stolen)
    }

    /// A task has ended that was spawned by the core of this lane; on another one.
    pub(super) fn tell_ended(&self, lane: usize, key: usize) {
        let home = &self.lanes[lane];
        home.ended.push(key);
        if home.ended.len() >= ENDED_MAX && self.rise(lane) {
            home.runner.wake();
        }
    }

    /// One of those that [`tell_ended`](Pool::tell_ended) has told of.
    #[inline]
    pub(super) fn next_ended(&self, lane: usize) -> Option<usize> {
        self.lanes[lane].ended.pop()
    }

    /// Where the current core is in this pool.
    #[inline]
    pub(super) fn here(&self) -> Option<usize> {
        with_scheduler(|scheduler| scheduler.seat().lane_in(self)).flatten()
    }

    /// No core has a runner any more, so every task is done: their references only keep their memory, and the pool's.
    #[cold]
    fn drain(&self) {
        for lane in &self.lanes {
            while let Some(task) = lane.queue.pop() {
                quietly(|| drop(task));
            }
        }
    }
}
