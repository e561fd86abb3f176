//! Reads from a file that lies in the kernel's cache.

use std::fs;
use std::io;

use krug_benches::harness::machine::Machine;

use super::{of_others, per_second};
use crate::contest::Contest;
use crate::options::Options;
use crate::peers::Peer;
use crate::work::{self, Reads, Work};

const RESOLUTION: f64 = 0.03;
const READS: u64 = 200_000;

pub(super) fn run(options: &Options, machine: &Machine, peers: &[&'static Peer]) -> io::Result<()> {
    let path = std::env::temp_dir().join(format!("krug-peers-{}", std::process::id()));
    let outcome = work::make_file(&path).and_then(|()| {
        options.depths.iter().try_for_each(|depth| {
            let contest = Contest {
                options,
                machine,
                scenario: "files",
                what: format!("4 KiB in the kernel's cache, {depth} at once"),
                resolution: RESOLUTION,
            };
            let reads = Reads {
                path: path.clone(),
                depth: *depth,
                count: options.operations(READS),
            };
            contest.of_work(&Work::Read(reads), per_second, &of_others(peers))
        })
    });
    // If it could not be made there may be nothing to remove.
    let _ = fs::remove_file(&path);
    outcome
}
