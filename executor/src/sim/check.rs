//! [`check()`]: one test under many seeds.

use std::any::Any;
use std::ops::Range;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::process::{ExitCode, Termination};
use std::thread;

use super::running::message;
use super::shrink::{Rerun, quietly, shrink, signature};
use super::twice::Twice;
use super::{Failure, Sim};
use crate::driver::sim::{Fault, Records, Suffering, suffer};

/// Says which faults happen, and that no others do.
const FAULTS: &str = "KRUG_SIM_FAULTS";
/// Says, with 0, that a failing test is not run again with fewer faults.
const SHRINK: &str = "KRUG_SIM_SHRINK";
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
/// | `KRUG_SIM_FAULTS=net:3,disk:1` | of what goes wrong by chance only that does; a failing test says what to write here |
/// | `KRUG_SIM_SHRINK=0` | a failing test is not run again with less going wrong |
/// | `KRUG_SIM_TRACE=run.txt` | what happens is written down: see [the module](super#traces) |
///
/// A test that fails is run again, up to 100 times, with less going wrong: lost packets, short reads, failing syncs, interrupted operations
/// and what it has planned itself with [`Sim::at`], but for what mends something ([`bounce`](Sim::bounce), [`heal`](Sim::heal) and the
/// like). What lasts is made shorter. The least with which it fails in the same way is told, and a line that repeats that.
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
    let suffering = suffering();
    for seed in seeds(count) {
        let first = run(seed, &test, is_twice, suffering.clone());
        if is_twice {
            let second = run(seed, &test, true, suffering.clone());
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
            if let Some(signature) = first.signature
                && std::env::var_os(FAULTS).is_none()
                && is_usual(SHRINK)
            {
                tell_smallest(seed, &test, &signature);
            }
            panic::resume_unwind(payload);
        }
    }
}

/// What came of a test under one seed.
struct Run {
    outcome: Result<(), Box<dyn Any + Send>>,
    /// What has happened, if it was to be kept.
    records: Records,
    /// What has gone wrong, if that was to be kept.
    faults: Vec<Fault>,
    /// What it has failed with.
    signature: Option<String>,
}

fn run<T: Termination>(
    seed: u64,
    test: &(impl Fn(&mut Sim) -> T + Sync),
    is_kept: bool,
    suffering: Suffering,
) -> Run {
    let run = move || {
        let mut sim = suffer(suffering, || Sim::new(seed));
        if is_kept {
            sim.world.borrow_mut().keep_records();
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| conclude(test(&mut sim))));
        let records = sim.world.borrow_mut().take_records();
        let faults = sim.world.borrow().faults().take_met();
        let failure = sim.failure.as_ref().map(Failure::kind);
        let signature = match &outcome {
            Ok(()) => None,
            Err(payload) => Some(signature(&failure.unwrap_or_else(|| message(&**payload)))),
        };
        // Its end may panic, too, which is no less a failure.
        drop(sim);
        Run {
            outcome,
            records,
            faults,
            signature,
        }
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new().name(format!("seed {seed}"));
        let started = thread.spawn_scoped(scope, run);
        let run = started.expect("a thread can be started").join();
        run.unwrap_or_else(|payload| Run {
            outcome: Err(payload),
            records: Records::default(),
            faults: Vec::new(),
            signature: None,
        })
    })
}

/// Says with how little going wrong the test still fails.
fn tell_smallest<T: Termination>(
    seed: u64,
    test: &(impl Fn(&mut Sim) -> T + Sync),
    signature: &str,
) {
    let rerun = |suffering: Suffering| {
        let suffering = Suffering {
            is_rehearsal: true,
            ..suffering
        };
        let run = run(
            seed,
            &|sim: &mut Sim| quietly(|| test(sim)),
            false,
            suffering,
        );
        Rerun {
            signature: run.signature,
            faults: run.faults,
        }
    };
    if let Some(smallest) = shrink(signature, &rerun) {
        eprintln!("{smallest}");
        eprintln!(
            "to see only these: {FAULTS}={} {}",
            smallest.suffering,
            again(seed)
        );
    }
}

/// Which faults happen: all, or those of the environment.
///
/// # Panics
///
/// If the variable is there and holds something else.
fn suffering() -> Suffering {
    let Ok(text) = std::env::var(FAULTS) else {
        return Suffering::default();
    };
    let suffering = Suffering::parse(&text);
    suffering
        .unwrap_or_else(|| panic!("{FAULTS}={text}: it should be what a failing test has said"))
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

/// True unless the variable says 0.
fn is_usual(variable: &str) -> bool {
    std::env::var_os(variable).is_none_or(|text| text != "0")
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
