//! [`Direction`]: what was sent one way through a connection, and what came out at the other end.

use std::cell::{Cell, RefCell};

/// What the sender knows of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// All of it.
    Whole,
    /// Exactly so many bytes: a short write.
    First(usize),
    /// All of it, or nothing: the future of its write was dropped.
    WholeOrNothing,
    /// Some first part of it: its write was cancelled, or met an error.
    SomePart,
}

/// What passes through.
#[derive(Default)]
pub(crate) struct Direction {
    messages: RefCell<Vec<(Vec<u8>, Sent)>>,
    received: RefCell<Vec<u8>>,
    /// What a peek saw, and how much had been received before.
    peeked: RefCell<Vec<(usize, Vec<u8>)>>,
    /// The receiver has seen the end.
    has_ended: Cell<bool>,
    /// One of the two ends stops early: what has arrived is a beginning.
    pub(crate) is_doomed: Cell<bool>,
}

impl Direction {
    /// A write begins; what is known of it from now on, if its sender says nothing more.
    pub(crate) fn begins(&self, message: Vec<u8>) {
        self.messages.borrow_mut().push((message, Sent::SomePart));
    }

    /// What came of the write that has begun last.
    pub(crate) fn sent(&self, sent: Sent) {
        let mut messages = self.messages.borrow_mut();
        messages.last_mut().expect("a write has begun").1 = sent;
    }

    /// The write that has begun last was never polled.
    pub(crate) fn never_sent(&self) {
        self.messages.borrow_mut().pop();
    }

    pub(crate) fn received(&self, bytes: &[u8]) {
        self.received.borrow_mut().extend_from_slice(bytes);
    }

    pub(crate) fn peeked(&self, bytes: &[u8]) {
        let position = self.received.borrow().len();
        self.peeked.borrow_mut().push((position, bytes.to_vec()));
    }

    pub(crate) fn ended(&self) {
        self.has_ended.set(true);
    }

    /// Whether what came out can have come of what went in.
    pub(crate) fn check(&self) -> Result<(), String> {
        let (messages, received) = (self.messages.borrow(), self.received.borrow());
        for (position, peeked) in self.peeked.borrow().iter() {
            let rest = &received[*position..];
            let common = rest.len().min(peeked.len());
            if rest[..common] != peeked[..common] {
                return Err(format!(
                    "a peek at byte {position} saw what was not read afterwards"
                ));
            }
        }
        // Every position in the received bytes where the messages so far may have ended.
        let mut ends = vec![0];
        for (index, (message, sent)) in messages.iter().enumerate() {
            // What is doomed may end within any message, also one that is not known to have been sent.
            if self.is_doomed.get() && reaches_end(&ends, message, &received) {
                return Ok(());
            }
            let next = positions_after(&ends, message, *sent, &received);
            if next.is_empty() {
                return Err(format!(
                    "message {index} of {} ({} bytes, sent: {sent:?}) is not where it must be: at {ends:?} of {} bytes received",
                    messages.len(),
                    message.len(),
                    received.len()
                ));
            }
            ends = next;
        }
        if !ends.contains(&received.len()) {
            return Err(format!(
                "{} bytes were received, but only {ends:?} were sent",
                received.len()
            ));
        }
        if !self.has_ended.get() && !self.is_doomed.get() {
            return Err("the end never came".into());
        }
        Ok(())
    }
}

/// True if the received bytes end within `message`.
fn reaches_end(starts: &[usize], message: &[u8], received: &[u8]) -> bool {
    starts
        .iter()
        .any(|start| message.starts_with(&received[*start..]))
}

/// Where `message` may end if it begins at one of `starts`.
fn positions_after(starts: &[usize], message: &[u8], sent: Sent, received: &[u8]) -> Vec<usize> {
    let mut ends = Vec::new();
    for &start in starts {
        let rest = &received[start..];
        let common = rest
            .iter()
            .zip(message)
            .take_while(|(left, right)| left == right)
            .count();
        match sent {
            Sent::Whole if common == message.len() => ends.push(start + common),
            Sent::First(count) if common >= count => ends.push(start + count),
            Sent::WholeOrNothing if common == message.len() => ends.extend([start, start + common]),
            Sent::WholeOrNothing => ends.push(start),
            Sent::SomePart => ends.extend(start..=start + common),
            Sent::Whole | Sent::First(_) => {}
        }
    }
    ends.sort_unstable();
    ends.dedup();
    ends
}

fn direction(messages: &[(&str, Sent)], received: &str) -> Direction {
    let direction = Direction::default();
    for (message, sent) in messages {
        direction.begins(message.as_bytes().to_vec());
        direction.sent(*sent);
    }
    direction.received(received.as_bytes());
    direction.ended();
    direction
}

#[test]
fn the_model_allows_what_may_be_and_nothing_else() {
    use Sent::{First, SomePart, Whole, WholeOrNothing};
    let good: &[(&[(&str, Sent)], &str)] = &[
        (&[], ""),
        (&[("abc", Whole), ("def", Whole)], "abcdef"),
        (&[("abc", First(2)), ("def", Whole)], "abdef"),
        (&[("abc", WholeOrNothing), ("def", Whole)], "def"),
        (&[("abc", WholeOrNothing), ("abd", Whole)], "abd"),
        (&[("aaa", SomePart), ("ab", Whole)], "aaab"),
        (&[("abc", SomePart), ("def", Whole)], "def"),
    ];
    for (messages, received) in good {
        assert_eq!(
            direction(messages, received).check(),
            Ok(()),
            "{messages:?}"
        );
    }
    let bad: &[(&[(&str, Sent)], &str)] = &[
        (&[("abc", Whole)], "ab"),
        (&[("abc", Whole)], "abcd"),
        (&[("abc", Whole), ("def", Whole)], "defabc"),
        (&[("abc", First(2)), ("def", Whole)], "abcdef"),
        (&[("abc", WholeOrNothing), ("def", Whole)], "abdef"),
        (&[("abc", SomePart), ("def", Whole)], "bcdef"),
        (&[("abc", WholeOrNothing)], "abcabc"),
    ];
    for (messages, received) in bad {
        assert!(
            direction(messages, received).check().is_err(),
            "{messages:?}"
        );
    }
}

#[test]
fn the_model_allows_a_beginning_of_what_is_doomed_and_nothing_else() {
    let messages = [("abc", Sent::Whole), ("def", Sent::Whole)];
    for (received, is_good) in [
        ("", true),
        ("abcd", true),
        ("abcdef", true),
        ("abd", false),
        ("abcdefg", false),
    ] {
        let direction = direction(&messages, received);
        direction.is_doomed.set(true);
        assert_eq!(direction.check().is_ok(), is_good, "{received}");
    }
}

#[test]
fn the_model_misses_an_end_and_sees_a_peek_that_lied() {
    let silent = Direction::default();
    assert!(silent.check().is_err());
    let peeked = direction(&[("abc", Sent::Whole)], "abc");
    peeked.peeked.borrow_mut().push((1, b"bcd".to_vec()));
    assert_eq!(peeked.check(), Ok(()));
    peeked.peeked.borrow_mut().push((1, b"bd".to_vec()));
    assert!(peeked.check().is_err());
}
