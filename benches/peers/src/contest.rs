//! Runs of all peers in turn, and what is told of them.

use std::io;

use krug_benches::harness::machine::Machine;
use krug_benches::harness::pairs::{Runs, interleave};
use krug_benches::harness::report::{self, Comparison, Line};
use krug_benches::harness::serving::on_first_core;
use krug_benches::harness::statistics::Summary;

use crate::options::Options;
use crate::peers::{self, Peer};
use crate::work::{Cannot, Took, Work};

/// One run of one peer.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// Operations a second, by which they are compared.
    pub(crate) rate: f64,
    /// What else is told of it.
    pub(crate) measures: Vec<(&'static str, f64)>,
}

/// What is compared.
#[derive(Debug)]
pub(crate) struct Contest<'a> {
    pub(crate) options: &'a Options,
    pub(crate) machine: &'a Machine,
    pub(crate) scenario: &'static str,
    pub(crate) what: String,
    /// Differences below it cannot be told apart here.
    pub(crate) resolution: f64,
}

impl Contest<'_> {
    /// Lets each peer do this work, and compares how much it does in a second.
    pub(crate) fn of_work(
        &self,
        work: &Work,
        per_second: fn(&Took) -> f64,
        peers: &[&'static Peer],
    ) -> io::Result<()> {
        self.hold(peers, |peer| {
            let took = on_first_core(|| (peer.run)(work))?;
            Ok(Run {
                rate: per_second(&took),
                measures: vec![(
                    "cpu_nanoseconds",
                    took.cpu.as_nanos() as f64 / took.operations as f64,
                )],
            })
        })
    }

    /// Runs the subject and all others in turn. Who cannot take part is named, with the reason.
    pub(crate) fn hold(
        &self,
        peers: &[&'static Peer],
        mut run: impl FnMut(&'static Peer) -> Result<Run, Cannot>,
    ) -> io::Result<()> {
        let pairs = self.options.pairs;
        println!("\n{}, {}; {pairs} pairs", self.scenario, self.what);
        let subject = peers::subject();
        let named =
            |peer: &Peer, error: Cannot| io::Error::other(format!("{}: {error}", peer.name));
        // Once before anything counts: it warms up, and shows who takes part.
        run(subject).map_err(|error| named(subject, error))?;
        let mut baselines = Vec::new();
        for peer in peers.iter().filter(|peer| peer.name != subject.name) {
            match run(peer) {
                Ok(_) => baselines.push(*peer),
                Err(Cannot::NotOffered(reason)) => self.skip(peer, reason)?,
                Err(error) => return Err(named(peer, error)),
            }
        }
        let runs = interleave(pairs, baselines.len(), |who| {
            let peer = who.of(subject, &baselines);
            run(peer).map_err(|error| named(peer, error))
        })?;
        for (peer, runs) in runs.rows(subject, &baselines) {
            self.tell(peer, runs)?;
        }
        for (index, peer) in baselines.iter().enumerate() {
            self.compare((subject, peer), &runs, index)?;
        }
        Ok(())
    }

    fn scenario(&self) -> String {
        format!("peers-{}", self.scenario)
    }

    fn line(&self, kind: &str) -> Line {
        let mut line = Line::of(self.machine, &self.scenario(), kind);
        line.text("what", &self.what);
        line
    }

    fn keep(&self, line: &Line) -> io::Result<()> {
        report::keep(self.options.json.as_deref(), line)
    }

    fn skip(&self, peer: &Peer, reason: &str) -> io::Result<()> {
        println!("{:<13} offers nothing: {reason}", peer.name);
        let mut line = self.line("skipped");
        line.text("peer", peer.name).text("cannot", reason);
        self.keep(&line)
    }

    fn tell(&self, peer: &Peer, runs: &[Run]) -> io::Result<()> {
        let rates: Vec<f64> = runs.iter().map(|run| run.rate).collect();
        let median = Summary::of(&rates).median;
        print!(
            "{:<13} {:>9.1} k/s {:>10.1} ns each",
            peer.name,
            median / 1e3,
            1e9 / median
        );
        let mut line = self.line("runs");
        line.text("peer", peer.name).numbers("rate", rates);
        for (place, (name, _)) in runs[0].measures.iter().enumerate() {
            let values: Vec<f64> = runs.iter().map(|run| run.measures[place].1).collect();
            print!("  {name} {:.2}", Summary::of(&values).median);
            line.numbers(name, values);
        }
        println!();
        self.keep(&line)
    }

    fn compare(
        &self,
        (subject, baseline): (&Peer, &Peer),
        runs: &Runs<Run>,
        index: usize,
    ) -> io::Result<()> {
        let sides = (subject.name, (index, baseline.name));
        let comparison = Comparison::of(runs, sides, self.resolution, |run| run.rate);
        println!("{}", comparison.describe());
        let mut line = comparison.line(self.machine, &self.scenario());
        line.text("what", &self.what);
        self.keep(&line)
    }
}
