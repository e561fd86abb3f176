//! [`Agenda`]: what is to happen, in the order of its moments.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::time::Duration;

/// What is to happen when; of what happens at the same moment, the first that was planned comes first.
#[derive(Debug)]
pub(crate) struct Agenda<T> {
    entries: BinaryHeap<Reverse<Entry>>,
    /// What the entries stand for. They are small, because a heap moves them about.
    events: Vec<Option<T>>,
    /// Places among the events that are free.
    free: Vec<usize>,
    planned: u64,
}

/// Ordered by its moment, in nanoseconds, and then by its number.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    moment: u64,
    number: u64,
    place: usize,
}

impl<T> Agenda<T> {
    pub(crate) fn new() -> Agenda<T> {
        Agenda {
            entries: BinaryHeap::new(),
            events: Vec::new(),
            free: Vec::new(),
            planned: 0,
        }
    }

    /// A moment after more than five hundred years is taken for one then.
    pub(crate) fn plan(&mut self, moment: Duration, event: T) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.events.push(None);
            self.events.len() - 1
        });
        self.events[place] = Some(event);
        let number = self.planned;
        self.planned += 1;
        self.entries.push(Reverse(Entry {
            moment: nanoseconds(moment),
            number,
            place,
        }));
    }

    /// The moment of what comes next.
    pub(crate) fn next(&self) -> Option<Duration> {
        let next = self.entries.peek();
        next.map(|Reverse(entry)| Duration::from_nanos(entry.moment))
    }

    /// What comes next, if its moment is not after `now`.
    pub(crate) fn take_due(&mut self, now: Duration) -> Option<T> {
        let next = self.entries.peek_mut()?;
        if next.0.moment > nanoseconds(now) {
            return None;
        }
        let place = PeekMut::pop(next).0.place;
        self.free.push(place);
        self.events[place].take()
    }
}

fn nanoseconds(moment: Duration) -> u64 {
    u64::try_from(moment.as_nanos()).unwrap_or(u64::MAX)
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
