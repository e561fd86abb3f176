//! [`Habits`]: what a ring may do at any time and seldom does. The layers above cope with all of it, and programs must
//! notice nothing but the time that it takes.

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use super::attempt::Outcome;
use super::files::Pace;
use super::progress::Begun;
use super::world::{Event, World};
use crate::driver::{Completion, Key, Operation};

/// How the rings of a host are. Shares are from 0 to 1.
#[derive(Clone, Debug)]
pub(crate) struct Habits {
    /// How long a kernel takes for an operation that waits for nothing.
    pub(crate) time: Range<Duration>,
    /// Transfers that move less than they could.
    pub(crate) short: f64,
    /// Transfers that end with EINTR, connects that do so and go on, and cancelled ones that do.
    pub(crate) interrupted: f64,
    /// Transfers on sockets and pipes that end with EAGAIN or ENOBUFS.
    pub(crate) unready: f64,
    /// Receives that find no buffer in a group that has some.
    pub(crate) starved: f64,
    /// Transfers and accepts that end with ECANCELED, though nobody has asked.
    pub(crate) cancelled: f64,
    /// Completions of operations with several that are the last ones, for no reason.
    pub(crate) ended: f64,
    /// Cancels that take their time, and may come too late.
    pub(crate) late_cancels: f64,
    /// Transfers that write to memory only at the moment of their completion; it holds junk until then.
    pub(crate) late_memory: f64,
    /// How many operations a core begins in a turn at most, and how many completions are kept for it; drawn for each core. `None`: as
    /// the runtime wants it.
    pub(crate) queue: Option<RangeInclusive<u32>>,
}

impl Habits {
    /// A kernel that takes no time, and does at once and whole what it can.
    pub(super) fn prompt() -> Habits {
        Habits {
            time: Duration::ZERO..Duration::ZERO,
            ..Habits::default().calmed()
        }
    }

    /// As fast and as large as it was, and nothing goes wrong.
    pub(crate) fn calmed(self) -> Habits {
        Habits {
            short: 0.0,
            interrupted: 0.0,
            unready: 0.0,
            starved: 0.0,
            cancelled: 0.0,
            ended: 0.0,
            late_cancels: 0.0,
            late_memory: 0.0,
            ..self
        }
    }
}

impl Default for Habits {
    fn default() -> Habits {
        Habits {
            time: Duration::from_nanos(200)..Duration::from_micros(20),
            short: 0.1,
            interrupted: 0.01,
            unready: 0.01,
            starved: 0.01,
            // Unlike the others it is reported to a program whose operation cannot be repeated.
            cancelled: 0.0,
            ended: 0.02,
            late_cancels: 0.2,
            late_memory: 0.1,
            queue: None,
        }
    }
}

/// What a core learns later, as the ring that is not large enough keeps it back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queue {
    pub(super) entries: usize,
    /// More completions have come than fit: operations with several end.
    pub(super) has_overflown: bool,
}

impl Default for Queue {
    fn default() -> Queue {
        Queue {
            entries: usize::MAX,
            has_overflown: false,
        }
    }
}

impl World {
    /// From now on everything is as on a quiet machine: what can be done is done at once and whole, and in the order in which it was
    /// asked for.
    pub(super) fn be_prompt(&mut self) {
        self.is_prompt = true;
        self.network.be_prompt();
        for machine in &mut self.machines {
            machine.habits = Habits::prompt();
            machine.pace = Pace::prompt();
        }
    }

    pub(super) fn habits(&self, core: usize) -> &Habits {
        &self.machines[self.cores[core].host].habits
    }

    pub(crate) fn habits_of(&self, host: usize) -> &Habits {
        &self.machines[host].habits
    }

    pub(crate) fn set_habits(&mut self, host: usize, habits: Habits) {
        self.machines[host].habits = habits;
    }

    /// How long the queues of a new core are.
    pub(super) fn draw_queue(&mut self, host: usize) -> Queue {
        let Some(range) = self.machines[host].habits.queue.clone() else {
            return Queue::default();
        };
        let (least, most) = (*range.start().min(range.end()), *range.end());
        let drawn = u64::from(least) + self.ring_luck.below_wide(u64::from(most - least) + 1);
        Queue {
            entries: drawn.max(1) as usize,
            has_overflown: false,
        }
    }

