//! What was counted before, and what has changed since.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A rise by more than this share is refused. Less comes and goes with what the compiler puts where.
const TOLERANCE: f64 = 0.03;

/// A file of JSON.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Baseline {
    pub(super) compiler: String,
    pub(super) kernel: String,
    /// For each operation, by the name of the work.
    instructions: BTreeMap<String, f64>,
}

/// One piece of work, before and now. It is in at least one of them.
#[derive(Debug, PartialEq)]
pub(super) struct Row {
    pub(super) name: String,
    then: Option<f64>,
    now: Option<f64>,
    complaint: Option<String>,
}

impl Baseline {
    pub(super) fn new(compiler: &str, kernel: &str, counted: &[(&str, f64)]) -> Baseline {
        // More digits than a tenth would only make changes look like some.
        let rounded = counted
            .iter()
            .map(|(name, each)| ((*name).to_owned(), (each * 10.0).round() / 10.0));
        Baseline {
            compiler: compiler.to_owned(),
            kernel: kernel.to_owned(),
            instructions: rounded.collect(),
        }
    }

    pub(super) fn read(text: &str) -> Result<Baseline, serde_json::Error> {
        serde_json::from_str(text)
    }

    pub(super) fn text(&self) -> String {
        let text = serde_json::to_string_pretty(self);
        text.expect("it is text and numbers") + "\n"
    }

    /// All that is in either.
    pub(super) fn compare(&self, now: &Baseline) -> Vec<Row> {
        let mut names: Vec<&String> = self
            .instructions
            .keys()
            .chain(now.instructions.keys())
            .collect();
        names.sort();
        names.dedup();
        let row = |name: &String| {
            Row::of(
                name,
                self.instructions.get(name).copied(),
                now.instructions.get(name).copied(),
            )
        };
        names.into_iter().map(row).collect()
    }
}

impl Row {
    fn of(name: &str, then: Option<f64>, now: Option<f64>) -> Row {
        let complaint = match (then, now) {
            (Some(then), Some(now)) if now > then * (1.0 + TOLERANCE) => {
                Some(format!("{name} takes {now} instructions instead of {then}"))
            }
            (Some(_), Some(_)) => None,
            (None, _) => Some(format!("{name} is not in it")),
            (Some(_), None) => Some(format!("{name} is counted no more")),
        };
        Row {
            name: name.to_owned(),
            then,
            now,
            complaint,
        }
    }

    /// Why the gate is shut.
    pub(super) fn complaint(&self) -> Option<&str> {
        self.complaint.as_deref()
    }

    /// Whether it became shorter by so much that a later rise would not be seen.
    pub(super) fn has_fallen(&self) -> bool {
        self.change().is_some_and(|change| change < -TOLERANCE)
    }

    fn change(&self) -> Option<f64> {
        Some(self.now? / self.then? - 1.0)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |count: Option<f64>| {
            count.map_or_else(|| "-".to_owned(), |count| format!("{count:.1}"))
        };
        // Without the sign of a change that is rounded to none.
        let percent = |change: f64| (change * 1000.0).round() / 10.0 + 0.0;
        let change = self
            .change()
            .map(|change| format!("{:+.1} %", percent(change)));
        write!(
            formatter,
            "{:<62} {:>9} {:>9} {:>9}",
            self.name,
            count(self.then),
            count(self.now),
            change.unwrap_or_default()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn baseline(counted: &[(&str, f64)]) -> Baseline {
        Baseline::new("rustc 1.95.0", "6.18", counted)
    }

    fn complaints(then: &[(&str, f64)], now: &[(&str, f64)]) -> Vec<String> {
        let rows = baseline(then).compare(&baseline(now));
        rows.iter()
            .filter_map(Row::complaint)
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn a_rise_of_four_percent_is_refused_and_one_of_two_is_not() {
        let then = [("nop", 500.0), ("yield", 50.0)];
        let refused = complaints(&then, &[("nop", 520.0), ("yield", 51.0)]);
        assert_eq!(refused, ["nop takes 520 instructions instead of 500"]);
        assert!(complaints(&then, &[("nop", 510.0), ("yield", 51.0)]).is_empty());
        assert!(complaints(&then, &[("nop", 515.0), ("yield", 51.5)]).is_empty());
        let row = Row::of("nop", Some(500.0), Some(499.9));
        assert!(row.to_string().ends_with(" +0.0 %"), "{row}");
    }

    #[test]
    fn a_fall_is_welcome_and_said() {
        let then = baseline(&[("nop", 500.0), ("yield", 50.0)]);
        let now = baseline(&[("nop", 400.0), ("yield", 49.0)]);
        let rows = then.compare(&now);
        assert!(rows.iter().all(|row| row.complaint().is_none()));
        let fallen: Vec<_> = rows.iter().filter(|row| row.has_fallen()).collect();
        assert_eq!(fallen.len(), 1);
        assert!(
            fallen[0]
                .to_string()
                .ends_with(" 500.0     400.0   -20.0 %"),
            "{}",
            fallen[0]
        );
    }

    #[test]
    fn work_that_is_new_or_gone_is_not_passed_over() {
        let refused = complaints(&[("nop", 500.0)], &[("yield", 50.0)]);
        assert_eq!(refused, ["nop is counted no more", "yield is not in it"]);
    }

    #[test]
    fn what_is_written_is_read_again_and_nothing_else() {
        let written = baseline(&[("nop", 500.04)]);
        assert_eq!(Baseline::read(&written.text()).unwrap(), written);
        assert_eq!(written, baseline(&[("nop", 500.0)]));
        for bad in [
            "",
            "{}",
            "{\"compiler\":\"\",\"kernel\":\"\",\"instructions\":{\"a\":\"b\"}}",
        ] {
            assert!(Baseline::read(bad).is_err(), "{bad}");
        }
    }
}
