//! [`Classes`]: which class of tasks is next, if tasks of several are ready, and what each has had of the core.
//!
//! Each class has a share. A poll costs its class one unit, divided by the share; a poll that takes longer than a unit's time costs more,
//! as far as the clock is looked at. Next is the class that has spent least, and of several the most urgent one.
//! This is start-time fair queueing: the account of a class stays when nothing of it is ready, so that who sleeps in between
//! gets no more than who does not; but what a class did not use is not saved up: an account that has
//! fallen behind is brought up to the *level*, which is what the class polled last had spent when it began. So one that wakes within
//! its share is next, and nobody waits longer than the others take to spend what it has spent.
//!
//! None of this runs while only tasks of the default class are ready: their queue is the scheduler's own.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::{POLLS_PER_LOOK_AT_THE_CLOCK, TurnBudget};
use crate::task::{Class, RunQueue, Runnable};

/// What the classes get in relation to each other while all of them want the core, unless set; in the order of [`Class::ALL`].
pub(crate) const SHARES_DEFAULT: [u32; 3] = [16, 4, 1];
/// The largest share. The smallest is 1: nobody starves.
pub(crate) const SHARE_MAX: u32 = 100;

/// What a unit costs a class with a share of 1. An account of 64 bits lasts for decades of units.
const UNIT_COST: u64 = 1 << 14;
/// How much time of the core a unit is worth: what a turn that is full of polls leaves to each, or about that.
pub(crate) const UNIT_TIME: Duration = Duration::from_micros(2);

/// The tasks that are ready and not of the default class, and the accounts of all classes. See the [module docs](self).
pub(super) struct Classes {
    latency: RunQueue,
    background: RunQueue,
    /// How many tasks are in these two queues.
    ready: Cell<usize>,
    accounts: [Account; 3],
    level: Cell<u64>,
    /// Since the last look at the clock; none if this turn has looked at none.
    slice: Cell<Option<Slice>>,
}

struct Account {
    spent: Cell<u64>,
    /// Of one unit.
    cost: Cell<u64>,
}

/// Polls of one class between two looks at the clock.
#[derive(Clone, Copy)]
struct Slice {
    began: Instant,
    class: Option<Class>,
    polls: usize,
}

impl Classes {
    pub(super) fn new() -> Classes {
        let classes = Classes {
            latency: RunQueue::new(),
            background: RunQueue::new(),
            ready: Cell::new(0),
            accounts: Class::ALL.map(|_| Account {
                spent: Cell::new(0),
                cost: Cell::new(UNIT_COST),
            }),
            level: Cell::new(0),
            slice: Cell::new(None),
        };
        classes.share_by(SHARES_DEFAULT);
        classes
    }

    /// In the order of [`Class::ALL`].
    pub(super) fn share_by(&self, shares: [u32; 3]) {
        for (account, share) in self.accounts.iter().zip(shares) {
            let share = share.clamp(1, SHARE_MAX);
            account.cost.set(UNIT_COST / u64::from(share));
        }
    }

    /// How many tasks are ready that are not of the default class.
    #[inline(always)]
    pub(super) fn ready(&self) -> usize {
        self.ready.get()
    }

    /// Those that are ready. `None`: of the default class, which are not here.
    pub(super) fn queue(&self, class: Class) -> Option<&RunQueue> {
        match class {
            Class::Latency => Some(&self.latency),
            Class::Default => None,
            Class::Background => Some(&self.background),
        }
    }

    /// A task that is not of the default class.
    pub(super) fn push(&self, class: Class, runnable: Runnable) {
        let queue = self.queue(class).unwrap_or(&self.latency);
        queue.push(runnable);
        self.ready.set(self.ready.get() + 1);
    }

    /// The next one out of this queue of ours.
    pub(super) fn pop(&self, queue: &RunQueue) -> Option<Runnable> {
        let runnable = queue.pop()?;
        self.ready.set(self.ready.get() - 1);
        Some(runnable)
    }

    /// Whether the turn, which has made so many polls, makes another one. Where classes mix, a turn keeps to its bounds, whatever was due
    /// when it began: results of an urgent task may have come to the ring meanwhile.
    pub(super) fn may_poll(&self, turn: &TurnBudget, polls: usize) -> bool {
        if polls == 0 {
            // Of a turn that was left by a panic.
            self.slice.set(None);
        }
        if polls >= turn.polls_max.max(1) {
            return false;
        }
        let Some(until) = turn.until else {
            return true;
        };
        // Urgent tasks are taken to be short, each other one may be long.
        let slice = self.slice.get();
        if slice.is_some_and(|slice| {
            slice.class == Some(Class::Latency) && slice.polls < POLLS_PER_LOOK_AT_THE_CLOCK
        }) {
            return true;
        }
        self.look();
        polls == 0 || !until.has_come()
    }

    /// Whether the turn, which has made so many polls, has just polled what was urgent, all of it. What that has asked of the kernel begins
    /// before a poll that may be long: the next one is another turn's.
    pub(super) fn urgent_polls_are_over(&self, turn: &TurnBudget, polls: usize) -> bool {
        let was_urgent = |slice: Slice| slice.class == Some(Class::Latency);
        polls > 0
            && turn.until.is_some()
            && self.latency.len() == 0
            && self.slice.get().is_some_and(was_urgent)
    }

    /// Which class is next, and pays for its poll. At least one has to be ready.
    pub(super) fn choose(&self, is_default_ready: bool) -> Class {
        let level = self.level.get();
        let is_ready = |class: &Class| {
            let queue = self.queue(*class);
            queue.map_or(is_default_ready, |queue| queue.len() > 0)
        };
        let ready = Class::ALL.into_iter().filter(is_ready);
        let start = |class: Class| self.account(class).spent.get().max(level);
        // The first one of those that are equal.
        let chosen = ready.min_by_key(|class| start(*class));
        let class = chosen.unwrap_or_default();
        let start = start(class);
        self.level.set(start);
        let account = self.account(class);
        account.spent.set(start + account.cost.get());
        self.count_in_slice(class);
        class
    }

    /// The turn is over, or goes on with the default class alone.
    pub(super) fn end_slice(&self) {
        if self.slice.get().is_some() {
            self.look();
            self.slice.set(None);
        }
    }

    fn account(&self, class: Class) -> &Account {
        &self.accounts[class as usize]
    }

    fn count_in_slice(&self, class: Class) {
        let Some(slice) = self.slice.get() else {
            return;
        };
        let slice = match slice.class {
            Some(other) if other != class => Slice {
                began: self.look(),
                class: None,
                polls: 0,
            },
            _ => slice,
        };
        self.slice.set(Some(Slice {
            class: Some(class),
            polls: slice.polls + 1,
            ..slice
        }));
    }

    /// Looks at the clock. The class that has run since the last look pays for the time that its polls took beyond one unit each.
    fn look(&self) -> Instant {
        let now = Instant::now();
        let next = Slice {
            began: now,
            class: None,
            polls: 0,
        };
        if let Some(Slice {
            began,
            class: Some(class),
            polls,
        }) = self.slice.replace(Some(next))
        {
            let units = now.duration_since(began).as_nanos() / UNIT_TIME.as_nanos();
            let beyond = (units as u64).saturating_sub(polls as u64);
            let account = self.account(class);
            let spent = account.spent.get() + beyond * account.cost.get();
            account.spent.set(spent);
        }
        now
    }
}

#[cfg(all(test, not(krug_loom)))]
mod tests;