    /// A try at an operation; now and then it ends without an effect and for no reason.
    pub(super) fn attempt_or_fail(&mut self, begun: &mut Begun) -> Outcome {
        if let Some(errno) = self.mishap(begun) {
            return Outcome::Completed(self.failed(begun, errno));
        }
        let outcome = self.attempt(begun);
        let is_connect = matches!(begun.operation, Operation::Connect { .. });
        match outcome {
            // The connection is made all the same: connect(2), under EINTR.
            Outcome::Waits(..)
                if is_connect
                    && self.happens(begun.core, "an operation is interrupted", |it| {
                        it.interrupted
                    }) =>
            {
                Outcome::of(Err(libc::EINTR))
            }
            outcome => outcome,
        }
    }

    /// Whether what happens in this share of the cases happens now.
    fn happens(&self, core: usize, what: &'static str, share: impl Fn(&Habits) -> f64) -> bool {
        self.ring_luck.strikes(share(self.habits(core)), what)
    }

    /// What an operation ends with that is given up before it has an effect.
    pub(super) fn mishap(&self, begun: &Begun) -> Option<i32> {
        use Operation as O;
        let operation = &begun.operation;
        let is_accept = matches!(operation, O::Accept { .. } | O::AcceptMultishot { .. });
        if !(is_accept || operation.transfers_data()) || begun.is_under_way {
            return None;
        }
        if self.happens(begun.core, "an operation is cancelled by nobody", |it| {
            it.cancelled
        }) {
            return Some(libc::ECANCELED);
        }
        if is_accept {
            return None;
        }
        if self.happens(begun.core, "an operation is interrupted", |it| {
            it.interrupted
        }) {
            return Some(libc::EINTR);
        }
        if group_of(operation).is_some() {
            return self
                .happens(begun.core, "a receive finds no buffer", |it| it.starved)
                .then_some(libc::ENOBUFS);
        }
        if self.is_on_disk(operation)
            || !self.happens(begun.core, "an operation is refused for now", |it| {
                it.unready
            })
        {
            return None;
        }
        let is_full = self.ring_luck.below(2) == 0;
        Some(if is_full { libc::ENOBUFS } else { libc::EAGAIN })
    }

    /// What an operation ends with that was given up with this. Some have taken a provided buffer already.
    fn failed(&mut self, begun: &Begun, errno: i32) -> Completion {
        let mut completion = Completion::last(-errno);
        let takes_one = errno == libc::EINTR && self.ring_luck.below(2) == 0;
        if let Some(group) = group_of(&begun.operation).filter(|_| takes_one) {
            let groups = &mut self.cores[begun.core].groups;
            completion.buffer = groups.next(group).map(|buffer| buffer.id);
            if completion.buffer.is_some() {
                groups.take(group);
            }
        }
        completion
    }

    /// A try has come to something. True if more follows.
    pub(super) fn conclude(&mut self, begun: &mut Begun, mut completion: Completion) -> bool {
        if completion.more {
            let has_overflown = self.cores[begun.core].queue.has_overflown;
            completion.more = !has_overflown
                && !self.happens(
                    begun.core,
                    "an operation with several completions ends",
                    |it| it.ended,
                );
        }
        self.complete(begun, completion);
        completion.more
    }

    /// Now and then less is moved than could be, as a kernel may do.
    pub(super) fn shortened(&mut self, host: usize, count: usize) -> usize {
        let is_short = self
            .kernel
            .strikes(self.machines[host].habits.short, "a transfer is short");
        let shorter = 1 + self.kernel.below_wide(count.max(1) as u64) as usize;
        if is_short { shorter.min(count) } else { count }
    }

    /// Cancels an operation of a core; false if it is known to be over.
    pub(super) fn cancel(&mut self, core: usize, key: Key) -> bool {
        if self.cores[core].whereabouts(key).is_none() {
            return false;
        }
        if !self.happens(core, "a cancel is late", |it| it.late_cancels) {
            return self.cancel_now(core, key);
        }
        let moment = self.elapsed() + self.ring_luck.within(&self.habits(core).time);
        self.plan(moment, Event::Cancel { core, key });
        true
    }

    /// What an operation ends with that was cancelled before it had an effect.
    pub(super) fn answer_to_cancel(&self, core: usize) -> Completion {
        let is_interrupted = self.happens(core, "an operation is interrupted", |it| it.interrupted);
        let errno = if is_interrupted {
            libc::EINTR
        } else {
            libc::ECANCELED
        };
        Completion::last(-errno)
    }
}

/// From where an operation takes its buffers, if it brings none.
pub(super) fn group_of(operation: &Operation) -> Option<u16> {
    use Operation as O;
    match *operation {
        O::ReceiveProvided { group, .. }
        | O::ReceiveMultishot { group, .. }
        | O::ReadProvided { group, .. }
        | O::ReceiveMessageMultishot { group, .. } => Some(group),
        _ => None,
    }
}
