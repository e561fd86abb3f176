//! [`Waiting`]: the operations that have begun and are not over, one place for each index of a key, and [`Queue`]: those
//! of them that wait for the same readiness, in order.
//!
//! An idle connection costs one place here and one record of its descriptor, so both are small.

use crate::driver::{Key, Operation};

/// Where an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// Over, or never begun.
    Nowhere,
    /// In the queue of its descriptor.
    Queued,
    /// With the pool.
    InPool,
    /// To be tried again after a pause.
    Pausing,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    generation: u32,
    /// Neighbours in the queue: the first one's previous is the last one.
    previous: u32,
    next: u32,
    position: Position,
    operation: Operation,
}

/// No index.
const NONE: u32 = u32::MAX;

const EMPTY: Place = Place {
    generation: 0,
    previous: NONE,
    next: NONE,
    position: Position::Nowhere,
    operation: Operation::Nop,
};

/// Operations that wait for the same, linked by their places.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queue {
    first: u32,
}

impl Queue {
    pub(super) const EMPTY: Queue = Queue { first: NONE };

    pub(super) fn is_empty(&self) -> bool {
        self.first == NONE
    }
}

#[derive(Default)]
pub(super) struct Waiting {
    places: Vec<Place>,
    /// How many are in queues.
    queued: usize,
}

impl Waiting {
    /// How many operations wait for readiness.
    pub(super) fn queued(&self) -> usize {
        self.queued
    }

    /// Where the operation of `key` is, and what it is.
    pub(super) fn find(&self, key: Key) -> Option<(Position, Operation)> {
        let place = self.places.get(key.index as usize)?;
        let is_it = place.generation == key.generation && place.position != Position::Nowhere;
        is_it.then_some((place.position, place.operation))
    }

    /// Notes where an operation is that is in no queue.
    pub(super) fn put(&mut self, key: Key, operation: Operation, position: Position) {
        let index = key.index as usize;
        if index >= self.places.len() {
            self.grow(index);
        }
        self.places[index] = Place {
            generation: key.generation,
            position,
            operation,
            ..EMPTY
        };
    }

    #[cold]
    fn grow(&mut self, index: usize) {
        // By an eighth: most operations that wait belong to connections, of which there may be many.
        let room = index + 1 + index / 8;
        self.places.reserve_exact(room - self.places.len());
        self.places.resize(index + 1, EMPTY);
    }

    /// The operation of `key`, which is in no queue, is over or goes elsewhere.
    pub(super) fn remove(&mut self, key: Key) {
        self.places[key.index as usize].position = Position::Nowhere;
    }

    pub(super) fn push_back(&mut self, queue: &mut Queue, key: Key, operation: Operation) {
        self.put(key, operation, Position::Queued);
        self.queued += 1;
        let index = key.index;
        if queue.is_empty() {
            queue.first = index;
            self.at(index).previous = index;
            return;
        }
        let last = std::mem::replace(&mut self.at(queue.first).previous, index);
        self.at(last).next = index;
        self.at(index).previous = last;
    }

    /// Takes the operation of `key` out of its queue.
    pub(super) fn unlink(&mut self, queue: &mut Queue, key: Key) {
        let Place { previous, next, .. } = *self.at(key.index);
        // Who comes after it, or, if nobody does, the first one, which knows the last.
        let follower = if next == NONE { queue.first } else { next };
        self.at(follower).previous = previous;
        match queue.first == key.index {
            true => queue.first = next,
            false => self.at(previous).next = next,
        }
        self.remove(key);
        self.queued -= 1;
    }

    fn at(&mut self, index: u32) -> &mut Place {
        &mut self.places[index as usize]
    }

    /// The first one in a queue.
    pub(super) fn first(&self, queue: &Queue) -> Option<(Key, Operation)> {
        self.named(queue.first)
    }

    /// The one after `key` in its queue.
    pub(super) fn after(&self, key: Key) -> Option<(Key, Operation)> {
        self.named(self.places[key.index as usize].next)
    }

    fn named(&self, index: u32) -> Option<(Key, Operation)> {
        if index == NONE {
            return None;
        }
        let place = &self.places[index as usize];
        let key = Key {
            index,
            generation: place.generation,
        };
        Some((key, place.operation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::tests::key;

    fn all(waiting: &Waiting, queue: &Queue) -> Vec<u32> {
        let mut indices = Vec::new();
        let mut next = waiting.first(queue);
        while let Some((key, _)) = next {
            indices.push(key.index);
            next = waiting.after(key);
        }
        indices
    }

    #[test]
    fn a_queue_keeps_its_order_whoever_leaves() {
        for leaving in 0..5 {
            let (mut waiting, mut queue) = (Waiting::default(), Queue::EMPTY);
            for index in [3, 0, 4, 1, 2] {
                waiting.push_back(&mut queue, key(index, 7), Operation::Nop);
            }
            waiting.unlink(&mut queue, key(leaving, 7));
            let mut expected = vec![3, 0, 4, 1, 2];
            expected.retain(|index| *index != leaving);
            assert_eq!(all(&waiting, &queue), expected);
            assert_eq!(waiting.queued(), 4);
            assert_eq!(waiting.find(key(leaving, 7)), None);
            waiting.push_back(&mut queue, key(leaving, 8), Operation::Nop);
            expected.push(leaving);
            assert_eq!(all(&waiting, &queue), expected);
            // From the back, from the front, in turn.
            while let Some(index) = match expected.len() % 2 {
                0 => expected.pop(),
                _ => (!expected.is_empty()).then(|| expected.remove(0)),
            } {
                let generation = if index == leaving { 8 } else { 7 };
                waiting.unlink(&mut queue, key(index, generation));
                assert_eq!(all(&waiting, &queue), expected);
            }
            assert!(queue.is_empty());
            assert_eq!(waiting.queued(), 0);
        }
    }

    #[test]
    fn another_use_of_the_place_is_not_found() {
        let mut waiting = Waiting::default();
        waiting.put(key(2, 1), Operation::Nop, Position::InPool);
        assert_eq!(waiting.find(key(2, 2)), None);
        assert_eq!(waiting.find(key(9, 1)), None);
        let found = waiting.find(key(2, 1));
        assert_eq!(found, Some((Position::InPool, Operation::Nop)));
        waiting.remove(key(2, 1));
        assert_eq!(waiting.find(key(2, 1)), None);
    }

    #[test]
    fn what_an_idle_connection_costs_is_small() {
        assert!(size_of::<Place>() <= 48);
    }
}
