//! What tasks cost that do no I/O.

use std::io;

use krug_benches::harness::machine::Machine;

use super::{of_others, per_second};
use crate::contest::Contest;
use crate::options::Options;
use crate::peers::Peer;
use crate::work::Work;

const RESOLUTION: f64 = 0.03;
const OPERATIONS: u64 = 1_000_000;

pub(super) fn run(options: &Options, machine: &Machine, peers: &[&'static Peer]) -> io::Result<()> {
    let count = options.operations(OPERATIONS);
    for (what, work) in [
        (
            "spawn and join in batches of 64",
            Work::SpawnInBatches(count),
        ),
        ("spawn and join one by one", Work::SpawnOneByOne(count)),
        ("yield, one task", Work::Yield(count, 1)),
        ("yield, two tasks", Work::Yield(count, 2)),
        ("there and back through two channels", Work::Channel(count)),
    ] {
        let contest = Contest {
            options,
            machine,
            scenario: "tasks",
            what: what.to_owned(),
            resolution: RESOLUTION,
        };
        contest.of_work(&work, per_second, &of_others(peers))?;
    }
    println!("\nchannel; yield of a task:");
    for peer in of_others(peers) {
        println!("{:<13} {}; {}", peer.name, peer.channel, peer.yielding);
    }
    Ok(())
}
