//! `consensus storm`: one simulated world after the other, in which everything goes wrong.

use std::ffi::OsString;
use std::fmt;
use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::time::Duration;

use clap::Parser;

use super::arguments::{Refusal, refusal_of};
use crate::sim::plan::Plan;
use crate::sim::storm::{self, Scenario, Told};

/// The word after the program's name.
pub const COMMAND: &str = "storm";

/// 33 heroes in a simulated world for each seed: crashes, restarts, splits, loss, slow, failing and lying disks; then all is mended, and
/// whoever lives must finish. Checked after each event.
#[derive(Clone, Debug, Parser)]
#[command(name = "consensus storm", version, long_about = None, after_help = AFTER_HELP)]
pub struct StormArguments {
    /// Which seeds: `17`, or `1..1000`, both ends included.
    #[arg(long, value_name = "RANGE", default_value = "1..100", allow_hyphen_values = true, value_parser = parse_seeds)]
    pub seeds: Seeds,

    /// Nothing goes wrong: shows how long the word takes.
    #[arg(long)]
    pub calm: bool,
}

const AFTER_HELP: &str = "\
Exit status:
  0 nothing was seen that must not be    1 something was: the seed, what it was, and how to see it again    2 the arguments make no sense";

/// Seeds from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seeds {
    first: u64,
    last: u64,
}

impl Seeds {
    /// As a range.
    pub fn range(self) -> RangeInclusive<u64> {
        self.first..=self.last
    }
}

impl fmt::Display for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.first, self.last)
    }
}

fn parse_seeds(text: &str) -> Result<Seeds, String> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let number = |text: &str| {
        let number = text.trim().parse::<u64>();
        number.map_err(|_| format!("`{text}` is no seed; give `17` or `1..1000`"))
    };
    let (first, last) = (number(first)?, number(last)?);
    if first > last {
        return Err(format!("that counts backwards; give `{last}..{first}`"));
    }
    Ok(Seeds { first, last })
}

impl StormArguments {
    /// Reads what follows the program's name, [`COMMAND`] included.
    ///
    /// # Errors
    ///
    /// Help that was asked for, or one line that says what is wrong and how to mend it.
    pub fn read(line: impl IntoIterator<Item = OsString>) -> Result<StormArguments, Refusal> {
        StormArguments::try_parse_from(line).map_err(|error| refusal_of(&error))
    }
}

/// What many worlds have come to.
#[derive(Debug, Default)]
pub struct Weather {
    times: Vec<Duration>,
    events: u64,
    restarts: u64,
    mute: usize,
    stopped: usize,
    wrong: Option<(u64, String)>,
}

impl Weather {
    /// Runs all worlds, or until one goes wrong.
    pub fn of(arguments: &StormArguments) -> Weather {
        // What the oracle complains of is told once, at the end.
        std::panic::set_hook(Box::new(|_| {}));
        let scenario: Scenario = match arguments.calm {
            true => storm::undisturbed,
            false => storm::storm,
        };
        let mut weather = Weather::default();
        storm::run(arguments.seeds.range(), scenario, |told| weather.add(told));
        weather.times.sort_unstable();
        weather
    }

    fn add(&mut self, told: Told) -> bool {
        match told.outcome {
            Ok(outcome) => {
                self.times.push(told.took);
                self.events += outcome.events;
                self.restarts += outcome.later_lives;
                self.mute += outcome.mute;
                self.stopped += outcome.stopped;
                true
            }
            Err(what) => {
                let is_first = self
                    .wrong
                    .as_ref()
                    .is_none_or(|(seed, _)| told.seed < *seed);
                if is_first {
                    self.wrong = Some((told.seed, what));
                }
                false
            }
        }
    }

    /// Whether nothing was seen that must not be.
    pub fn is_good(&self) -> bool {
        self.wrong.is_none()
    }

    /// What there is to say, with the command that shows again what went wrong.
    pub fn report(&self, arguments: &StormArguments, program: &str) -> String {
        let mut text = String::new();
        let calm = if arguments.calm { " --calm" } else { "" };
        let mut line = |arguments: fmt::Arguments<'_>| {
            text.write_fmt(arguments)
                .expect("a String takes every text");
        };
        if let Some((seed, what)) = &self.wrong {
            line(format_args!("seed {seed}: {what}\n"));
            if !arguments.calm {
                line(format_args!("the world: {}\n", Plan::storm(*seed)));
            }
            line(format_args!(
                "repeat: {program} {COMMAND}{calm} --seeds {seed}\n"
            ));
            return text;
        }
        let worlds = self.times.len();
        let median = self.times.get(worlds / 2).copied().unwrap_or_default();
        let longest = self.times.last().copied().unwrap_or_default();
        line(format_args!(
            "{worlds} worlds, and nothing was seen that must not be: {} restarts, {} mute, {} stopped by their disks\n",
            self.restarts, self.mute, self.stopped
        ));
        line(format_args!(
            "{} events; a world takes {:.1} ms in the median, {:.1} ms at most\n",
            self.events,
            median.as_secs_f64() * 1e3,
            longest.as_secs_f64() * 1e3
        ));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &[&str]) -> Result<StormArguments, Refusal> {
        let line = ["storm"].iter().chain(line).map(OsString::from);
        StormArguments::read(line)
    }

    #[test]
    fn ranges_are_read_as_they_are_written() {
        for (text, first, last) in [("17", 17, 17), ("1..1000", 1, 1000), ("5..5", 5, 5)] {
            let seeds = read(&["--seeds", text]).unwrap().seeds;
            assert_eq!(seeds, Seeds { first, last });
        }
        assert_eq!(read(&[]).unwrap().seeds.range(), 1..=100);
    }

    #[test]
    fn what_is_no_range_is_refused_in_one_line() {
        for (line, expected) in [
            (&["--seeds", "9..2"][..], "give `2..9`"),
            (&["--seeds", "..."], "is no seed"),
            (&["--seeds", "1.."], "is no seed"),
            (&["--seeds", "-1..3"], "`-1` is no seed"),
            (&["--seeds", ""], "is no seed"),
            (&["--seeds", "1..18446744073709551616"], "is no seed"),
            (&["--seed", "1"], "--seed"),
            (&["extra"], "extra"),
        ] {
            match read(line) {
                Err(Refusal::Complaint(text)) => {
                    assert!(text.contains(expected), "{line:?}: {text}");
                    assert!(!text.contains('\n'), "{line:?}: {text}");
                }
                other => panic!("{line:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_goes_wrong_is_told_with_its_seed_and_its_command() {
        let arguments = read(&["--seeds", "1..9"]).unwrap();
        let told = |seed, outcome| Told {
            seed,
            outcome,
            took: Duration::ZERO,
        };
        let mut weather = Weather::default();
        assert!(weather.is_good());
        assert!(!weather.add(told(7, Err("I4: two".into()))));
        assert!(!weather.add(told(3, Err("I1: one".into()))));
        assert!(!weather.is_good());
        let report = weather.report(&arguments, "consensus");
        assert!(
            report.starts_with("seed 3: I1: one\nthe world: "),
            "{report}"
        );
        assert!(
            report.ends_with("repeat: consensus storm --seeds 3\n"),
            "{report}"
        );
    }
}
