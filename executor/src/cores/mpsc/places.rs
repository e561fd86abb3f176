//! [`Places`]: how many more messages may be sent, and who waits for that.
//!
//! One word is all that a sender looks at while there is room:
//!
//! | part | meaning | changed by |
//! |---|---|---|
//! | upper bits | places that are free: in no message, permit or grant | whoever takes or gives one |
//! | `LINE` | senders are in line; then no place is free | who has the lock |
//! | `CLOSED` | nobody gets a place any more | the receiver, or the last sender |
//!
//! Because "in line" stands in the word of the count, a place cannot become free beside somebody who waits for one: giving one fails, and
//! then goes by the line. Places go round: the changes of the word form one chain, so that who takes a place sees all that was done
//! by who gave it.

use std::sync::PoisonError;
use std::task::{Poll, Waker};

use super::super::{OwnLine, quietly};
use super::line::{Answer, Line, State};
use crate::primitives::{AtomicU64, Mutex, Ordering};

const LINE: u64 = 1;
const CLOSED: u64 = 2;
const FLAGS: u32 = 2;
const PLACE: u64 = 1 << FLAGS;

pub(super) struct Places {
    word: OwnLine<AtomicU64>,
    total: u64,
    lines: Mutex<Lines>,
}

/// Behind the lock.
pub(super) struct Lines {
    /// Senders that wait for a place.
    sending: Line,
    /// Senders that wait for the end.
    closing: Line,
}

/// Why there is no place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoPlace {
    Full,
    Closed,
}

impl Places {
    pub(super) fn new(total: u64) -> Places {
        Places {
            word: OwnLine(AtomicU64::new(total << FLAGS)),
            total,
            lines: Mutex::new(Lines {
                sending: Line::new(),
                closing: Line::new(),
            }),
        }
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn free(&self) -> u64 {
        self.word.load(Ordering::Acquire) >> FLAGS
    }

    pub(super) fn is_closed(&self) -> bool {
        self.word.load(Ordering::Acquire) & CLOSED != 0
    }

    /// Closed, and nobody has a place: no message is queued, and none will be.
    pub(super) fn is_finished(&self) -> bool {
        self.word.load(Ordering::Acquire) == (self.total << FLAGS) | CLOSED
    }

    #[inline]
    pub(super) fn try_take(&self) -> Result<(), NoPlace> {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if word & CLOSED != 0 {
                return Err(NoPlace::Closed);
            }
            if word < PLACE {
                return Err(NoPlace::Full);
            }
            match self.word.compare_exchange_weak(
                word,
                word - PLACE,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Ok(()),
                Err(now) => word = now,
            }
        }
    }

    /// Gives places back, to those who wait longest. True if the channel is finished by that.
    #[inline]
    pub(super) fn give(&self, count: u64) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & LINE == 0 {
            let next = word + count * PLACE;
            match self
                .word
                .compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return next == (self.total << FLAGS) | CLOSED,
                Err(now) => word = now,
            }
        }
        self.give_to_the_line(count);
        // If it was closed meanwhile, the places went back to the word with the last of the line.
        self.is_finished()
    }

    #[cold]
    fn give_to_the_line(&self, count: u64) {
        for given in 0..count {
            let first = self.locked(|lines| {
                let first = lines.sending.answer_first(Answer::Granted);
                match first {
                    Some(_) => self.unmark_if_empty(lines),
                    None => {
                        let rest = (count - given) * PLACE;
                        self.word.fetch_add(rest, Ordering::AcqRel);
                    }
                }
                first
            });
            let Some(waker) = first else { return };
            quietly(|| waker.wake());
        }
    }

    /// For a sender that found no place: ready with true when one is its own, with false when the channel is closed. In
    /// between, `entry` is its place in line.
    #[cold]
    pub(super) fn poll_line(&self, entry: &mut Option<usize>, waker: &Waker) -> Poll<bool> {
        // User code runs here, and when nothing is locked any more.
        let fresh = waker.clone();
        let (found, unused) = self.locked(|lines| match *entry {
            Some(mine) if lines.sending.is_waiting(mine) => {
                (Poll::Pending, Some(lines.sending.replace(mine, fresh)))
            }
            Some(mine) => {
                *entry = None;
                let answer = lines.sending.leave(mine);
                let is_granted = matches!(answer, State::Answered(Answer::Granted));
                (Poll::Ready(is_granted), Some(fresh))
            }
            None => match self.take_or_mark() {
                Ok(()) => (Poll::Ready(true), Some(fresh)),
                Err(NoPlace::Closed) => (Poll::Ready(false), Some(fresh)),
                Err(NoPlace::Full) => {
                    *entry = Some(lines.sending.join(fresh));
                    (Poll::Pending, None)
                }
            },
        });
        quietly(|| drop(unused));
        found
    }

    /// A sender gives up its place in line. What it was granted is passed on; true if the channel is finished by that.
    #[cold]
    pub(super) fn leave_line(&self, entry: usize) -> bool {
        let left = self.locked(|lines| {
            let left = lines.sending.leave(entry);
            self.unmark_if_empty(lines);
            left
        });
        if let State::Answered(Answer::Granted) = left {
            return self.give(1);
        }
        quietly(|| drop(left));
        false
    }

    /// Ready when the channel is closed.
    pub(super) fn poll_closed(&self, entry: &mut Option<usize>, waker: &Waker) -> Poll<()> {
        let fresh = waker.clone();
        let mut unused = None;
        let found = self.locked(|lines| {
            if self.is_closed() {
                unused = Some(fresh);
                return Poll::Ready(());
            }
            match *entry {
                Some(mine) => unused = Some(lines.closing.replace(mine, fresh)),
                None => *entry = Some(lines.closing.join(fresh)),
            }
            Poll::Pending
        });
        quietly(|| drop(unused));
        found
    }

    /// Waits for the end no longer.
    pub(super) fn leave_closing(&self, entry: usize) {
        let left = self.locked(|lines| lines.closing.leave(entry));
        quietly(|| drop(left));
    }

    /// Nobody gets a place any more, and all who wait are told.
    pub(super) fn close(&self) {
        self.word.fetch_or(CLOSED, Ordering::AcqRel);
        let next = || {
            self.locked(|lines| {
                let first = lines.sending.answer_first(Answer::Refused);
                self.unmark_if_empty(lines);
                first.or_else(|| lines.closing.answer_first(Answer::Granted))
            })
        };
        while let Some(waker) = next() {
            quietly(|| waker.wake());
        }
    }

    /// Takes a place, or says in the word that somebody is in line from now on. To be called with the lock.
    fn take_or_mark(&self) -> Result<(), NoPlace> {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if word & CLOSED != 0 {
                return Err(NoPlace::Closed);
            }
            let (next, found) = match word < PLACE {
                true => (word | LINE, Err(NoPlace::Full)),
                false => (word - PLACE, Ok(())),
            };
            match self
                .word
                .compare_exchange(word, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return found,
                Err(now) => word = now,
            }
        }
    }

    /// To be called with the lock, when somebody has left the line.
    fn unmark_if_empty(&self, lines: &Lines) {
        if lines.sending.is_empty() {
            self.word.fetch_and(!LINE, Ordering::AcqRel);
        }
    }

    fn locked<R>(&self, f: impl FnOnce(&mut Lines) -> R) -> R {
        // No code of the user runs inside, so nobody panics there with something half done.
        f(&mut self.lines.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
