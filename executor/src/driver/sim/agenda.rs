//! [`Agenda`]: what is to happen, in the order of its moments.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// What is to happen when; of what happens at the same moment, the first that was planned comes first.
#[derive(Debug)]
pub(crate) struct Agenda<T> {
    entries: BinaryHeap<Reverse<Entry>>,
    planned: u64,
    /// What is to happen, where its entry says: events are large, and entries are moved about.
    events: Vec<Option<T>>,
    /// Places without an event.
    free: Vec<usize>,
}

/// Compared by the moment, and then by the number, which no two have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    moment: Duration,
    number: u64,
    place: usize,
}

impl<T> Agenda<T> {
    pub(crate) fn new() -> Agenda<T> {
        Agenda {
            entries: BinaryHeap::new(),
            planned: 0,
            events: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(crate) fn plan(&mut self, moment: Duration, event: T) {
        let number = self.planned;
        self.planned += 1;
        let place = self.free.pop().unwrap_or_else(|| {
            self.events.push(None);
            self.events.len() - 1
        });
        self.events[place] = Some(event);
        self.entries.push(Reverse(Entry {
            moment,
            number,
            place,
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
        let Reverse(entry) = self.entries.pop()?;
        self.free.push(entry.place);
        self.events[entry.place].take()
    }
}

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
