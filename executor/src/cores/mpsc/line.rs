//! [`Line`]: wakers in the order of their arrival.

use std::task::Waker;

use slab::Slab;

const NONE: usize = usize::MAX;

/// Each that waits owns its entry until it collects its answer or leaves; so what is granted to a future that is then dropped
/// is seen, and can be passed on. Entries are linked by their indexes: leaving from the middle moves nobody, and no entry is
/// allocated once the line has been as long as now.
///
/// Wakers are handed out, never dropped or woken here: the line stands behind a lock.
#[derive(Debug)]
pub(super) struct Line {
    entries: Slab<Entry>,
    first: usize,
    last: usize,
}

#[derive(Debug)]
struct Entry {
    state: State,
    previous: usize,
    next: usize,
}

#[derive(Debug)]
pub(super) enum State {
    Waiting(Waker),
    /// Out of line, and not yet collected.
    Answered(Answer),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Granted,
    Refused,
}

impl Line {
    pub(super) const fn new() -> Line {
        Line {
            entries: Slab::new(),
            first: NONE,
            last: NONE,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first == NONE
    }

    /// Takes the first out of line, to be woken.
    pub(super) fn answer_first(&mut self, answer: Answer) -> Option<Waker> {
        let first = self.first;
        let entry = self.entries.get_mut(first)?;
        let State::Waiting(waker) = std::mem::replace(&mut entry.state, State::Answered(answer))
        else {
            unreachable!("who was answered is not in line");
        };
        self.unlink(first);
        Some(waker)
    }

    pub(super) fn is_waiting(&self, entry: usize) -> bool {
        matches!(self.entries[entry].state, State::Waiting(_))
    }

    /// Goes to the end of the line.
    pub(super) fn join(&mut self, waker: Waker) -> usize {
        let entry = self.entries.insert(Entry {
            state: State::Waiting(waker),
            previous: self.last,
            next: NONE,
        });
        match self.last {
            NONE => self.first = entry,
            last => self.entries[last].next = entry,
        }
        self.last = entry;
        entry
    }

    /// Keeps the place in line, and wakes another from now on. The waker that is not needed comes back.
    pub(super) fn replace(&mut self, entry: usize, waker: Waker) -> Waker {
        match &mut self.entries[entry].state {
            State::Waiting(old) => std::mem::replace(old, waker),
            State::Answered(_) => waker,
        }
    }

    /// Takes the entry out, in line or not. A waker in it is to be dropped when nothing is locked.
    #[must_use]
    pub(super) fn leave(&mut self, entry: usize) -> State {
        if self.is_waiting(entry) {
            self.unlink(entry);
        }
        self.entries.remove(entry).state
    }

    fn unlink(&mut self, entry: usize) {
        let Entry { previous, next, .. } = self.entries[entry];
        match previous {
            NONE => self.first = next,
            previous => self.entries[previous].next = next,
        }
        match next {
            NONE => self.last = previous,
            next => self.entries[next].previous = previous,
        }
    }
}
