//! Which operations are tried before they are staged, and [`Habits`]: whether that is worth a call.
//!
//! A send is, on a descriptor that has always had room so far. One that may fill its socket goes the long way, so that what
//! is dropped in the turn in which it begins has not begun.
//!
//! A receive is not if the next message comes only after an answer: it would find nothing, and be tried once more at
//! the turn's end, when it mostly finds something. It is if messages come in heaps, as every further one is then answered
//! while all that belongs to it is in the cache.

use super::Epoll;
use super::descriptors::Direction;
use crate::driver::{Operation, calls};

/// What has become of the sends and receives of one descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Habits {
    /// How many sends must still be sent whole before one is tried at once.
    sends_left: u8,
    /// How many receives are still staged before one is tried at once.
    receives_left: u8,
}

/// So many go the long way at first, and after a try in vain: that costs a descriptor little that never has room, or never has more.
const PATIENCE: u8 = 32;
/// The last receive that was tried at once has found something.
const FINDS: u8 = u8::MAX;

impl Habits {
    pub(super) const NEW: Habits = Habits {
        sends_left: PATIENCE,
        receives_left: PATIENCE,
    };

    fn wants_a_try(&mut self, direction: Direction) -> bool {
        match direction {
            Direction::Sending => self.sends_left == 0,
            Direction::Receiving if self.receives_left == FINDS => true,
            Direction::Receiving => {
                let now = self.receives_left == 0;
                self.receives_left = self.receives_left.saturating_sub(1);
                now
            }
        }
    }

    /// What a call has come to that was made at once.
    fn learn(&mut self, direction: Direction, result: i32, wanted: u32) {
        match direction {
            Direction::Sending => self.sent(result, wanted),
            Direction::Receiving => self.received_at_once(result != -libc::EAGAIN),
        }
    }

    /// What a send has come to, whichever way it went.
    pub(super) fn sent(&mut self, result: i32, wanted: u32) {
        self.sends_left = match result.cast_unsigned() == wanted {
            true => self.sends_left.saturating_sub(1),
            false => PATIENCE,
        };
    }

    /// The end of a heap says nothing of the next heap.
    fn received_at_once(&mut self, found: bool) {
        self.receives_left = match (found, self.receives_left == FINDS) {
            (true, _) => FINDS,
            (false, true) => 0,
            (false, false) => PATIENCE,
        };
    }
}

impl Epoll {
    /// Does what needs no waiting and has no other before it. `None`: it is to be staged.
    pub(crate) fn try_at_once(&mut self, operation: &Operation) -> Option<i32> {
        let (fd, direction, wanted) = match *operation {
            Operation::Receive { fd, length, .. } => (fd, Direction::Receiving, length),
            Operation::Send { fd, length, .. } => (fd, Direction::Sending, length),
            _ => return self.try_cache(operation),
        };
        if fd < 0 {
            return None;
        }
        let state = self.descriptors.state(fd);
        if !state.queue(direction).is_empty()
            || !state.may_be_tried(direction)
            || !state.habits.wants_a_try(direction)
        {
            return None;
        }
        self.counters.attempts += 1;
        let result = calls::perform_on_socket(operation);
        state.habits.learn(direction, result, wanted);
        if result == -libc::EAGAIN {
            // What has ended may still have an answer: then the long way finds it.
            state.set_ready(direction, state.is_special);
            return None;
        }
        state.has_moved(direction, result, wanted);
        self.counters.submitted += 1;
        self.counters.completions += 1;
        Some(result)
    }

    fn try_cache(&mut self, operation: &Operation) -> Option<i32> {
        self.counters.attempts += 1;
        let result = calls::read_from_cache(operation)?;
        self.counters.submitted += 1;
        self.counters.completions += 1;
        Some(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `receives` are tried, each finding what `finds` says of it.
    fn tries(receives: usize, finds: impl Fn(usize) -> bool) -> usize {
        let mut habits = Habits::NEW;
        let tried = |nth: &usize| {
            let tried = habits.wants_a_try(Direction::Receiving);
            if tried {
                habits.received_at_once(finds(*nth));
            }
            tried
        };
        (0..receives).filter(tried).count()
    }

    #[test]
    fn a_descriptor_that_never_has_more_is_rarely_tried() {
        assert!(tries(1000, |_| false) <= 1000 / usize::from(PATIENCE));
    }

    #[test]
    fn one_whose_messages_come_in_heaps_is_always_tried() {
        let first = usize::from(PATIENCE);
        assert_eq!(tries(1600, |nth| nth % 16 != 15), 1600 - first);
    }

    #[test]
    fn a_send_is_tried_after_many_that_were_sent_whole() {
        let mut habits = Habits::NEW;
        for _ in 0..PATIENCE {
            assert!(!habits.wants_a_try(Direction::Sending));
            habits.sent(64, 64);
        }
        assert!(habits.wants_a_try(Direction::Sending));
        habits.sent(63, 64);
        assert!(!habits.wants_a_try(Direction::Sending));
    }
}
