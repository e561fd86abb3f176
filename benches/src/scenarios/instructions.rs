//! Instructions instead of time: repeatable on every machine, blind to what the kernel does.

use std::io;
use std::process::{Command, Stdio};

use super::nop::BATCHES;
use crate::harness::machine::Machine;
use crate::harness::report::{self, Line};
use crate::options::Options;
use crate::peers::{self, Peer};

/// Operations of the two runs whose difference is counted, so that starting up does not count.
const OPERATIONS: [u64; 2] = [3_200, 16_000];

pub(super) fn run(
    options: &Options,
    machine: &Machine,
    subject: &'static Peer,
    baselines: &[&'static Peer],
) -> io::Result<()> {
    if Command::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        println!("skipped: instruction counts need valgrind, which is not installed");
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
pub(super) fn work(who: &str, batch: usize, operations: u64) -> io::Result<()> {
    let nops = peers::named(who)?
        .nops
        .ok_or_else(|| io::Error::other(format!("{who} has no ring")))?;
    nops(operations, batch).map(|_| ())
}

/// Instructions for each operation, and a command that shows where they go.
fn count(peer: &Peer, batch: usize) -> io::Result<(f64, String)> {
    let [few, many] = OPERATIONS;
    let (counted_few, _) = count_process(peer, batch, few)?;
    let (counted_many, command) = count_process(peer, batch, many)?;
    Ok((
        (counted_many as f64 - counted_few as f64) / (many - few) as f64,
        command,
    ))
}

fn count_process(peer: &Peer, batch: usize, operations: u64) -> io::Result<(u64, String)> {
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?);
    // A bench target fixes the scenario itself and measures only if it is told to.
    let is_bench_target = std::env::args().any(|argument| argument == "--bench");
    if is_bench_target {
        command.arg("--bench");
    } else {
        command.arg("nop");
    }
    command
        .arg("--counted")
        .arg(format!("{}:{batch}", peer.name));
    command.arg("--operations").arg(operations.to_string());
    let output = command.output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    let collected = collected(&told).filter(|_| output.status.success());
    let collected =
        collected.ok_or_else(|| io::Error::other(format!("valgrind counted nothing: {told}")))?;
    let arguments = command
        .get_args()
        .map(|argument| argument.to_string_lossy().into_owned());
    Ok((
        collected,
        format!("valgrind {}", arguments.collect::<Vec<_>>().join(" ")),
    ))
}

/// The number in `==17== Collected : 123456`.
fn collected(told: &str) -> Option<u64> {
    let line = told.lines().find(|line| line.contains("Collected :"))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_of_callgrind_is_read() {
        assert_eq!(
            collected("==17== Events    : Ir\n==17== Collected : 123456\n==17==\n"),
            Some(123_456)
        );
        assert_eq!(collected("==17== no such tool\n"), None);
    }
}
