//! Whether others see the same: programs that everybody knows, run beside ours in turn, against the same servers and files.

use std::io::{self, Read};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::course::tell_ratios;
use super::{fio, models, redis};
use crate::harness::machine::Machine;
use crate::harness::pairs::{Runs, Who, interleave};
use crate::harness::report::{self, Line};
use crate::harness::statistics::Summary;
use crate::options::Options;

/// They show that we measure the same, not by how much anything is faster.
const PAIRS_MAX: usize = 3;

/// Differences below it say nothing: the programs do not do the same work for each request.
const RESOLUTION: f64 = 0.1;

/// So much longer than it should take a program may take before it is ended.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn run(options: &Options, machine: &Machine) -> io::Result<()> {
    models::wrk::confirm(options, machine)?;
    fio::confirm(options, machine)?;
    redis::confirm(options, machine)
}

/// Says that something is not confirmed, and why, to people and in what is kept.
pub(super) fn skip(
    options: &Options,
    machine: &Machine,
    what: &str,
    reason: &str,
) -> io::Result<()> {
    println!("\nconfirm: skipped: {what}: {reason}");
    let mut line = Line::of(machine, "confirm", "runs");
    line.text("what", what).text("skipped", reason);
    report::keep(options.json.as_deref(), &line)
}

/// Whether the program can be run. If not, it is said how it would come there.
pub(super) fn is_there(
    options: &Options,
    machine: &Machine,
    program: &str,
    package: &str,
) -> io::Result<bool> {
    let is_found = can_be_run(program)?;
    if !is_found {
        let reason = format!(
            "there is no {program} here; `apt-get install {package}`, or what is like it, brings it"
        );
        skip(options, machine, program, &reason)?;
    }
    Ok(is_found)
}

fn can_be_run(program: &str) -> io::Result<bool> {
    let mut asked = Command::new(program);
    asked.arg("--version").stdin(Stdio::null());
    match asked.stdout(Stdio::null()).stderr(Stdio::null()).status() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(io::Error::new(error.kind(), format!("{program}: {error}"))),
    }
}

/// What a program prints that ends by itself after about this time. It is on the cores that this thread is on.
pub(super) fn output_of(command: &mut Command, takes: Duration) -> io::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let wrong = |what: &str| io::Error::other(format!("{name}: {what}"));
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut process = command.spawn()?;
    let mut output = process.stdout.take().expect("it has a pipe");
    // It may print more than a pipe holds.
    let reader = thread::spawn(move || {
        let mut text = String::new();
        output.read_to_string(&mut text).map(|_| text)
    });
    let limit = Instant::now() + takes + PATIENCE;
    let status = loop {
        match process.try_wait()? {
            Some(status) => break status,
            None if Instant::now() > limit => {
                process.kill()?;
                process.wait()?;
                return Err(wrong("it does not end"));
            }
            None => thread::sleep(Duration::from_millis(2)),
        }
    };
    let text = reader.join().map_err(|_| wrong("its output is lost"))??;
    if status.success() {
        Ok(text)
    } else {
        Err(wrong(&format!("{status}: {}", text.trim())))
    }
}

/// What is measured, and by whom.
pub(super) struct Confirmation<'a> {
    pub(super) what: &'a str,
    /// One of ours, and the program that should see the same.
    pub(super) ours: &'a str,
    pub(super) theirs: &'a str,
}

impl Confirmation<'_> {
    /// Runs both in turn, tells what they have seen, and keeps it. Returns the medians.
    pub(super) fn measure(
        &self,
        options: &Options,
        machine: &Machine,
        mut our_rate: impl FnMut() -> io::Result<f64>,
        mut their_rate: impl FnMut() -> io::Result<f64>,
    ) -> io::Result<[f64; 2]> {
        let most = if options.quick { 1 } else { PAIRS_MAX };
        let runs = interleave(options.pairs.min(most), 1, |who| match who {
            Who::Subject => our_rate(),
            Who::Baseline(_) => their_rate(),
        })?;
        self.tell(options, machine, &runs)
    }

    fn tell(&self, options: &Options, machine: &Machine, runs: &Runs<f64>) -> io::Result<[f64; 2]> {
        let sides = [
            (self.ours, &runs.subject),
            (self.theirs, &runs.baselines[0]),
        ];
        let medians = sides.map(|(_, rates)| Summary::of(rates).median);
        println!(
            "\nconfirm, {}: {} {:.1} k/s, {} {:.1} k/s",
            self.what,
            self.ours,
            medians[0] / 1e3,
            self.theirs,
            medians[1] / 1e3
        );
        for (name, rates) in sides {
            let mut line = Line::of(machine, "confirm", "runs");
            line.text("what", self.what).text("peer", name);
            line.numbers("rate", rates.iter().copied());
            report::keep(options.json.as_deref(), &line)?;
        }
        let compared = ("confirm", self.what, RESOLUTION);
        let field = (self.ours, &[self.theirs][..]);
        tell_ratios(options, machine, compared, field, runs, |rate| *rate)?;
        Ok(medians)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> io::Result<String> {
        output_of(Command::new("sh").args(["-c", script]), Duration::ZERO)
    }

    #[test]
    fn what_a_program_prints_is_taken_however_much_and_if_it_fails_that_is_an_error() {
        assert_eq!(shell("echo a; echo b").unwrap(), "a\nb\n");
        let much = shell("head -c 300000 /dev/zero | tr '\\0' x").unwrap();
        assert_eq!(much.len(), 300_000);
        let error = shell("echo no disk; exit 4").unwrap_err().to_string();
        assert!(error.contains("no disk") && error.contains('4'), "{error}");
    }

    #[test]
    fn a_program_that_is_not_there_is_no_error() {
        assert!(can_be_run("sh").unwrap());
        assert!(!can_be_run("no-such-program-of-krug").unwrap());
    }
}
