//! Requests that do nothing, of each contestant.

use std::io;

use crate::harness::callgrind;
use crate::harness::machine::Machine;
use crate::harness::report::{self, Line};
use crate::options::Options;
use crate::peers::{self, Peer};
use crate::scenarios::nop::BATCHES;

/// Operations of the two runs whose difference is counted.
const OPERATIONS: [u64; 2] = [3_200, 16_000];

pub(in crate::scenarios) fn run(
    options: &Options,
    machine: &Machine,
    subject: &'static Peer,
    baselines: &[&'static Peer],
) -> io::Result<()> {
    if !callgrind::is_installed() {
        println!("{}", super::NO_VALGRIND);
        return Ok(());
    }
    for batch in BATCHES {
        println!("\nnop, batches of {batch}: instructions of user space for each operation");
        for peer in std::iter::once(&subject).chain(baselines) {
            let (count, command) = count(peer, batch)?;
            println!("{:<8} {count:>8.1}   {command}", peer.name);
            let mut line = Line::of(machine, "nop", "instructions");
            line.text("peer", peer.name)
                .number("batch", batch as f64)
                .number("instructions", count);
            report::keep(options.json.as_deref(), &line)?;
        }
    }
    Ok(())
}

/// What the counted process does.
pub(in crate::scenarios) fn work(who: &str, batch: usize, operations: u64) -> io::Result<()> {
    let nops = peers::named(who)?
        .nops
        .ok_or_else(|| io::Error::other(format!("{who} has no ring")))?;
    nops(operations, batch).map(|_| ())
}

/// Instructions for each operation, and a command that shows where they go.
fn count(peer: &Peer, batch: usize) -> io::Result<(f64, String)> {
    // A bench target fixes the scenario itself and measures only if it is told to.
    let is_bench_target = std::env::args().any(|argument| argument == "--bench");
    let first = if is_bench_target { "--bench" } else { "nop" };
    callgrind::count_each(OPERATIONS, |operations| {
        let counted = format!("{}:{batch}", peer.name);
        let operations = operations.to_string();
        let words = [first, "--counted", &counted, "--operations", &operations];
        words.map(str::to_owned).to_vec()
    })
}
