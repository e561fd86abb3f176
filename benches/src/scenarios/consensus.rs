//! Heroes that settle who says which letter of a word: how long the word takes over each transport, and how many messages and decrees
//! there are in a second.
//!
//! A decree is one entry of the log that all of them hold in the end, a letter or the roll. All heroes of a circle share one core and one ring.

use std::io;
use std::time::{Duration, Instant};

use krug_consensus::program::arguments::Arguments;
use krug_consensus::program::course::{Course, End};
use krug_consensus::program::limits::TooFewDescriptors;
use krug_consensus::program::report::Narrator;
use krug_consensus::program::{circle, limits, memory};

use super::course::{field, skip, tell_ratios};
use crate::floor::system::thread_time;
use crate::harness::machine::Machine;
use crate::harness::pairs::interleave;
use crate::harness::report::{self, Line};
use crate::harness::serving::on_first_core;
use crate::harness::statistics::Summary;
use crate::options::Options;

/// Whose turn it is when depends on the kernel: rounds differ more than those of an echo.
const RESOLUTION: f64 = 0.05;
/// So long nothing may be said before a run is given up.
const LIMIT: &str = "30s";

/// The heroes run on one of these.
const DRIVERS: &[&str] = &["krug-uring", "krug-epoll"];

/// One kind of circle.
struct Circle {
    what: &'static str,
    line: &'static [&'static str],
    /// Of a word, a letter for so many `--operations`; `None`: the alphabet.
    one_in: Option<u64>,
}

