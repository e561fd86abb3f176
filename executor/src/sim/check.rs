//! [`check()`]: one test under many seeds.

use std::any::Any;
use std::ops::Range;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::process::{ExitCode, Termination};
use std::thread;

use super::Sim;
use super::twice::Twice;
use crate::driver::sim::Records;

/// Names the one seed that is to be run.
const SEED: &str = "KRUG_SIM_SEED";
/// Says how many seeds are to be run.
const SEEDS: &str = "KRUG_SIM_SEEDS";
/// Says that each seed is to be run twice.
const CHECK: &str = "KRUG_SIM_CHECK";

/// Runs `test` in a new world for each of `count` seeds, and panics with the first failure and its seed. Each world has a
/// thread of its own, so that what the standard library keeps for each thread is the same for the same seed. A test
/// fails by panicking, or by returning an error.
///
/// The environment has the last word:
///
/// | variable | what it does |
/// |---|---|
/// | `KRUG_SIM_SEED=17` | that seed is run, and no other |
/// | `KRUG_SIM_SEEDS=10000` | so many seeds are run |
/// | `KRUG_SIM_CHECK=1` | each seed is run twice; if the two runs differ, the first event in which they do is told |
/// | `KRUG_SIM_TRACE=run.txt` | what happens is written down: see [the module](super#traces) |
///
/// Two runs of one seed differ if a program looks at something that is not simulated, such as the address of an object, a
/// clock or a `HashMap` without [`interpose!`](crate::interpose), or what an earlier run has left behind in a global variable. The
/// events of both runs are kept for it, about 100 bytes for each, up to two million; of longer runs the fingerprints
/// are compared, too.
///
/// # Panics
///
/// With what `test` panics with, after a line that says which seed it was.
pub fn check<T: Termination>(count: u64, test: impl Fn(&mut Sim) -> T + Sync) {
    let is_twice = is_wanted(CHECK);
    for seed in seeds(count) {
        let first = run(seed, &test, is_twice);
        if is_twice {
            let second = run(seed, &test, true);
            let twice = Twice {
                seed,
                runs: [first.records, second.records],
            };
            if let Some(difference) = twice.difference() {
                panic!("{difference}");
            }
        }
        if let Err(payload) = first.outcome {
            eprintln!("to see it again: {}", again(seed));
            panic::resume_unwind(payload);
        }
    }
}

/// What came of a test under one seed.
struct Run {
    outcome: Result<(), Box<dyn Any + Send>>,
    /// What has happened, if it was to be kept.
    records: Records,
}

fn run<T: Termination>(seed: u64, test: &(impl Fn(&mut Sim) -> T + Sync), is_kept: bool) -> Run {
    let run = || {
        let mut sim = Sim::new(seed);
        if is_kept {
            sim.world.borrow_mut().keep_records();
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| conclude(test(&mut sim))));
        let records = sim.world.borrow_mut().take_records();
        // Its end may panic, too, which is no less a failure.
        drop(sim);
        Run { outcome, records }
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new().name(format!("seed {seed}"));
        let started = thread.spawn_scoped(scope, run);
        let run = started.expect("a thread can be started").join();
        run.unwrap_or_else(|payload| Run {
            outcome: Err(payload),
            records: Records::default(),
        })
    })
}

/// # Panics
///
/// If it is an error.
fn conclude(returned: impl Termination) {
    // An error is printed by this.
    let code = returned.report();
    assert!(code == ExitCode::SUCCESS, "the test has returned an error");
}

/// The line that runs this seed of the test on this thread again.
fn again(seed: u64) -> String {
    let test = thread::current();
    match test.name() {
        Some("main") | None => format!("{SEED}={seed}"),
        Some(test) => format!("{SEED}={seed} cargo test {test}"),
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

fn is_wanted(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|text| !text.is_empty() && text != "0")
}

/// # Panics
///
/// If the variable is there and holds no number.
fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable}={text}: it should be a whole number")))
}
