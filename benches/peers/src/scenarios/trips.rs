//! Messages to another task of the same thread and back.

use std::io;

use krug_benches::harness::machine::Machine;

use super::{of_others, per_second};
use crate::contest::Contest;
use crate::options::Options;
use crate::peers::Peer;
use crate::work::{Trips, Work};

const RESOLUTION: f64 = 0.03;
const ROUNDS: u64 = 200_000;

pub(super) fn pipes(
    options: &Options,
    machine: &Machine,
    peers: &[&'static Peer],
) -> io::Result<()> {
    compare("pipes", Work::Pipe, options, machine, peers)
}

pub(super) fn unix(
    options: &Options,
    machine: &Machine,
    peers: &[&'static Peer],
) -> io::Result<()> {
    compare("unix", Work::Unix, options, machine, peers)
}

fn compare(
    scenario: &'static str,
    work: fn(Trips) -> Work,
    options: &Options,
    machine: &Machine,
    peers: &[&'static Peer],
) -> io::Result<()> {
    let trips = Trips {
        bytes: options.bytes,
        count: options.operations(ROUNDS),
    };
    let contest = Contest {
        options,
        machine,
        scenario,
        what: format!("{} bytes there and back", trips.bytes),
        resolution: RESOLUTION,
    };
    contest.of_work(&work(trips), per_second, &of_others(peers))
}
