//! [`Board`]: what a core polls, written where another thread can see it.

use std::panic::Location;

use crate::primitives::{AtomicU64, Ordering};

/// The low bits count polls; those above are the address of the place where the task was spawned, 0 between polls. Addresses of a
/// process have 48 bits, unless it asks for more.
const COUNT_BITS: u32 = 16;

/// Written by its core with one store for each poll; read by the [`Watchdog`](super::Watchdog).
#[derive(Debug)]
pub(crate) struct Board(AtomicU64);

/// A poll, as seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen(u64);

impl Board {
    /// The task that was spawned at `place` is polled from now on.
    #[inline]
    pub(crate) fn begin(&self, place: &'static Location<'static>) {
        let address = std::ptr::from_ref(place).expose_provenance() as u64;
        debug_assert!(address >> (u64::BITS - COUNT_BITS) == 0, "{address:#x}");
        self.write(address << COUNT_BITS);
    }

    /// Nothing is polled any more.
    #[inline]
    pub(crate) fn end(&self) {
        self.write(0);
    }

    #[inline]
    fn write(&self, place: u64) {
        // Relaxed, twice: only this core writes it, and nothing else is read on the strength of it.
        let count = self.0.load(Ordering::Relaxed).wrapping_add(1) & ((1 << COUNT_BITS) - 1);
        self.0.store(place | count, Ordering::Relaxed);
    }

    pub(crate) fn look(&self) -> Seen {
        Seen(self.0.load(Ordering::Relaxed))
    }
}

impl Default for Board {
    fn default() -> Board {
        Board(AtomicU64::new(0))
    }
}

impl Seen {
    /// Where the task was spawned; `None` between polls.
    pub(crate) fn place(self) -> Option<&'static Location<'static>> {
        let address = usize::try_from(self.0 >> COUNT_BITS).ok()?;
        let place = std::ptr::with_exposed_provenance::<Location<'static>>(address);
        // SAFETY: it is null, or the address of a place that lives for ever and was exposed: only `begin` writes others than 0.
        unsafe { place.as_ref() }
    }
}

/// While it lives, the board may show something.
pub(crate) struct Shown<'a>(pub(crate) &'a Board);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(all(test, not(krug_loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_was_begun_is_seen_until_its_end() {
        let board = Board::default();
        assert_eq!(board.look().place(), None);
        let place = Location::caller();
        board.begin(place);
        assert_eq!(board.look().place(), Some(place));
        board.end();
        assert_eq!(board.look().place(), None);
    }

    #[test]
    fn two_polls_of_one_task_are_told_apart() {
        let board = Board::default();
        let place = Location::caller();
        board.begin(place);
        let first = board.look();
        assert_eq!(board.look(), first);
        for _ in 0..100_000 {
            board.begin(place);
            assert_eq!(board.look().place(), Some(place));
        }
        assert_ne!(board.look(), first);
    }
}
