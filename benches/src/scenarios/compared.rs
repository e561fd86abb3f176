//! Models of one kind, measured in turn: a table, ratios, and lines of JSON.

use std::io;

use super::course::field_without;
use crate::harness::machine::Machine;
use crate::harness::meter::Measured;
use crate::harness::pairs::{Runs, interleave};
use crate::harness::report::{self, Comparison, Line};
use crate::harness::statistics::Summary;
use crate::options::Options;
use crate::peers::OURS;

/// Smaller differences come and go with the placement of memory.
const RESOLUTION: f64 = 0.04;

/// The name of the bare loop, where there is one.
pub(super) const FLOOR: &str = "floor";

/// The names of the subject, and of those that it is compared with.
pub(super) type Chosen = (&'static str, Vec<&'static str>);

/// The names of the subject and of those that it is compared with, of those that there are. Nothing, if none is left
/// and every scenario was asked for.
pub(super) fn choose(options: &Options, names: &[&'static str]) -> io::Result<Option<Chosen>> {
    // Whom the machine refuses is seen by a trial.
    let field = field_without(options, names, |name| name, |_| None)?;
    Ok(field.map(|(subject, baselines)| (*subject, baselines.into_iter().copied().collect())))
}

/// Leaves out those that the machine refuses, and tells why. Nothing, if there is nothing left to compare.
pub(super) fn able(
    what: &str,
    (subject, baselines): &Chosen,
    mut trial: impl FnMut(&'static str) -> io::Result<()>,
    mut refused: impl FnMut(&'static str, &str) -> io::Result<()>,
) -> io::Result<Option<Chosen>> {
    let mut able = Vec::new();
    for name in std::iter::once(subject).chain(baselines) {
        match trial(name) {
            Ok(()) => able.push(*name),
            Err(error) if is_refusal(&error) => {
                println!("{what}: {name} cannot: {error}");
                refused(name, &error.to_string())?;
            }
            Err(error) => return Err(io::Error::new(error.kind(), format!("{name}: {error}"))),
        }
    }
    if able.first() != Some(subject) || able.len() < 2 {
        println!("{what}: skipped: nothing is left to compare with {subject}");
        return Ok(None);
    }
    let baselines = baselines.iter().copied().filter(|name| able.contains(name));
    Ok(Some((subject, baselines.collect())))
}

/// What is forbidden, missing or scarce, other than what has gone wrong.
fn is_refusal(error: &io::Error) -> bool {
    use io::ErrorKind::{OutOfMemory, PermissionDenied, Unsupported, WouldBlock};
    matches!(
        error.kind(),
        Unsupported | PermissionDenied | OutOfMemory | WouldBlock
    )
}

/// The runs of one comparison.
pub(super) struct Compared {
    /// What is counted, for example `read`.
    unit: &'static str,
    subject: &'static str,
    baselines: Vec<&'static str>,
    runs: Runs<Measured>,
}

impl Compared {
    /// Has all run in turn.
    pub(super) fn measure(
        options: &Options,
        unit: &'static str,
        (subject, baselines): Chosen,
        mut run: impl FnMut(&'static str) -> io::Result<Measured>,
    ) -> io::Result<Compared> {
        let runs = interleave(options.pairs, baselines.len(), |who| {
            let name = who.of(subject, &baselines);
            run(name).map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))
        })?;
        Ok(Compared {
            unit,
            subject,
            baselines,
            runs,
        })
    }

    fn rows(&self) -> impl Iterator<Item = (&'static str, &[Measured])> {
        self.runs.rows(self.subject, &self.baselines)
    }

    /// The median rate of each, a second.
    pub(super) fn rates(&self) -> impl Iterator<Item = (&'static str, f64)> {
        self.rows()
            .map(|(name, runs)| (name, median(runs, |run| run.rate)))
    }

    /// The median time on processors for one, in microseconds.
    pub(super) fn costs(&self) -> impl Iterator<Item = (&'static str, f64)> {
        self.rows()
            .map(|(name, runs)| (name, median(runs, Measured::cpu_us)))
    }

    pub(super) fn tell(&self) {
        let unit = self.unit;
        println!(
            "{:<16} {:>10} {:>14} {:>11} {:>10} {:>10} {:>16}",
            "",
            format!("k {unit}s/s"),
            format!("µs CPU per {unit}"),
            "cores busy",
            "p50 µs",
            "p99 µs",
            format!("calls per {unit}"),
        );
        for (name, runs) in self.rows() {
            println!(
                "{name:<16} {:>10.1} {:>14.3} {:>11.2} {:>10} {:>10} {:>16}",
                median(runs, |run| run.rate) / 1e3,
                median(runs, Measured::cpu_us),
                median(runs, |run| run.load),
                or_dash(median_of(runs, |run| run.latency_us(0.5)), 1),
                or_dash(median_of(runs, |run| run.latency_us(0.99)), 1),
                or_dash(median_of(runs, Measured::calls_each), 3),
            );
        }
        for index in 0..self.baselines.len() {
            println!("{}", self.comparison(index).describe());
        }
        println!(
            "differences below {:.0} % are not resolved",
            RESOLUTION * 100.0
        );
    }

    pub(super) fn comparison(&self, index: usize) -> Comparison {
        let sides = (self.subject, (index, self.baselines[index]));
        Comparison::of(&self.runs, sides, RESOLUTION, |run| run.rate)
    }

    /// One line with what a bar is about: where the subject stands to the floor, and to the best of the others.
    pub(super) fn stand(&self) -> String {
        let ours = median(&self.runs.subject, |run| run.rate) / 1e3;
        let cpu = median(&self.runs.subject, Measured::cpu_us);
        let mut text = format!("{ours:.1} k/s, {cpu:.2} µs of CPU each");
        let named = |index: &usize| self.baselines[*index];
        let rate = |index: &usize| median(&self.runs.baselines[*index], |run| run.rate);
        let all = 0..self.baselines.len();
        let floor = all.clone().find(|index| named(index) == FLOOR);
        let best = all
            .filter(|index| named(index) != FLOOR && !named(index).starts_with(OURS))
            .max_by(|left, right| rate(left).total_cmp(&rate(right)));
        if let Some(index) = floor {
            text += &format!(
                "; {:.3} of the floor",
                self.comparison(index).summary().median
            );
        }
        if let Some(index) = best {
            let ratio = self.comparison(index).summary().median;
            text += &format!("; {ratio:.3} of the best peer, {}", named(&index));
        }
        text
    }

    /// What was measured, for programs; `circumstances` adds what was asked for.
    pub(super) fn keep(
        &self,
        options: &Options,
        machine: &Machine,
        scenario: &str,
        circumstances: impl Fn(&mut Line),
    ) -> io::Result<()> {
        for (name, runs) in self.rows() {
            let mut line = Line::of(machine, scenario, "runs");
            line.text("peer", name).text("unit", self.unit);
            line.numbers("rate", runs.iter().map(|run| run.rate));
            line.numbers("cpu_us", runs.iter().map(Measured::cpu_us));
            line.numbers("cores_busy", runs.iter().map(|run| run.load));
            for (field, quantile) in [("p50_us", 0.5), ("p99_us", 0.99)] {
                let values: Vec<f64> = runs
                    .iter()
                    .filter_map(|run| run.latency_us(quantile))
                    .collect();
                if !values.is_empty() {
                    line.numbers(field, values);
                }
            }
            if let Some(calls) = median_of(runs, Measured::calls_each) {
                line.number("calls_each", calls);
            }
            line.number("seconds", options.measured.as_secs_f64());
            circumstances(&mut line);
            report::keep(options.json.as_deref(), &line)?;
        }
        for index in 0..self.baselines.len() {
            let mut line = self.comparison(index).line(machine, scenario);
            circumstances(&mut line);
            report::keep(options.json.as_deref(), &line)?;
        }
        Ok(())
    }
}

/// One plot: where its points go.
pub(super) struct Plot<'a> {
    pub(super) options: &'a Options,
    pub(super) machine: &'a Machine,
    pub(super) scenario: &'a str,
    pub(super) title: &'a str,
    pub(super) x_label: &'a str,
    pub(super) y_label: &'a str,
}

impl Plot<'_> {
    /// A point of a series; or why it has none there.
    pub(super) fn keep(&self, series: &str, x: usize, y: Result<f64, &str>) -> io::Result<()> {
        let mut line = Line::of(self.machine, self.scenario, "curve");
        line.text("plot", self.title).text("series", series);
        line.text("x_label", self.x_label)
            .text("y_label", self.y_label);
        line.number("x", x as f64);
        match y {
            Ok(y) => line.number("y", y),
            Err(reason) => line.text("cannot", reason),
        };
        report::keep(self.options.json.as_deref(), &line)
    }
}

