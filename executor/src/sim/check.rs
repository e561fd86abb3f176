//! [`check`]: one test under many seeds.

use std::ops::Range;
use std::panic;
use std::thread;

use super::Sim;

/// Names the one seed that is to be run.
const SEED: &str = "KRUG_SIM_SEED";
/// Says how many seeds are to be run.
const SEEDS: &str = "KRUG_SIM_SEEDS";

/// Runs `test` in a new world for each of `count` seeds, and panics with the first failure and its seed. Each world has a
/// thread of its own, so that what the standard library keeps for each thread is the same for the same seed.
///
/// The environment has the last word: `KRUG_SIM_SEED=17` runs that seed only, `KRUG_SIM_SEEDS=10000` so many.
///
/// # Panics
///
/// With what `test` panics with, after a line that says which seed it was.
pub fn check(count: u64, test: impl Fn(&mut Sim) + Sync) {
    for seed in seeds(count) {
        let run = || {
            let mut sim = Sim::new(seed);
            test(&mut sim);
        };
        let outcome = thread::scope(|scope| {
            let thread = thread::Builder::new().name(format!("seed {seed}"));
            let started = thread.spawn_scoped(scope, run);
            started.expect("a thread can be started").join()
        });
        if let Err(payload) = outcome {
            eprintln!("to see it again: {SEED}={seed}");
            panic::resume_unwind(payload);
        }
    }
}

fn seeds(count: u64) -> Range<u64> {
    match (number(SEED), number(SEEDS)) {
        (Some(seed), _) => seed..seed.saturating_add(1),
        (None, Some(count)) => 0..count,
        (None, None) => 0..count,
    }
}

/// The seed of the environment, or else this one.
pub fn seed(usual: u64) -> u64 {
    number(SEED).unwrap_or(usual)
}

/// # Panics
///
/// If the variable is there and holds no number.
fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable}={text}: it should be a whole number")))
}
