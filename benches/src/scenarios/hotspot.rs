//! Work that comes in unevenly: tasks of some microseconds that are all spawned on one core, which is another one each round; and the same
//! work spread evenly. Stealable tasks against tokio on as many threads.

use std::future::Future;
use std::hint::black_box;
use std::io;
use std::time::Instant;

use krug::runtime::{Driver, run_on_every};
use krug::spawn_stealable;

use crate::floor::system;
use crate::harness::machine::Machine;
use crate::harness::pairs::{Runs, Who, interleave};
use crate::harness::report::{self, Comparison, Line};
use crate::harness::statistics::Summary;
use crate::options::Options;

/// How many tasks are spawned at once, on all cores together.
const BATCH: usize = 256;
/// Steps of computing in one task.
const STEPS: u64 = 2500;
/// A run has one task for so many `--operations`.
const ONE_IN: u64 = 10;
const RESOLUTION: f64 = 0.02;
const SIDES: (&str, &str) = ("krug, stealable", "tokio, multi-thread");

/// Tasks a second, in a run of so many rounds.
type Course = fn(&Options, rounds: usize) -> io::Result<f64>;

/// What is measured, of us and of tokio, and what it should come to.
const COURSES: [(&str, Course, Course, &str); 2] = [
    (
        "rotating hot spot",
        krug_hot_spot,
        tokio_hot_spot,
        "0.9 or more",
    ),
    ("balanced", krug_balanced, tokio_balanced, "ahead"),
];

pub(crate) fn run(options: &Options, machine: &Machine) -> io::Result<()> {
    let rounds = (options.operations / ONE_IN).div_ceil(BATCH as u64) as usize;
    println!(
        "\nhotspot, {rounds} batches of {BATCH} tasks of {:.1} µs each, {} cores, on {}",
        microseconds_of_a_task(),
        cores(),
        options.driver
    );
    for (what, ours, theirs, wanted) in COURSES {
        let runs = interleave(options.pairs, 1, |who| match who {
            Who::Subject => ours(options, rounds),
            Who::Baseline(_) => theirs(options, rounds),
        })?;
        tell(what, wanted, &runs);
        let mut line = Line::of(machine, "hotspot", "runs");
        line.text("what", what).text("driver", &options.driver);
        line.numbers("krug_tasks_per_second", runs.subject.iter().copied());
        line.numbers("tokio_tasks_per_second", runs.baselines[0].iter().copied());
        report::keep(options.json.as_deref(), &line)?;
        let mut line = comparison(&runs).line(machine, "hotspot");
        line.text("what", what).text("driver", &options.driver);
        report::keep(options.json.as_deref(), &line)?;
    }
    Ok(())
}

fn tell(what: &str, wanted: &str, runs: &Runs<f64>) {
    let (ours, theirs) = (Summary::of(&runs.subject), Summary::of(&runs.baselines[0]));
    println!(
        "{what:<18} krug {:>7.1} k tasks/s ({:.1}…{:.1}), tokio {:>7.1} ({:.1}…{:.1}); wanted: {wanted}",
        ours.median / 1e3,
        ours.minimum / 1e3,
        ours.maximum / 1e3,
        theirs.median / 1e3,
        theirs.minimum / 1e3,
        theirs.maximum / 1e3,
    );
    println!("  {}", comparison(runs).describe());
}

fn comparison(runs: &Runs<f64>) -> Comparison {
    Comparison::of(runs, (SIDES.0, (0, SIDES.1)), RESOLUTION, |speed| *speed)
}

fn cores() -> usize {
    system::allowed_cores().len()
}

/// What a task does.
fn compute(seed: u64) -> u64 {
    let mut state = black_box(seed | 1);
    for _ in 0..STEPS {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
    }
    black_box(state)
}

fn microseconds_of_a_task() -> f64 {
    let times: Vec<f64> = (0..100)
        .map(|seed| {
            let begin = Instant::now();
            compute(seed);
            begin.elapsed().as_nanos() as f64 / 1e3
        })
        .collect();
    Summary::of(&times).median
}

/// Tasks a second of `future`, which runs so many batches.
async fn timed(rounds: usize, future: impl Future<Output = ()>) -> f64 {
    let begin = Instant::now();
    future.await;
    (rounds * BATCH) as f64 / begin.elapsed().as_secs_f64()
}

fn krug_runtime(options: &Options) -> io::Result<krug::Runtime> {
    let driver = match options.driver.as_str() {
        "epoll" => Driver::Epoll,
        _ => Driver::Uring,
    };
    krug::Runtime::builder()
        .driver(driver)
        .cores(cores())
        .build()
}

/// Spawns so many tasks on this core, and joins them.
async fn krug_batch(count: usize) {
    let tasks = (0..count as u64).map(|seed| spawn_stealable(async move { compute(seed) }));
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("it neither panics nor is it aborted");
    }
}

fn krug_hot_spot(options: &Options, rounds: usize) -> io::Result<f64> {
    let runtime = krug_runtime(options)?;
    let cores = runtime.handles();
    Ok(runtime.block_on(timed(rounds, async {
        for round in 0..rounds {
            let batch = cores[round % cores.len()].call(|| krug_batch(BATCH));
            batch.await.expect("the core lives");
        }
    })))
}

fn krug_balanced(options: &Options, rounds: usize) -> io::Result<f64> {
    let runtime = krug_runtime(options)?;
    let share = BATCH / runtime.handles().len();
    Ok(runtime.block_on(timed(rounds, async {
        let service = move |_| async move {
            for _ in 0..rounds {
                krug_batch(share).await;
            }
        };
        run_on_every(service).await;
    })))
}

fn tokio_runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores())
        .enable_io()
        .build()
}

/// Spawns so many tasks on this worker, and joins them.
async fn tokio_batch(count: usize) {
    let tasks = (0..count as u64).map(|seed| tokio::spawn(async move { compute(seed) }));
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("it neither panics nor is it aborted");
    }
}

fn tokio_hot_spot(_: &Options, rounds: usize) -> io::Result<f64> {
    Ok(tokio_runtime()?.block_on(timed(rounds, async {
        for _ in 0..rounds {
            // On whichever worker takes it.
            let batch = tokio::spawn(tokio_batch(BATCH));
            batch.await.expect("it does not panic");
        }
    })))
}

fn tokio_balanced(_: &Options, rounds: usize) -> io::Result<f64> {
    let share = BATCH / cores();
    Ok(tokio_runtime()?.block_on(timed(rounds, async {
        let service = || async move {
            for _ in 0..rounds {
                tokio_batch(share).await;
            }
        };
        let parts: Vec<_> = (0..cores()).map(|_| tokio::spawn(service())).collect();
        for part in parts {
            part.await.expect("it does not panic");
        }
    })))
}
