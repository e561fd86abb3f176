//! What was submitted in this turn and has not yet been shown to the kernel.
//!
//! Operations wait in one of two lists until `enter` moves them to the
//! submission queue, what produces before what waits. Until then one can be taken
//! back, and was then never submitted. Its place is found through `uses`, a table
//! with one record for each slot index: where the slot's present use is staged.
//! The record outlives the list: while a use is in flight it tells its completions
//! from those of an earlier use of the slot.
//!
//! What stands in the lists is what the driver makes of an operation: an entry of the
//! submission queue, or the operation itself.

use super::{Descriptor, Key, Operation, Stage};
use crate::sys;

/// What stands for an operation in the list of a turn.
pub(super) trait Staged: Sized {
    fn new(key: Key, operation: &Operation) -> Self;

    /// Whose it is; `None` of a gap.
    fn key(&self) -> Option<Key>;

    /// What stands where an operation was taken back.
    fn gap() -> Self;
}

/// The operation itself, for drivers without a submission queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plain {
    pub(super) key: Key,
    pub(super) operation: Operation,
    is_gap: bool,
}

impl Staged for Plain {
    fn new(key: Key, operation: &Operation) -> Plain {
        Plain {
            key,
            operation: *operation,
            is_gap: false,
        }
    }

    fn key(&self) -> Option<Key> {
        (!self.is_gap).then_some(self.key)
    }

    fn gap() -> Plain {
        Plain {
            key: Key {
                index: 0,
                generation: 0,
            },
            operation: Operation::Nop,
            is_gap: true,
        }
    }
}

#[derive(Debug)]
pub(super) struct Staging<E = Plain> {
    produce: List<E>,
    wait: List<E>,
    cancels: Vec<Key>,
    closes: Vec<Descriptor>,
    uses: Vec<Use>,
}

/// The present use of a slot.
#[derive(Clone, Copy, Debug)]
struct Use {
    generation: u32,
    place: Place,
}

/// Where an operation is, in half a word: a position and, in the lowest bit, the list of which stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place(u32);

impl Place {
    /// Not submitted, taken back, or completed for the last time.
    const NOWHERE: Place = Place(u32::MAX);

    /// In the list of this stage, at this position, or already in flight from there.
    #[inline]
    fn submitted(stage: Stage, position: u32) -> Place {
        debug_assert!(position < u32::MAX >> 1, "a list of hundreds of gigabytes");
        Place(position << 1 | u32::from(stage == Stage::Wait))
    }

    fn stage_and_position(self) -> Option<(Stage, u32)> {
        let stage = match self.0 & 1 {
            0 => Stage::Produce,
            _ => Stage::Wait,
        };
        (self != Place::NOWHERE).then_some((stage, self.0 >> 1))
    }
}

/// What a driver asks for on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Cancel(Key),
    Close(Descriptor),
}

/// What is submitted next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Operation(Key, Operation),
    Request(Request),
}

