//! Requests that do nothing: what is left is what the executor adds.

use std::io;
use std::time::Instant;

use super::{contestants, instructions};
use crate::harness::machine::Machine;
use crate::harness::pairs::{Runs, interleave};
use crate::harness::report::{self, Comparison, Line};
use crate::harness::serving::on_first_core;
use crate::harness::statistics::Summary;
use crate::options::Options;
use crate::peers::Peer;

pub(super) const BATCHES: [usize; 2] = [1, 32];

const RESOLUTION: f64 = 0.02;

pub(crate) fn run(options: &Options, machine: &Machine) -> io::Result<()> {
    let (subject, baselines) = contestants(options, |peer| peer.nops.is_some())?;
    if options.instructions {
        return instructions::peers::run(options, machine, subject, &baselines);
    }
    for batch in BATCHES {
        println!(
            "\nnop, batches of {batch}; {} pairs of {} operations",
            options.pairs, options.operations
        );
        let runs = interleave(options.pairs, baselines.len(), |who| {
            nanoseconds_each(who.of(subject, &baselines), options.operations, batch)
        })?;
        tell(subject, &baselines, &runs);
        keep(options, machine, (subject, &baselines), batch, &runs)?;
    }
    Ok(())
}

fn nanoseconds_each(peer: &'static Peer, operations: u64, batch: usize) -> io::Result<f64> {
    let nops = peer.nops.expect("only contestants that can");
    on_first_core(|| {
        let start = Instant::now();
        let done = nops(operations, batch)?;
        Ok(start.elapsed().as_nanos() as f64 / done as f64)
    })
}

fn tell(subject: &Peer, baselines: &[&Peer], runs: &Runs<f64>) {
    let own = Summary::of(&runs.subject);
    println!(
        "{:<8} {:>8.1} ns each ({:.1}…{:.1})",
        subject.name, own.median, own.minimum, own.maximum
    );
    for (index, peer) in baselines.iter().enumerate() {
        let theirs = Summary::of(&runs.baselines[index]);
        println!(
            "{:<8} {:>8.1} ns each ({:.1}…{:.1})",
            peer.name, theirs.median, theirs.minimum, theirs.maximum
        );
        println!(
            "{} adds {:.1} ns to each",
            subject.name,
            own.median - theirs.median
        );
        println!("{}", comparison(subject, peer, runs, index).describe());
    }
}

/// Of speeds, like every comparison: above 1 means fewer nanoseconds.
fn comparison(subject: &Peer, baseline: &Peer, runs: &Runs<f64>, index: usize) -> Comparison {
    let sides = (subject.name, (index, baseline.name));
    Comparison::of(runs, sides, RESOLUTION, |nanoseconds| 1e9 / nanoseconds)
}

fn keep(
    options: &Options,
    machine: &Machine,
    (subject, baselines): (&Peer, &[&Peer]),
    batch: usize,
    runs: &Runs<f64>,
) -> io::Result<()> {
    for (peer, row) in runs.rows(subject, baselines) {
        let mut line = Line::of(machine, "nop", "runs");
        line.text("peer", peer.name).number("batch", batch as f64);
        line.numbers("nanoseconds", row.iter().copied());
        report::keep(options.json.as_deref(), &line)?;
    }
    for (index, peer) in baselines.iter().enumerate() {
        let mut line = comparison(subject, peer, runs, index).line(machine, "nop");
        line.number("batch", batch as f64);
        report::keep(options.json.as_deref(), &line)?;
    }
    Ok(())
}
