//! Numbers of simulated descriptors: each world of a thread has its own, so that whoever is dropped, and whenever, is closed in the
//! world that has opened it.

use std::cell::RefCell;
use std::collections::BTreeMap;

/// The first number of a simulated descriptor: no real one is so high (`fs.nr_open` is a thousand times less), so a call
/// that goes past the driver is answered with EBADF.
pub(crate) const FIRST_SIMULATED: i32 = 1 << 30;

/// How many descriptors a world can have open, as many as Linux lets a process have.
pub(crate) const OPEN_MAX: i32 = 1 << 20;

/// How many worlds can live on a thread at the same time.
const WORLDS_MAX: i32 = (i32::MAX - FIRST_SIMULATED) / OPEN_MAX + 1;

thread_local! {
    /// By their place: what is known of the worlds that live here, and of those that have left owners behind.
    static WORLDS: RefCell<BTreeMap<i32, Known>> = const { RefCell::new(BTreeMap::new()) };
}

#[derive(Debug, Default)]
struct Known {
    lives: bool,
    /// How many owners of its descriptors there are. One that was dropped on another thread is counted for ever.
    owners: i64,
    /// Descriptors that were closed past the driver, by the destructors of their owners.
    closed: Vec<i32>,
}

impl Known {
    fn is_over(&self) -> bool {
        !self.lives && self.owners == 0
    }
}

pub(crate) fn is_simulated(fd: i32) -> bool {
    fd >= FIRST_SIMULATED
}

/// The same number in the first world of a thread. What is told and compared of a run must not depend on which other worlds there are.
pub(crate) fn in_any_world(number: i32) -> i32 {
    match is_simulated(number) {
        true => FIRST_SIMULATED + (number - FIRST_SIMULATED) % OPEN_MAX,
        false => number,
    }
}

fn place_of(fd: i32) -> i32 {
    (fd - FIRST_SIMULATED) / OPEN_MAX
}

/// Changes what is known of the world of `fd`, and forgets it if that is over.
fn with_world_of(fd: i32, change: impl FnOnce(&mut Known)) {
    // At the end of its thread there is no world any more.
    let _ = WORLDS.try_with(|worlds| {
        let mut worlds = worlds.borrow_mut();
        let known = worlds.entry(place_of(fd)).or_default();
        change(known);
        if known.is_over() {
            worlds.remove(&place_of(fd));
        }
    });
}

pub(super) fn has_an_owner(fd: i32) {
    with_world_of(fd, |world| world.owners += 1);
}

pub(super) fn has_no_owner(fd: i32) {
    with_world_of(fd, |world| world.owners -= 1);
}

/// Its world will hear of it, if it still lives.
pub(super) fn has_been_closed(fd: i32) {
    with_world_of(fd, |world| world.closed.push(fd));
}

/// The numbers of one world, as long as it lives.
#[derive(Debug)]
pub(crate) struct Numbers {
    place: i32,
}

impl Numbers {
    /// The lowest that no other world of this thread has, nor has left to owners that outlive it.
    ///
    /// # Panics
    ///
    /// If a thousand worlds live on this thread.
    pub(crate) fn lease() -> Numbers {
        let place = WORLDS.try_with(|worlds| {
            let mut worlds = worlds.borrow_mut();
            let mut places = 0..WORLDS_MAX;
            let unknown = places.clone().find(|place| !worlds.contains_key(place));
            // Then some owners will never be dropped, such as those that were leaked.
            let place = unknown.or_else(|| places.find(|place| !worlds[place].lives));
            let place = place.expect("fewer than a thousand simulated worlds on one thread");
            let known = Known {
                lives: true,
                ..Known::default()
            };
            worlds.insert(place, known);
            place
        });
        // At the end of its thread nobody makes another one.
        Numbers {
            place: place.unwrap_or(0),
        }
    }

    pub(crate) fn first(&self) -> i32 {
        FIRST_SIMULATED + self.place * OPEN_MAX
    }

    /// Those of them that were closed on this thread since this was last asked.
    pub(crate) fn take_closed(&self) -> Vec<i32> {
        let closed = WORLDS.try_with(|worlds| {
            let mut worlds = worlds.borrow_mut();
            let known = worlds.get_mut(&self.place);
            known.map(|known| std::mem::take(&mut known.closed))
        });
        closed.ok().flatten().unwrap_or_default()
    }
}

impl Drop for Numbers {
    fn drop(&mut self) {
        with_world_of(self.first(), |world| world.lives = false);
    }
}

#[cfg(test)]
mod tests {
    use super::super::own;
    use super::*;

    #[test]
    fn numbers_of_worlds_that_live_at_the_same_time_are_different() {
        let (one, other) = (Numbers::lease(), Numbers::lease());
        assert_eq!(one.first(), FIRST_SIMULATED);
        assert_eq!(other.first(), FIRST_SIMULATED + OPEN_MAX);
        assert_eq!(in_any_world(other.first() + 7), one.first() + 7);
        assert_eq!(in_any_world(-9), -9);
        drop(one);
        assert_eq!(Numbers::lease().first(), FIRST_SIMULATED);
    }

    #[test]
    fn what_is_dropped_is_told_to_its_own_world() {
        let (one, other) = (Numbers::lease(), Numbers::lease());
        let (of_one, of_other) = (own(one.first() + 3), own(other.first() + 3));
        drop(of_other);
        assert_eq!(one.take_closed(), []);
        assert_eq!(other.take_closed(), [other.first() + 3]);
        drop(of_one);
        assert_eq!(one.take_closed(), [one.first() + 3]);
        assert_eq!(one.take_closed(), []);
    }

    #[test]
    fn numbers_are_not_used_again_while_somebody_owns_one_of_an_earlier_world() {
        let before = Numbers::lease();
        let outliving = own(before.first());
        drop(before);
        let next = Numbers::lease();
        assert_ne!(next.first(), FIRST_SIMULATED);
        drop(outliving);
        assert_eq!(next.take_closed(), []);
        assert_eq!(Numbers::lease().first(), FIRST_SIMULATED);
    }

    #[test]
    fn worlds_that_have_leaked_something_leave_their_numbers_in_the_end() {
        for _ in 0..WORLDS_MAX {
            let world = Numbers::lease();
            std::mem::forget(own(world.first()));
        }
        let (one, other) = (Numbers::lease(), Numbers::lease());
        assert_ne!(one.first(), other.first());
    }
}
