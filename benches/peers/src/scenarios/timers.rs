//! Many tasks that sleep.

use std::io;

use krug_benches::harness::machine::Machine;

use super::of_others;
use crate::contest::Contest;
use crate::options::Options;
use crate::peers::Peer;
use crate::work::{Took, Work};

const RESOLUTION: f64 = 0.03;
const SLEEPS: u64 = 100_000;

pub(super) fn run(options: &Options, machine: &Machine, peers: &[&'static Peer]) -> io::Result<()> {
    let count = options.operations(SLEEPS);
    let contest = Contest {
        options,
        machine,
        scenario: "timers",
        what: format!("{count} tasks that sleep 1 to 100 ms at the same time, by processor time"),
        resolution: RESOLUTION,
    };
    contest.of_work(
        &Work::Sleep(count),
        per_second_of_processor,
        &of_others(peers),
    )
}

/// Sleeping takes as long for all; what it costs does not.
fn per_second_of_processor(took: &Took) -> f64 {
    took.operations as f64 / took.cpu.as_secs_f64()
}
