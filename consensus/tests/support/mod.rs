//! What the randomised tests share: a seeded generator, how many schedules to run, and the seed on failure.
#![allow(dead_code, reason = "each test program uses its own part")]

use std::env;

/// splitmix64 by Sebastiano Vigna (public domain).
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// True in `percent` of a hundred cases.
    pub(crate) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// Runs a test once per seed, `usual` times or as often as `variable` says; `KRUG_SEED` runs that one alone.
/// If one panics, says which.
pub(crate) fn for_each_seed(variable: &str, usual: u64, mut test: impl FnMut(u64)) {
    let number = |name: &str| {
        env::var(name)
            .ok()
            .map(|text| text.parse().expect("a number"))
    };
    let seeds = match number("KRUG_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number(variable).unwrap_or(usual),
    };
    for seed in seeds {
        let told = TellSeed(seed);
        test(seed);
        std::mem::forget(told);
    }
}

struct TellSeed(u64);

impl Drop for TellSeed {
    fn drop(&mut self) {
        eprintln!("seed {}: repeat it alone with KRUG_SEED={}", self.0, self.0);
    }
}
