//! Many worlds, one seed each, on as many threads as there are processors.

use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::Carrier;
use super::plan::Plan;
use super::stage::{self, Outcome};

/// A world, and how long it took on this machine's clock.
#[derive(Clone, Debug)]
pub struct Told {
    /// Its seed.
    pub seed: u64,
    /// What it has come to, or what was wrong.
    pub outcome: Result<Outcome, String>,
    /// What it cost.
    pub took: Duration,
}

/// What a seed leads to.
pub type Scenario = fn(u64) -> Result<Outcome, String>;

/// Nothing goes wrong, over TCP.
///
/// # Errors
///
/// As [`stage::run`].
pub fn undisturbed(seed: u64) -> Result<Outcome, String> {
    stage::run(&Plan::undisturbed(seed, Carrier::Tcp), None)
}

/// Everything goes wrong, then all is mended.
///
/// # Errors
///
/// As [`stage::run`].
pub fn storm(seed: u64) -> Result<Outcome, String> {
    stage::run(&Plan::storm(seed), None)
}

/// One hero is removed for ever when any one thing happens, and nothing else goes wrong.
///
/// # Errors
///
/// As [`stage::run`].
pub fn removal(seed: u64) -> Result<Outcome, String> {
    /// So much happens until the word is spoken, or a little more.
    const EVENTS: u64 = 40_000;
    let (plan, hero) = Plan::removal(seed);
    let events = crate::program::draws::Draws::stream(seed, 7 << 32).below(EVENTS);
    stage::run(&plan, Some((hero, events)))
}

/// Runs all of `seeds`, on as many threads as there are processors, and calls `tell` with each as it ends, in no order. Stops
/// early when `tell` says so.
///
/// # Panics
///
/// If no thread can be started.
pub fn run(seeds: RangeInclusive<u64>, scenario: Scenario, tell: impl FnMut(Told) -> bool + Send) {
    keep_memory();
    let (next, last) = (AtomicU64::new(*seeds.start()), *seeds.end());
    let is_over = AtomicBool::new(false);
    let tell = Mutex::new(tell);
    let work = || {
        while !is_over.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            // Behind the greatest number comes the least.
            if seed > last || seed < *seeds.start() {
                return;
            }
            let told = run_one(seed, scenario);
            let mut tell = tell.lock().unwrap_or_else(PoisonError::into_inner);
            if !tell(told) {
                is_over.store(true, Ordering::Relaxed);
            }
        }
    };
    let processors = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..processors {
            scope.spawn(work);
        }
    });
}

/// Each world takes some megabytes, and gives them back. The C library would hand them to the system each time, which then has to
/// clear them for the next world: a tenth of the time. It keeps more when it has seen a large piece come back.
fn keep_memory() {
    const PIECE: usize = 16 << 20;
    drop(std::hint::black_box(Vec::<u8>::with_capacity(PIECE)));
}

fn run_one(seed: u64, scenario: Scenario) -> Told {
    let begin = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| scenario(seed)));
    Told {
        seed,
        outcome: outcome.unwrap_or_else(|_| Err("the world itself has panicked".to_owned())),
        took: begin.elapsed(),
    }
}
