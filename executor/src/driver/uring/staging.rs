//! What was submitted in this turn and has not yet been shown to the kernel.
//!
//! Operations wait in one of two lists until `enter` moves them to the
//! submission queue, what produces before what waits. Until then one can be taken
//! back, and was then never submitted. Its place is found through `uses`, a table
//! with one record for each slot index: where the slot's present use is staged.
//! The record outlives the list: while a use is in flight it tells its completions
//! from those of an earlier use of the slot.

use crate::driver::{Descriptor, Key, Operation, Stage};

#[derive(Debug)]
pub(super) struct Staging {
    produce: List,
    wait: List,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Not submitted, taken back, or completed for the last time.
    Nowhere,
    /// In the list of this stage, at this position, or already in flight from there.
    Submitted(Stage, u32),
}

/// What `enter` shows to the kernel next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Operation(Key, Operation),
    Cancel(Key),
    Close(Descriptor),
}

impl Staging {
    pub(super) fn new() -> Staging {
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
        let position = self.list(stage).push(key, operation);
        let index = key.index as usize;
        if index >= self.uses.len() {
            self.grow_uses(index);
        }
        debug_assert!(
            self.uses[index].place == Place::Nowhere,
            "{key:?} is submitted while {:?} is under way",
            self.uses[index]
        );
        self.uses[index] = Use {
            generation: key.generation,
            place: Place::Submitted(stage, position),
        };
    }

    /// True if the operation of `key` was still here: it will never be submitted.
    pub(super) fn take_back(&mut self, key: Key) -> bool {
        let Some(Use { generation, place }) = self.uses.get(key.index as usize).copied() else {
            return false;
        };
        let Place::Submitted(stage, position) = place else {
            return false;
        };
        if generation != key.generation || !self.list(stage).remove(key, position) {
            return false;
        }
        self.uses[key.index as usize].place = Place::Nowhere;
        true
    }

    pub(super) fn cancel(&mut self, key: Key) {
        self.cancels.push(key);
    }

    pub(super) fn close(&mut self, fd: Descriptor) {
        self.closes.push(fd);
    }

    /// What is to be submitted next. Cancels follow the operations, so that one
    /// aimed at an operation of the same turn finds it; closes come last, so that
    /// they cannot pull a descriptor from under an operation of the same turn.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Option<Next> {
        if let Some((key, operation)) = self.produce.pop_front() {
            return Some(Next::Operation(key, operation));
        }
        if let Some((key, operation)) = self.wait.pop_front() {
            return Some(Next::Operation(key, operation));
        }
        // Neither cancels nor closes depend on the order among themselves.
        if let Some(key) = self.cancels.pop() {
            return Some(Next::Cancel(key));
        }
        self.closes.pop().map(Next::Close)
    }

    /// Whether a completion of `key` can be true. The last one ends the use.
    #[inline]
    pub(super) fn complete(&mut self, key: Key, more: bool) -> bool {
        let Some(used) = self.uses.get_mut(key.index as usize) else {
            return false;
        };
        if used.generation != key.generation || used.place == Place::Nowhere {
            return false;
        }
        if !more {
            used.place = Place::Nowhere;
        }
        true
    }

    /// Closes that were never submitted.
    pub(super) fn take_closes(&mut self) -> Vec<Descriptor> {
        std::mem::take(&mut self.closes)
    }

    #[inline]
    fn list(&mut self, stage: Stage) -> &mut List {
        match stage {
            Stage::Produce => &mut self.produce,
            Stage::Wait => &mut self.wait,
        }
    }

    #[cold]
    fn grow_uses(&mut self, index: usize) {
        let nothing = Use {
            generation: 0,
            place: Place::Nowhere,
        };
        self.uses.resize(index + 1, nothing);
    }
}

/// A queue that remembers positions: removing leaves a gap. It is emptied in every
/// turn, so that positions start again from zero.
#[derive(Debug)]
struct List {
    entries: Vec<(Key, Option<Operation>)>,
    /// Everything before this position has left by the front.
    front: usize,
    /// Entries from `front` on that are no gaps.
    count: usize,
}

impl List {
    fn new() -> List {
        List {
            entries: Vec::new(),
            front: 0,
            count: 0,
        }
    }

    #[inline]
    fn push(&mut self, key: Key, operation: Operation) -> u32 {
        let position = self.entries.len() as u32;
        self.entries.push((key, Some(operation)));
        self.count += 1;
        position
    }

    fn remove(&mut self, key: Key, position: u32) -> bool {
        let position = position as usize;
        if position < self.front {
            return false;
        }
        match self.entries.get_mut(position) {
            Some((staged, operation)) if *staged == key && operation.is_some() => *operation = None,
            _ => return false,
        }
        self.count -= 1;
        // A turn that submits and takes back for ever must not grow the list for ever.
        while self.entries.len() > self.front && matches!(self.entries.last(), Some((_, None))) {
            self.entries.pop();
        }
        true
    }

    #[inline(always)]
    fn pop_front(&mut self) -> Option<(Key, Operation)> {
        if self.count == 0 {
            return None;
        }
        loop {
            let (key, operation) = self.entries[self.front];
            self.front += 1;
            if let Some(operation) = operation {
                self.count -= 1;
                if self.count == 0 {
                    self.entries.clear();
                    self.front = 0;
                }
                return Some((key, operation));
            }
        }
    }
}