impl<E: Staged> Staging<E> {
    pub(super) fn new() -> Staging<E> {
        Staging {
            produce: List::new(),
            wait: List::new(),
            cancels: Vec::new(),
            closes: Vec::new(),
            uses: Vec::new(),
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.produce.count == 0
            && self.wait.count == 0
            && self.cancels.is_empty()
            && self.closes.is_empty()
    }

    #[inline]
    pub(super) fn submit(&mut self, key: Key, operation: Operation) {
        let stage = operation.stage();
        let position = self.list(stage).push(E::new(key, &operation));
        let index = key.index as usize;
        if index >= self.uses.len() {
            self.grow_uses(index);
        }
        debug_assert!(
            self.uses[index].place == Place::NOWHERE,
            "{key:?} is submitted while {:?} is under way",
            self.uses[index]
        );
        self.uses[index] = Use {
            generation: key.generation,
            place: Place::submitted(stage, position),
        };
    }

    /// True if the operation of `key` was still here: it will never be submitted.
    pub(super) fn take_back(&mut self, key: Key) -> bool {
        let Some(used) = self.uses.get(key.index as usize) else {
            return false;
        };
        let Some((stage, position)) = used.place.stage_and_position() else {
            return false;
        };
        // The list knows best: the place may belong to another turn, or another use.
        if !self.list(stage).remove(key, position) {
            return false;
        }
        self.uses[key.index as usize].place = Place::NOWHERE;
        true
    }

    pub(super) fn cancel(&mut self, key: Key) {
        self.cancels.push(key);
    }

    pub(super) fn close(&mut self, fd: Descriptor) {
        self.closes.push(fd);
    }

    /// Operations that are to be submitted next, at most `room` of them. What is done with them is
    /// said by [`leave`](Staging::leave). Empty if there are none.
    #[inline]
    pub(super) fn run(&mut self, room: usize) -> &[E] {
        match self.produce.count {
            0 => self.wait.run(room),
            _ => self.produce.run(room),
        }
    }

    /// The first `count` of the present [`run`](Staging::run) are with the kernel now.
    #[inline]
    pub(super) fn leave(&mut self, count: usize) {
        match self.produce.count {
            0 => self.wait.leave(count),
            _ => self.produce.leave(count),
        }
    }

    /// What is to be asked for after the operations. Cancels follow them, so that one
    /// aimed at an operation of the same turn finds it; closes come last, so that
    /// they cannot pull a descriptor from under an operation of the same turn.
    #[inline]
    pub(super) fn next_request(&mut self) -> Option<Request> {
        // Neither cancels nor closes depend on the order among themselves.
        if let Some(key) = self.cancels.pop() {
            return Some(Request::Cancel(key));
        }
        self.closes.pop().map(Request::Close)
    }

    /// Whether a completion of `key` can be true. The last one ends the use.
    #[inline]
    pub(super) fn complete(&mut self, key: Key, more: bool) -> bool {
        let Some(used) = self.uses.get_mut(key.index as usize) else {
            return false;
        };
        if used.generation != key.generation || used.place == Place::NOWHERE {
            return false;
        }
        if !more {
            used.place = Place::NOWHERE;
        }
        true
    }

    /// True from the submission of `key` to its last completion.
    pub(super) fn is_under_way(&self, key: Key) -> bool {
        self.uses
            .get(key.index as usize)
            .is_some_and(|used| used.generation == key.generation && used.place != Place::NOWHERE)
    }

    /// All that were submitted and have not completed for the last time.
    pub(super) fn all_under_way(&self) -> Vec<Key> {
        let uses = self.uses.iter().enumerate();
        let under_way = uses.filter(|(_, used)| used.place != Place::NOWHERE);
        under_way
            .map(|(index, used)| Key {
                index: index as u32,
                generation: used.generation,
            })
            .collect()
    }

    #[inline]
    fn list(&mut self, stage: Stage) -> &mut List<E> {
        match stage {
            Stage::Produce => &mut self.produce,
            Stage::Wait => &mut self.wait,
        }
    }

    #[cold]
    fn grow_uses(&mut self, index: usize) {
        let nothing = Use {
            generation: 0,
            place: Place::NOWHERE,
        };
        self.uses.resize(index + 1, nothing);
    }
}

impl Staging<Plain> {
    /// What is to be submitted next, in the order of [`run`](Staging::run) and [`next_request`](Staging::next_request).
    #[inline]
    pub(super) fn next(&mut self) -> Option<Next> {
        let first = self.run(1).first().copied();
        let Some(Plain { key, operation, .. }) = first else {
            return self.next_request().map(Next::Request);
        };
        self.leave(1);
        Some(Next::Operation(key, operation))
    }
}

impl<E> Drop for Staging<E> {
    /// What was to be closed is closed.
    fn drop(&mut self) {
        for fd in self.closes.drain(..) {
            // Nothing is lost with an error: the descriptor is gone in any case.
            let _ = sys::close(fd);
        }
    }
}

/// A queue that remembers positions: removing leaves a gap. It is emptied in every
/// turn, so that positions start again from zero.
#[derive(Debug)]
struct List<E> {
    entries: Vec<E>,
    /// Everything before this position has left by the front.
    front: usize,
    /// Entries from `front` on that are no gaps.
    count: usize,
}

impl<E: Staged> List<E> {
    fn new() -> List<E> {
        List {
            entries: Vec::new(),
            front: 0,
            count: 0,
        }
    }

