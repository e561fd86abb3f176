//! An echo over TCP done in another manner, against the same server as it is done usually.

use std::io;

use super::course::{field, skip, tell_ratios};
use super::echo::{self, Run};
use super::served;
use crate::harness::machine::Machine;
use crate::harness::pairs::{Who, interleave};
use crate::harness::report::{self, Line};
use crate::harness::statistics::Summary;
use crate::options::Options;
use crate::peers::{self, Peer};

/// As of every echo over TCP.
const RESOLUTION: f64 = 0.04;

/// What is compared.
pub(super) struct Manner {
    pub(super) scenario: &'static str,
    pub(super) what: &'static str,
    pub(super) wanted: &'static str,
    /// The servers, whose names end with `suffix`; without it they are the usual ones.
    pub(super) servers: &'static [Peer],
    pub(super) suffix: &'static str,
    /// Messages sent at once on each connection.
    pub(super) in_flight: usize,
}

/// The same server twice.
struct Pair {
    with: &'static Peer,
    without: &'static Peer,
}

impl Manner {
    fn pairs(&self) -> io::Result<Vec<Pair>> {
        let pair = |with: &'static Peer| {
            let without = peers::named(with.name.trim_end_matches(self.suffix))?;
            Ok(Pair { with, without })
        };
        self.servers.iter().map(pair).collect()
    }
}

pub(super) fn run(options: &Options, machine: &Machine, manner: &Manner) -> io::Result<()> {
    let all = manner.pairs()?;
    let Some((subject, others)) = field(options, &all, |pair| pair.without.name)? else {
        skip(manner.scenario);
        return Ok(());
    };
    println!(
        "\n{}, an echo {}, {} bytes × {} connections, {} in flight on each; {} pairs of {} s; wanted: {}",
        manner.scenario,
        manner.what,
        options.bytes,
        options.connections,
        manner.in_flight,
        options.pairs,
        options.measured.as_secs_f64(),
        manner.wanted
    );
    println!(
        "{:<22} {:>9} {:>11} {:>13} {:>14}",
        "", "k msg/s", "µs of CPU", "calls per msg", "enters per msg"
    );
    std::iter::once(subject)
        .chain(others)
        .try_for_each(|pair| compare(options, machine, manner, pair))
}

fn compare(options: &Options, machine: &Machine, manner: &Manner, pair: &Pair) -> io::Result<()> {
    let runs = interleave(options.pairs, 1, |who| {
        let peer = match who {
            Who::Subject => pair.with,
            Who::Baseline(_) => pair.without,
        };
        echo::run_once(peer, options, manner.in_flight)
            .map_err(|error| io::Error::other(format!("{}: {error}", peer.name)))
    })?;
    for (peer, row) in [
        (pair.without, &runs.baselines[0]),
        (pair.with, &runs.subject),
    ] {
        let seen = served::look(peer, options, manner.in_flight)?;
        let median = |measure: fn(&Run) -> f64| {
            Summary::of(&row.iter().map(measure).collect::<Vec<_>>()).median
        };
        let enters = row.last().and_then(Run::enters_per_message);
        println!(
            "{:<22} {:>9.1} {:>11.2} {:>13} {:>14}",
            peer.name,
            median(Run::rate) / 1e3,
            median(Run::server_cost),
            seen.describe_calls(),
            enters.map_or_else(|| "-".to_owned(), |enters| format!("{enters:.3}")),
        );
        let mut line = Line::of(machine, manner.scenario, "runs");
        line.text("what", manner.what).text("peer", peer.name);
        line.number("bytes", options.bytes as f64)
            .number("connections", options.connections as f64)
            .number("in_flight", manner.in_flight as f64);
        line.numbers("messages_per_second", row.iter().map(Run::rate));
        line.numbers("server_cpu_us", row.iter().map(Run::server_cost));
        match &seen.calls {
            Ok(calls) => line.number("calls_per_message", *calls),
            Err(reason) => line.text("calls_unknown", reason),
        };
        if let Some(enters) = enters {
            line.number("enters_per_message", enters);
        }
        report::keep(options.json.as_deref(), &line)?;
    }
    let field = (pair.with.name, &[pair.without.name][..]);
    let compared = (manner.scenario, manner.what, RESOLUTION);
    tell_ratios(options, machine, compared, field, &runs, Run::rate)
}

/// Every server in both manners sends back what comes.
#[cfg(test)]
pub(super) fn echoes_in_both_manners(manner: &Manner) {
    use crate::options::{Parsed, parse};

    let line = "echo --quick --connections 3 --seconds 0.05";
    let Ok(Parsed::Run(options)) = parse(line.split_whitespace().map(str::to_owned)) else {
        panic!("{line}")
    };
    let pairs = manner.pairs().unwrap();
    assert_eq!(pairs.len(), manner.servers.len());
    for pair in pairs {
        assert_ne!(pair.with.name, pair.without.name);
        for peer in [pair.with, pair.without] {
            let run = echo::run_together(peer, &options, manner.in_flight)
                .unwrap_or_else(|error| panic!("{}: {error}", peer.name));
            assert!(run.rate() > 0.0, "{}: nothing came back", peer.name);
        }
    }
}
