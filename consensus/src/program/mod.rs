//! The program `consensus`: arguments, faults, the worlds it runs in, and what it prints.

pub mod arguments;
pub mod bell;
pub mod chronicle;
pub mod circle;
pub mod control;
pub mod course;
pub mod draws;
pub mod faults;
pub mod foil;
pub mod limits;
pub mod lives;
pub mod memory;
pub mod report;
pub mod seeds;
pub mod storms;
pub mod venue;
pub mod word;
pub mod world;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use arguments::{Arguments, Driver, Protocol, Refusal, Transport, View};
use course::{Course, End};
use report::{Narrator, Paint, Report};
use storms::{StormArguments, Weather};

/// The word is spoken.
const SPOKEN: u8 = 0;
/// Two heroes contradicted each other, or the system refused what a run needs.
const BROKEN: u8 = 1;
/// The arguments make no sense.
const REFUSED: u8 = 2;
/// A majority is missing, or nothing went on.
const STUCK: u8 = 3;

/// Reads the command line, runs, prints, and says how it went.
pub fn main() -> ExitCode {
    match run(std::env::args_os().collect()) {
        Ok(status) => ExitCode::from(status),
        Err(Failure { status, line }) => {
            eprintln!("consensus: {line}");
            ExitCode::from(status)
        }
    }
}

/// Why there is no course.
struct Failure {
    status: u8,
    line: String,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        let status = match error.kind() {
            io::ErrorKind::InvalidInput => REFUSED,
            _ => BROKEN,
        };
        let line = error.to_string();
        Failure { status, line }
    }
}

fn run(line: Vec<OsString>) -> Result<u8, Failure> {
    let program = program_name(line.first());
    if line.get(1).is_some_and(|word| word == storms::COMMAND) {
        return match StormArguments::read(line.into_iter().skip(1)) {
            Ok(arguments) => Ok(storm(&arguments, &program)),
            Err(refusal) => refused(refusal),
        };
    }
    let read = Arguments::read(line)
        .and_then(|arguments| arguments.with_environment(std::env::var_os("KRUG_DRIVER")));
    let arguments = match read {
        Ok(arguments) => arguments,
        Err(refusal) => return refused(refusal),
    };
    if arguments.driver != Driver::Sim {
        let needed = limits::descriptors_needed(
            arguments.peers,
            arguments.transport(),
            arguments.cores(),
            arguments.fault.needs_lasting_links(),
        );
        limits::raise_descriptor_limit(needed).map_err(|error| Failure {
            status: REFUSED,
            line: error.to_string(),
        })?;
    }
    let seed = match arguments.seed {
        Some(seed) => seed,
        None => drawn_seed()?,
    };
    if arguments.protocol == Protocol::Lottery {
        show_foil(&arguments, &program, seed);
        return Ok(SPOKEN);
    }
    let is_real = arguments.transport() != Transport::Memory && arguments.driver != Driver::Sim;
    let runtime = match is_real {
        true => Some(circle::runtime(&arguments, seed)?),
        false => None,
    };
    let narrator = Narrator::new(&arguments);
    narrator.opening(&arguments, seed);
    let course = match &runtime {
        Some(runtime) => circle::run(runtime, &arguments, seed, narrator)?,
        None if arguments.driver == Driver::Sim => world::run(&arguments, seed, narrator)?,
        None => memory::run(&arguments, seed, narrator),
    };
    Ok(show(&arguments, &program, seed, &course))
}

fn refused(refusal: Refusal) -> Result<u8, Failure> {
    match refusal {
        Refusal::Answer(text) => {
            print(&text);
            Ok(SPOKEN)
        }
        Refusal::Complaint(line) => Err(Failure {
            status: REFUSED,
            line,
        }),
    }
}

fn storm(arguments: &StormArguments, program: &str) -> u8 {
    let weather = Weather::of(arguments);
    print(&weather.report(arguments, program));
    if weather.is_good() { SPOKEN } else { BROKEN }
}

/// The lottery has done its work when it has shown what comes of it, whatever that is.
fn show_foil(arguments: &Arguments, program: &str, seed: u64) {
    let foil = foil::run(arguments, seed);
    let report = Report::new(arguments, program, seed, &foil.course());
    if arguments.json {
        print(&format!("{}\n", report.json()));
    } else if arguments.view == View::Quiet {
        print(&format!("{}\n", report.transcript));
    } else {
        print(&foil.picture(seed, &report.replay, Paint::of_terminal()));
    }
}

fn show(arguments: &Arguments, program: &str, seed: u64, course: &Course) -> u8 {
    let report = Report::new(arguments, program, seed, course);
    if arguments.json {
        print(&format!("{}\n", report.json()));
    } else if arguments.view == View::Quiet {
        print(&format!("{}\n", report.transcript));
    } else {
        print(&format!(
            "\n{}",
            report.card(&course.end, Paint::of_terminal())
        ));
    }
    match &course.end {
        End::Spoken => SPOKEN,
        End::Stuck(reason) => {
            eprintln!("consensus: stuck: {reason}");
            STUCK
        }
        End::Broken(what) => {
            eprintln!("consensus: the heroes contradict each other, which is a bug: {what}");
            BROKEN
        }
    }
}

/// How the user called the program, so that he can call it again.
fn program_name(first: Option<&OsString>) -> String {
    if std::env::var_os("CARGO").is_some() {
        let profile = if cfg!(debug_assertions) {
            ""
        } else {
            " --release"
        };
        return format!("cargo run{profile} --bin consensus --");
    }
    first.map_or_else(
        || "consensus".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

fn drawn_seed() -> Result<u64, Failure> {
    let mut bytes = [0; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).map_err(
        |error| Failure {
            status: BROKEN,
            line: format!("the system gives no random numbers: {error}; give a --seed"),
        },
    )?;
    // Short enough to be read to somebody over a table.
    Ok(u64::from_le_bytes(bytes) % 1_000_000_000)
}

fn print(text: &str) {
    // A reader who has gone away does not change how the run went.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