fn median(runs: &[Measured], measure: impl Fn(&Measured) -> f64) -> f64 {
    Summary::of(&runs.iter().map(measure).collect::<Vec<_>>()).median
}

/// Of the runs that know it; nothing if none does.
fn median_of(runs: &[Measured], measure: impl Fn(&Measured) -> Option<f64>) -> Option<f64> {
    let values: Vec<f64> = runs.iter().filter_map(measure).collect();
    (!values.is_empty()).then(|| Summary::of(&values).median)
}

fn or_dash(value: Option<f64>, places: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.places$}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Parsed, parse};

    const NAMES: &[&str] = &["krug-uring", "krug-epoll", "floor", "slow", "fast"];

    fn options(line: &str) -> Options {
        match parse(line.split(' ').map(str::to_owned)) {
            Ok(Parsed::Run(options)) => *options,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn chosen(line: &str) -> io::Result<Option<Chosen>> {
        choose(&options(line), NAMES)
    }

    #[test]
    fn all_are_compared_unless_some_are_named() {
        let all = vec!["krug-epoll", "floor", "slow", "fast"];
        assert_eq!(chosen("files").unwrap(), Some(("krug-uring", all)));
        let line = "files --driver epoll --peer fast --peer krug";
        let some = vec!["fast", "krug-epoll"];
        assert_eq!(chosen(line).unwrap(), Some(("krug-epoll", some)));
    }

    #[test]
    fn a_model_that_there_is_not_is_an_error_unless_all_scenarios_run() {
        let error = chosen("files --peer swift").unwrap_err().to_string();
        assert!(error.contains("`swift`: there are krug-uring"), "{error}");
        assert_eq!(chosen("all --peer swift").unwrap(), None);
        let one = vec!["slow"];
        let line = "all --peer swift --peer slow";
        assert_eq!(chosen(line).unwrap(), Some(("krug-uring", one)));
    }

    #[test]
    fn who_is_refused_is_left_out_and_who_fails_ends_it() {
        let chosen = ("a", vec!["b", "c"]);
        let with = |bad: &'static str, kind: io::ErrorKind| {
            let mut told = Vec::new();
            let trial = |name| {
                if name == bad {
                    Err(kind.into())
                } else {
                    Ok(())
                }
            };
            let able = able("test", &chosen, trial, |name, _| {
                told.push(name);
                Ok(())
            });
            able.map(|able| (able, told))
        };
        let unsupported = io::ErrorKind::Unsupported;
        let left = with("b", unsupported).unwrap();
        assert_eq!(left, (Some(("a", vec!["c"])), vec!["b"]));
        assert_eq!(with("a", unsupported).unwrap(), (None, vec!["a"]));
        assert!(with("c", io::ErrorKind::InvalidData).is_err());
    }

    #[test]
    fn the_best_of_the_others_is_neither_the_floor_nor_ours() {
        let options = options("files --pairs 2");
        let chosen = choose(&options, NAMES).unwrap().unwrap();
        let compared = Compared::measure(&options, "read", chosen, |name| {
            let rate = match name {
                "krug-uring" => 900.0,
                "krug-epoll" => 5000.0,
                "floor" => 1000.0,
                "slow" => 100.0,
                _ => 600.0,
            };
            Ok(Measured {
                operations: 1,
                rate,
                load: 1.8,
                latencies: None,
                calls: None,
            })
        });
        assert_eq!(
            compared.unwrap().stand(),
            "0.9 k/s, 2000.00 µs of CPU each; 0.900 of the floor; 1.500 of the best peer, fast"
        );
    }
}
