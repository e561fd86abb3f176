//! Random numbers for programs: fair and fast, repeatable in a simulation, not secret.
//!
//! Each core has a generator of its own, so there is no lock, and in a [simulation](crate::sim) what one host draws changes
//! nothing for the others. It begins with the runtime's [seed](crate::Builder::seed), which comes from the system
//! unless it is set. Outside a runtime a thread has a generator that begins with random bytes of the system.
//!
//! The generator is SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014): whoever sees
//! some of its numbers can tell the next ones. Keys and passwords need another source.
//!
//! ```
//! use std::time::Duration;
//! use krug::rand;
//!
//! # krug::Runtime::new().unwrap().block_on(async {
//! let pause = rand::duration(Duration::ZERO..Duration::from_millis(10));
//! krug::time::sleep(pause).await;
//! assert!(rand::below(6) < 6);
//! # });
//! ```

use std::ops::Range;
use std::time::Duration;

use crate::context;
use crate::random::Random;

thread_local! {
    static OUTSIDE: Random = Random::new(std::hash::BuildHasher::hash_one(
        &std::hash::RandomState::new(),
        0,
    ));
}

fn draw<T>(from: impl Fn(&Random) -> T) -> T {
    let drawn = context::with(|core| from(&core.numbers));
    drawn.unwrap_or_else(|| OUTSIDE.with(from))
}

/// Any number.
pub fn u64() -> u64 {
    draw(Random::next)
}

/// A number from 0 up to, but not including, `bound`.
///
/// # Panics
///
/// If `bound` is 0.
pub fn below(bound: u64) -> u64 {
    assert!(bound > 0, "no number is below 0");
    draw(|random| random.below_wide(bound))
}

/// True with this probability: never at 0 or less, always at 1 or more.
pub fn chance(probability: f64) -> bool {
    draw(|random| random.chance(probability))
}

/// A time in the range; its beginning if the range is empty.
pub fn duration(range: Range<Duration>) -> Duration {
    draw(|random| random.within(&range))
}

/// Fills `bytes`.
pub fn fill(bytes: &mut [u8]) {
    for chunk in bytes.chunks_mut(8) {
        let drawn = u64().to_le_bytes();
        chunk.copy_from_slice(&drawn[..chunk.len()]);
    }
}

/// Puts `items` into an order that is drawn; each is as likely as the others (Fisher and Yates, in Durstenfeld's form).
pub fn shuffle<T>(items: &mut [T]) {
    for last in (1..items.len()).rev() {
        let chosen = below(last as u64 + 1) as usize;
        items.swap(last, chosen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Builder;

    fn drawn(seed: u64) -> Vec<u64> {
        let runtime = Builder::new().seed(seed).build().unwrap();
        runtime.block_on(async { (0..8).map(|_| u64()).collect() })
    }

    #[test]
    fn a_runtime_draws_by_its_seed() {
        assert_eq!(drawn(4), drawn(4));
        assert_ne!(drawn(4), drawn(5));
    }

    #[test]
    fn what_select_draws_shifts_nothing() {
        let runtime = Builder::new().seed(4).build().unwrap();
        let numbers: Vec<u64> = runtime.block_on(async {
            let mut numbers = Vec::new();
            for _ in 0..8 {
                crate::select! {
                    () = async {} => {}
                    () = async {} => {}
                }
                numbers.push(u64());
            }
            numbers
        });
        assert_eq!(numbers, drawn(4));
    }

    #[test]
    fn numbers_can_be_drawn_outside_a_runtime() {
        assert!((0..100).all(|_| below(3) < 3));
        assert_ne!(u64(), u64());
        let (hour, day) = (Duration::from_secs(3600), Duration::from_secs(86_400));
        assert!((hour..day).contains(&duration(hour..day)));
        assert!(chance(1.0) && !chance(0.0));
    }

    #[test]
    fn every_byte_is_filled_and_every_item_kept() {
        let mut ever_set = [false; 21];
        for _ in 0..64 {
            let mut bytes = [0; 21];
            fill(&mut bytes);
            for (seen, byte) in ever_set.iter_mut().zip(bytes) {
                *seen |= byte != 0;
            }
        }
        assert_eq!(ever_set, [true; 21]);
        let mut items: Vec<u32> = (0..50).collect();
        shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }

    #[test]
    #[should_panic(expected = "below 0")]
    fn no_number_is_below_zero() {
        below(0);
    }
}
