//! Operations of a world: begun, waiting, over. [`Core`]: what a world knows of those who begin them.

use std::time::Duration;

use super::attempt::{Outcome, names_no_memory};
use super::objects::{Direction, ObjectId};
use super::ring::Queue;
use super::watch::Seal;
use super::world::{Event, World};
use crate::driver::groups::Groups;
use crate::driver::{Completion, Key, Operation, Work};

/// An operation that was begun and is not over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun {
    pub(super) core: usize,
    pub(super) key: Key,
    pub(super) operation: Operation,
    /// It has had an effect already, such as the beginning of a connection.
    pub(super) is_under_way: bool,
    /// When its last completion comes, if it has several: the next one does not come before.
    pub(super) last: Duration,
    pub(super) seal: Option<Seal>,
    /// When it began.
    pub(super) since: Duration,
}

/// Where an operation is that has begun and is not over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whereabouts {
    /// It waits in a queue.
    Waiting(ObjectId, Direction),
    /// A disk has it, and will do it unless it is cancelled before.
    OnDisk { is_cancelled: bool },
}

/// What a world knows of a core.
#[derive(Default)]
pub(super) struct Core {
    pub(super) host: usize,
    /// Its host has crashed: nothing that it does has an effect any more.
    pub(super) is_dead: bool,
    pub(super) completed: Vec<(Key, Completion)>,
    pub(super) work: Vec<Work>,
    pub(super) groups: Groups,
    /// Where the operations of this core are, by the indices of their keys, with their generations.
    places: Vec<Option<(u32, Whereabouts)>>,
    pub(super) queue: Queue,
    /// Not everything fitted into the queue that it wants to begin.
    pub(super) has_backlog: bool,
}

impl World {
    /// Begins an operation of a core.
    pub(super) fn begin(&mut self, core: usize, key: Key, operation: Operation) {
        if self.cores[core].is_dead {
            return;
        }
        let mut begun = Begun {
            core,
            key,
            operation,
            is_under_way: false,
            last: Duration::ZERO,
            seal: None,
            since: self.elapsed(),
        };
        if names_no_memory(&operation) {
            return self.complete(&mut begun, Completion::last(-libc::EFAULT));
        }
        if self.is_on_disk(&operation) {
            self.seal(&mut begun);
            let is_cancelled = false;
            self.cores[core].place(key, Whereabouts::OnDisk { is_cancelled });
            let moment = self.elapsed() + self.time_on_disk(core, &operation);
            return self.plan(moment, Event::Disk(begun));
        }
        self.drive(begun);
        self.settle();
    }

    /// Tries an operation until it is over or has to wait.
    fn drive(&mut self, mut begun: Begun) {
        if let Some((id, direction)) = self.is_behind_others(&begun) {
            return self.wait(begun, id, direction);
        }
        loop {
            match self.attempt_or_fail(&mut begun) {
                Outcome::Completed(completion) => {
                    if !self.conclude(&mut begun, completion) {
                        return;
                    }
                }
                Outcome::Waits(id, direction) => return self.wait(begun, id, direction),
            }
        }
    }

    fn wait(&mut self, mut begun: Begun, id: ObjectId, direction: Direction) {
        self.seal(&mut begun);
        let whereabouts = Whereabouts::Waiting(id, direction);
        self.cores[begun.core].place(begun.key, whereabouts);
        if let Some(object) = self.objects.get_mut(id) {
            object.queue(direction).push_back(begun);
        }
    }

    /// Hands out a completion, after the time that the kernel takes for it.
    pub(super) fn complete(&mut self, begun: &mut Begun, completion: Completion) {
        let (core, key) = (begun.core, begun.key);
        let moment = self.elapsed() + self.kernel.within(&self.habits(core).time);
        begun.last = moment.max(begun.last);
        begun.seal = None;
        self.cores[core].displace(key);
        let late = self.disturb(begun, completion);
        self.plan(
            begun.last,
            Event::Complete {
                core,
                key,
                completion,
                late: late.map(|late| (begun.operation, late)),
            },
        );
    }

    /// Cancels an operation of a core; false if it is over, or cannot be stopped any more.
    pub(super) fn cancel_now(&mut self, core: usize, key: Key) -> bool {
        let (id, direction) = match self.cores[core].whereabouts(key) {
            Some(Whereabouts::Waiting(id, direction)) => (id, direction),
            Some(Whereabouts::OnDisk { .. }) => {
                let is_cancelled = true;
                self.cores[core].place(key, Whereabouts::OnDisk { is_cancelled });
                return true;
            }
            None => return false,
        };
        let Some(object) = self.objects.get_mut(id) else {
            return false;
        };
        let queue = object.queue(direction);
        let is_it = |begun: &Begun| (begun.core, begun.key) == (core, key);
        let Some(mut begun) = queue.iter().position(is_it).and_then(|at| queue.remove(at)) else {
            return false;
        };
        World::check_seal(&begun);
        let answer = self.answer_to_cancel(core);
        self.complete(&mut begun, answer);
        true
    }

    /// Tries again what waits where something has changed, until nothing changes any more.
    pub(super) fn settle(&mut self) {
        while let Some((id, direction)) = self.stirred.pop_front() {
            let Some(object) = self.objects.get_mut(id) else {
                continue;
            };
            let mut queue = std::mem::take(object.queue(direction));
            let mut is_blocked = false;
            while let Some(mut begun) = queue.pop_front() {
                // Whoever polls takes nothing from those behind him.
                let is_poll = matches!(begun.operation, Operation::Poll { .. });
                World::check_seal(&begun);
                let outcome = match is_blocked && !is_poll {
                    true => Outcome::Waits(id, direction),
                    false => self.attempt_or_fail(&mut begun),
                };
                match outcome {
                    Outcome::Completed(completion) => {
                        if self.conclude(&mut begun, completion) {
                            queue.push_front(begun);
                        }
                    }
                    Outcome::Waits(id, direction) => {
                        is_blocked |= !is_poll;
                        self.wait(begun, id, direction);
                    }
                }
            }
        }
    }

    pub(super) fn stir(&mut self, id: ObjectId) {
        self.stirred.push_back((id, Direction::Receiving));
        self.stirred.push_back((id, Direction::Sending));
    }
}

impl Core {
    pub(super) fn new(host: usize, queue: Queue) -> Core {
        Core {
            host,
            queue,
            ..Core::default()
        }
    }

    pub(super) fn learn(&mut self, key: Key, completion: Completion) {
        self.completed.push((key, completion));
        self.queue.has_overflown |= self.completed.len() > self.queue.entries;
    }

    /// Where an operation is; `None` if it is over, and its completion on its way.
    pub(super) fn whereabouts(&self, key: Key) -> Option<Whereabouts> {
        let (generation, whereabouts) = (*self.places.get(key.index as usize)?)?;
        (generation == key.generation).then_some(whereabouts)
    }

    fn place(&mut self, key: Key, whereabouts: Whereabouts) {
        let index = key.index as usize;
        if index >= self.places.len() {
            self.places.resize(index + 1, None);
        }
        self.places[index] = Some((key.generation, whereabouts));
    }

    fn displace(&mut self, key: Key) {
        if let Some(place) = self.places.get_mut(key.index as usize) {
            *place = None;
        }
    }

    pub(super) fn die(&mut self) {
        self.is_dead = true;
        self.has_backlog = false;
        self.completed.clear();
        self.work.clear();
        self.places.clear();
    }
}
