//! Work of the executor whose instructions are counted, so that a change that makes it longer is seen.
//!
//! A crate of its own, compiled as one unit: what the compiler puts inline here does not change with the scenarios of the
//! benchmarks, only with krug and with the work itself.
//!
//! Each [`Workload`] does one thing again and again, on one core of the io_uring driver, and nothing in it depends on time or chance.

mod workloads;

use std::io;

use krug::Runtime;
use krug::runtime::Driver;

/// The compiler that has made this code: another one makes other counts.
pub const COMPILER: &str = env!("KRUG_COUNTED_COMPILER");

/// Something that is done so many times.
#[derive(Debug)]
pub struct Workload {
    /// In the baseline, too.
    pub name: &'static str,
    /// Operations of the two runs whose difference is counted, so that starting up does not count.
    pub operations: [u64; 2],
    run: fn(u64) -> io::Result<()>,
}

impl Workload {
    /// Does it so many times.
    ///
    /// # Errors
    ///
    /// If there is no ring to be had, or what came back is not what was sent.
    pub fn run(&self, operations: u64) -> io::Result<()> {
        (self.run)(operations)
    }
}

/// All of them.
pub const ALL: &[Workload] = &[
    Workload {
        name: "nop, 1 at a time",
        operations: [3_200, 16_000],
        run: |operations| workloads::nops(operations, 1),
    },
    Workload {
        name: "nop, 32 at a time",
        operations: [3_200, 16_000],
        run: |operations| workloads::nops(operations, 32),
    },
    Workload {
        name: "spawn and join, one by one",
        operations: [3_000, 15_000],
        run: workloads::spawn_one_by_one,
    },
    Workload {
        name: "spawn and join, 1000 at once",
        operations: [3_000, 15_000],
        run: workloads::spawn_in_batches,
    },
    Workload {
        name: "yield",
        operations: [3_000, 15_000],
        run: workloads::yields,
    },
    Workload {
        name: "channel, there and back",
        operations: [3_000, 15_000],
        run: workloads::channel,
    },
    Workload {
        name: "sleep, 10000 at once",
        operations: [10_000, 30_000],
        run: workloads::sleeps,
    },
    Workload {
        name: "Unix stream, there and back",
        operations: [2_000, 10_000],
        run: |operations| workloads::stream(operations, false),
    },
    Workload {
        name: "Unix stream, there and back, a timeout around each receive",
        operations: [2_000, 10_000],
        run: |operations| workloads::stream(operations, true),
    },
];

/// Whether this machine lets anything of it run.
///
/// # Errors
///
/// If it has no ring for us.
pub fn is_possible() -> io::Result<()> {
    runtime().map(drop)
}

fn runtime() -> io::Result<Runtime> {
    Runtime::builder().driver(Driver::Uring).seed(33).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_runs_and_no_name_is_given_twice() {
        if let Err(error) = is_possible() {
            eprintln!("skipped: {error}");
            return;
        }
        for (index, workload) in ALL.iter().enumerate() {
            workload.run(40).unwrap();
            let is_new = ALL[..index].iter().all(|known| known.name != workload.name);
            assert!(is_new, "{}", workload.name);
            assert!(workload.operations[0] < workload.operations[1]);
        }
    }
}