    #[inline]
    fn push(&mut self, entry: E) -> u32 {
        let position = self.entries.len() as u32;
        self.entries.push(entry);
        self.count += 1;
        position
    }

    fn remove(&mut self, key: Key, position: u32) -> bool {
        let position = position as usize;
        if position < self.front {
            return false;
        }
        match self.entries.get_mut(position) {
            Some(entry) if entry.key() == Some(key) => *entry = E::gap(),
            _ => return false,
        }
        self.count -= 1;
        // A turn that submits and takes back for ever must not grow the list for ever.
        while self.entries.len() > self.front && self.ends_with_gap() {
            self.entries.pop();
        }
        true
    }

    fn ends_with_gap(&self) -> bool {
        self.entries.last().is_some_and(|last| last.key().is_none())
    }

    /// Those at the front, without a gap between them, at most `room`.
    #[inline]
    fn run(&mut self, room: usize) -> &[E] {
        let rest = self.entries.len() - self.front;
        let length = match rest == self.count {
            true => rest,
            false => self.run_before_gap(),
        };
        &self.entries[self.front..][..length.min(room)]
    }

    /// Leaves the gaps at the front behind; how many there are then before the next one.
    #[cold]
    fn run_before_gap(&mut self) -> usize {
        let is_gap = |entry: &&E| entry.key().is_none();
        self.front += self.entries[self.front..].iter().take_while(is_gap).count();
        self.entries[self.front..]
            .iter()
            .take_while(|entry| !is_gap(entry))
            .count()
    }

    #[inline]
    fn leave(&mut self, count: usize) {
        self.front += count;
        self.count -= count;
        if self.count == 0 {
            self.entries.clear();
            self.front = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::tests::key;
    use crate::driver::{Address, CURSOR};

    fn read(fd: Descriptor) -> Operation {
        Operation::Read {
            fd,
            address: Address(0),
            length: 0,
            offset: CURSOR,
        }
    }

    #[test]
    fn what_produces_goes_first_then_what_waits_then_cancels_then_closes() {
        let mut staging: Staging = Staging::new();
        staging.close(7);
        staging.cancel(key(9, 9));
        staging.submit(key(0, 1), read(0));
        staging.submit(key(1, 1), Operation::Nop);
        staging.submit(key(2, 1), read(2));
        staging.submit(key(3, 1), Operation::Close { fd: 3 });
        let order: Vec<Next> = std::iter::from_fn(|| staging.next()).collect();
        let expected = [
            Next::Operation(key(1, 1), Operation::Nop),
            Next::Operation(key(3, 1), Operation::Close { fd: 3 }),
            Next::Operation(key(0, 1), read(0)),
            Next::Operation(key(2, 1), read(2)),
            Next::Request(Request::Cancel(key(9, 9))),
            Next::Request(Request::Close(7)),
        ];
        assert_eq!(order, expected);
        assert!(staging.is_empty());
    }

    #[test]
    fn bug_061_gaps_and_turns_do_not_make_the_lists_grow() {
        let mut staging: Staging = Staging::new();
        for generation in 0..1000 {
            for index in 0..4 {
                staging.submit(key(index, generation), Operation::Nop);
            }
            // In an order that leaves gaps in the middle and at the front.
            for index in [1, 0, 3, 2] {
                assert!(staging.take_back(key(index, generation)));
            }
            assert!(staging.produce.entries.is_empty());
            staging.submit(key(5, generation), Operation::Nop);
            assert!(staging.next().is_some());
            assert!(staging.complete(key(5, generation), false));
            assert!(staging.produce.entries.is_empty());
        }
    }

    #[test]
    fn the_front_gap_is_skipped() {
        let mut staging: Staging = Staging::new();
        (0..3).for_each(|index| staging.submit(key(index, 1), Operation::Nop));
        assert!(staging.take_back(key(0, 1)));
        assert_eq!(
            staging.next(),
            Some(Next::Operation(key(1, 1), Operation::Nop))
        );
        assert!(!staging.take_back(key(1, 1)), "it has left");
        assert!(staging.take_back(key(2, 1)));
        assert_eq!(staging.next(), None);
    }
}