const fn alphabet(what: &'static str, line: &'static [&'static str]) -> Circle {
    Circle {
        what,
        line,
        one_in: None,
    }
}

const fn log(what: &'static str, line: &'static [&'static str], one_in: u64) -> Circle {
    Circle {
        what,
        line,
        one_in: Some(one_in),
    }
}

const CIRCLES: &[Circle] = &[
    alphabet("33 heroes, Unix sockets", &["--transport", "unix"]),
    alphabet("33 heroes, TCP", &["--transport", "tcp"]),
    alphabet("33 heroes, UDP", &["--transport", "udp"]),
    alphabet("33 heroes, pipes", &["--transport", "pipe"]),
    log("a long log, 3 heroes", &["--peers", "3"], 1000),
    log("a long log, 5 heroes", &["--peers", "5"], 1000),
    log("a long log, 33 heroes", &["--peers", "33"], 2000),
    log(
        "a long log, 5 heroes, each decree synced",
        &["--peers", "5", "--durable", "sync"],
        5000,
    ),
];

/// In a network in memory, with a clock of its own: no driver takes part.
const IN_MEMORY: Circle = alphabet("33 heroes, in memory", &["--transport", "memory"]);

impl Circle {
    /// As the program `consensus` reads it.
    fn arguments(&self, driver: &str, operations: u64) -> io::Result<Arguments> {
        let mut line = vec!["consensus", "--limit", LIMIT];
        line.extend(self.line);
        // In memory nobody drives.
        if let Some(driver) = driver.strip_prefix("krug-") {
            line.extend(["--driver", driver]);
        }
        let word = self.one_in.map(|one_in| {
            let letters = (operations / one_in).max(10);
            (0..letters)
                .map(|number| char::from(b'a' + (number % 26) as u8))
                .collect::<String>()
        });
        if let Some(word) = &word {
            line.extend(["--word", word]);
        }
        let line = line.into_iter().map(Into::into);
        Arguments::read(line).map_err(|_| io::Error::other("the line of a circle is wrong"))
    }
}

/// What one circle has come to.
struct Run {
    took: Duration,
    /// Of the thread on which all heroes are.
    busy: Duration,
    messages: u64,
    decrees: u64,
}

impl Run {
    fn milliseconds(&self) -> f64 {
        self.took.as_secs_f64() * 1e3
    }

    fn messages_per_second(&self) -> f64 {
        self.messages as f64 / self.took.as_secs_f64()
    }

    fn decrees_per_second(&self) -> f64 {
        self.decrees as f64 / self.took.as_secs_f64()
    }

    fn busy_per_message(&self) -> f64 {
        self.busy.as_secs_f64() * 1e6 / self.messages as f64
    }
}

pub(crate) fn run(options: &Options, machine: &Machine) -> io::Result<()> {
    let Some((subject, others)) = field(options, DRIVERS, |name| name)? else {
        skip("consensus");
        return Ok(());
    };
    println!(
        "\nconsensus, all heroes on one core; {} pairs",
        options.pairs
    );
    println!(
        "{:<42} {:<12} {:>10} {:>12} {:>12} {:>14} {:>10}",
        "", "", "ms", "k messages/s", "decrees/s", "µs of CPU each", "messages"
    );
    for circle in CIRCLES {
        if let Err(refusal) = provide_descriptors(&circle.arguments(subject, options.operations)?) {
            println!("{:<42} skipped: {refusal}", circle.what);
            continue;
        }
        let mut seed = 0;
        let runs = interleave(options.pairs, others.len(), |who| {
            let name = who.of(subject, &others);
            seed += 1;
            run_once(circle, name, options.operations, seed)
                .map_err(|error| io::Error::other(format!("{}, {name}: {error}", circle.what)))
        })?;
        for (name, row) in runs.rows(subject, &others) {
            tell(options, machine, circle, name, row)?;
        }
        let others: Vec<&str> = others.iter().map(|name| **name).collect();
        let compared = ("consensus", circle.what, RESOLUTION);
        let field = (*subject, &*others);
        tell_ratios(
            options,
            machine,
            compared,
            field,
            &runs,
            Run::decrees_per_second,
        )?;
    }
    let runs = (0..=options.pairs as u64).map(|seed| run_once(&IN_MEMORY, "", 0, seed));
    let runs = runs.collect::<io::Result<Vec<_>>>()?;
    tell(options, machine, &IN_MEMORY, "no driver", &runs)
}

fn tell(
    options: &Options,
    machine: &Machine,
    circle: &Circle,
    name: &str,
    row: &[Run],
) -> io::Result<()> {
    let median =
        |measure: fn(&Run) -> f64| Summary::of(&row.iter().map(measure).collect::<Vec<_>>()).median;
    println!(
        "{:<42} {name:<12} {:>10.2} {:>12.1} {:>12.0} {:>14.2} {:>10.0}",
        circle.what,
        median(Run::milliseconds),
        median(Run::messages_per_second) / 1e3,
        median(Run::decrees_per_second),
        median(Run::busy_per_message),
        median(|run| run.messages as f64),
    );
    let mut line = Line::of(machine, "consensus", "runs");
    line.text("what", circle.what).text("peer", name);
    line.numbers("milliseconds", row.iter().map(Run::milliseconds));
    line.numbers(
        "messages_per_second",
        row.iter().map(Run::messages_per_second),
    );
    line.numbers(
        "decrees_per_second",
        row.iter().map(Run::decrees_per_second),
    );
    line.numbers("cpu_us_per_message", row.iter().map(Run::busy_per_message));
    report::keep(options.json.as_deref(), &line)
}

fn run_once(circle: &Circle, driver: &str, operations: u64, seed: u64) -> io::Result<Run> {
    let arguments = circle.arguments(driver, operations)?;
    provide_descriptors(&arguments).map_err(io::Error::other)?;
    let has_driver = !driver.is_empty();
    on_first_core(move || {
        let (begin, before) = (Instant::now(), thread_time());
        let course = if has_driver {
            let runtime = circle::runtime(&arguments, seed)?;
            circle::run(&runtime, &arguments, seed, Narrator::silent())?
        } else {
            memory::run(&arguments, seed, Narrator::silent())
        };
        checked(&arguments, &course)?;
        Ok(Run {
            took: if has_driver {
                course.elapsed
            } else {
                begin.elapsed()
            },
            busy: thread_time() - before,
            messages: course.messages.total(),
            decrees: course.decrees.fast + course.decrees.slow,
        })
    })
}

/// Those of all heroes are of this process.
fn provide_descriptors(arguments: &Arguments) -> Result<(), TooFewDescriptors> {
    let (peers, transport) = (arguments.peers, arguments.transport());
    limits::raise_descriptor_limit(limits::descriptors_needed(peers, transport, 1, false))
}

/// They have said the word, and nothing else.
fn checked(arguments: &Arguments, course: &Course) -> io::Result<()> {
    match &course.end {
        End::Spoken => {}
        End::Stuck(reason) => return Err(io::Error::other(format!("stuck: {reason}"))),
        End::Broken(what) => return Err(io::Error::other(format!("contradiction: {what}"))),
    }
    let said: String = course.spoken.iter().map(|spoken| &*spoken.letter).collect();
    if said == arguments.word.to_string() {
        Ok(())
    } else {
        Err(io::Error::other(format!("they have said {said}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_circle_says_its_word_on_either_driver() {
        for circle in CIRCLES {
            for driver in DRIVERS {
                let run = run_once(circle, driver, 1000, 7)
                    .unwrap_or_else(|error| panic!("{}, {driver}: {error}", circle.what));
                let letters = if circle.one_in.is_some() { 10 } else { 33 };
                // One more is the roll.
                assert_eq!(run.decrees, letters + 1, "{}, {driver}", circle.what);
                assert!(run.messages > run.decrees, "{}, {driver}", circle.what);
            }
        }
    }

    #[test]
    fn in_memory_the_seed_fixes_how_many_messages_there_are() {
        let messages = |seed| run_once(&IN_MEMORY, "", 0, seed).unwrap().messages;
        assert_eq!(messages(3), messages(3));
    }

    #[test]
    fn another_word_is_noticed() {
        let arguments = |word: &str| {
            let line = ["consensus", "--transport", "memory", "--word", word];
            Arguments::read(line.map(Into::into)).ok().unwrap()
        };
        let course = memory::run(&arguments("abc"), 1, Narrator::silent());
        checked(&arguments("abc"), &course).unwrap();
        assert!(checked(&arguments("abd"), &course).is_err());
    }
}
