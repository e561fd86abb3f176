//! [`Agenda`]: what is to happen, in the order of its moments.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::time::Duration;

/// What is to happen when; of what happens at the same moment, the first that was planned comes first.
#[derive(Debug)]
pub(crate) struct Agenda<T> {
    entries: BinaryHeap<Reverse<Entry<T>>>,
    planned: u64,
}

#[derive(Debug)]
struct Entry<T> {
    moment: Duration,
    number: u64,
    event: T,
}

impl<T> Agenda<T> {
    pub(crate) fn new() -> Agenda<T> {
        Agenda {
            entries: BinaryHeap::new(),
            planned: 0,
        }
    }

    pub(crate) fn plan(&mut self, moment: Duration, event: T) {
        let number = self.planned;
        self.planned += 1;
        self.entries.push(Reverse(Entry {
            moment,
            number,
            event,
        }));
    }

    /// The moment of what comes next.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.entries.peek().map(|Reverse(entry)| entry.moment)
    }

    /// What comes next, if its moment is not after `now`.
    pub(crate) fn take_due(&mut self, now: Duration) -> Option<T> {
        if self.next()? > now {
            return None;
        }
        self.entries.pop().map(|Reverse(entry)| entry.event)
    }
}

impl<T> Entry<T> {
    fn place(&self) -> (Duration, u64) {
        (self.moment, self.number)
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Entry<T>) -> Ordering {
        self.place().cmp(&other.place())
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Entry<T>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Entry<T>) -> bool {
        self.place() == other.place()
    }
}

impl<T> Eq for Entry<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_moment_and_then_in_the_order_of_planning() {
        let mut agenda = Agenda::new();
        for (moment, event) in [(3, 'c'), (1, 'a'), (3, 'd'), (2, 'b')] {
            agenda.plan(Duration::from_secs(moment), event);
        }
        assert_eq!(agenda.next(), Some(Duration::from_secs(1)));
        assert_eq!(agenda.take_due(Duration::from_millis(999)), None);
        let end = Duration::from_secs(9);
        let order: String = std::iter::from_fn(|| agenda.take_due(end)).collect();
        assert_eq!(order, "abcd");
        assert_eq!(agenda.next(), None);
    }
}
