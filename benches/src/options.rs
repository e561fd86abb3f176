//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use crate::harness::arguments::{self, positive, seconds};
use crate::report;
use crate::scenarios::{self, Scenario};

/// What is said instead of a scenario to make tables and pictures of what runs have kept.
const REPORT: &str = "report";

/// What `--help` prints.
pub(crate) fn help() -> String {
    let mut help = "krug-benches <scenario> [options]\n\
                    krug-benches report FILE [--to FOLDER]   tables and pictures of what --json has written;\n\
                    \x20                                        FOLDER: benches/results unless said\n\
                    \nscenarios\n"
        .to_owned();
    let names = scenarios::ALL.iter().map(|scenario| scenario.name.len());
    let width = names.max().unwrap_or_default() + 2;
    for Scenario { name, about, .. } in scenarios::ALL {
        help += &format!("  {name:<width$}{about}\n");
    }
    help += &format!("  {:<width$}all of them\n\n{OPTIONS}", scenarios::EVERY);
    help
}

const OPTIONS: &str = "\
options
  --pairs N           pairs of runs, default 7; sim: rounds; models: of krug and epoll
  --driver NAME       what `krug` runs on: uring (default), epoll
  --peer NAME         compare with: floor, floor-spin, floor-epoll, krug-epoll, tokio (default these), krug-uring,
                      krug-uring-nospin; may be repeated (the same name as the subject's shows
                      the noise); models: names of models, default all
  --subject NAME      compare what: krug (default) or one of the above
  --seconds S         measured time of one run, default 1
  --connections N     default 50; hog: at most 16; echo: only with so many
  --users N           models: only with so many users
  --bytes N           size of a message, default 64; echo: only of this size
  --in-flight N       echo: messages sent at once on each connection, default first 1, then 16.
                      Without these three echo measures 50 connections so, then 1000, 10000 and 1,
                      and then 50 with 16 KiB
  --file-bytes N      files: size of the file, default 268435456 (--quick: 8388608)
  --dir PATH          files, log: where to make files for a while, default beside this program
  --operations N      of one run, default 1000000; scenarios of slower ones do one for so many
  --rate N            latency: messages a second of the open loop, default 4000
  --instructions      nop: count instructions under valgrind instead of time
  --check             instructions: fail if one is more than 3 % above benches/instructions.json
  --bless             instructions: write that file anew
  --json FILE         append results to FILE, one object on each line
  --quick             shows that everything runs; measures nothing worth telling

columns of echo
  server load, generator  shares of the time for which each was on its core
  p50, p99                from when the messages of a connection could be sent until all are back
  threads                 of a process that does nothing but serve, at work
  calls per msg           system calls of that process, for each message, once connected; exact, but
                          counted in a pass of its own, in which the process is stopped at each of
                          them (ptrace): that it is slower there makes its waits find more
  enters per msg          times it submitted or waited, in the timed runs, where the server counts them
";

/// What to run, and how long.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Options {
    pub(crate) scenario: String,
    /// What `krug` runs on, one of [`DRIVERS`].
    pub(crate) driver: String,
    subject: String,
    /// Empty: every peer that the scenario knows.
    peers: Vec<String>,
    pub(crate) pairs: usize,
    pub(crate) measured: Duration,
    pub(crate) warm_up: Duration,
    pub(crate) connections: usize,
    /// Of a curve over the number of users: only this point.
    pub(crate) users: Option<usize>,
    pub(crate) bytes: usize,
    /// Whether connections, size or messages in flight were asked for.
    pub(crate) is_traffic_given: bool,
    /// Messages sent at once on each connection; one comparison for each.
    pub(crate) in_flight: Vec<usize>,
    pub(crate) operations: u64,
    pub(crate) file_bytes: u64,
    pub(crate) dir: Option<PathBuf>,
    /// Messages a second, where they come at a fixed rate.
    pub(crate) rate: u64,
    pub(crate) instructions: bool,
    /// Whether a rise of instructions is a failure.
    pub(crate) check: bool,
    /// Whether what is counted becomes the baseline.
    pub(crate) bless: bool,
    pub(crate) json: Option<PathBuf>,
    pub(crate) quick: bool,
    /// Of a process that only works so that valgrind can count: who works, and in batches of how many.
    pub(crate) counted: Option<(String, usize)>,
    /// Of a process that only works so that valgrind can count: which of the counted workloads.
    pub(crate) work: Option<String>,
    /// Of a process that only serves, so that its system calls can be counted: who serves.
    pub(crate) served: Option<String>,
}

/// What the command line asks for.
#[derive(Debug, PartialEq)]
pub(crate) enum Parsed {
    Run(Box<Options>),
    Report(report::Request),
    Help,
}

/// Options without a value.
const SWITCHES: &[&str] = &["--quick", "--instructions", "--check", "--bless"];

const DRIVERS: &[&str] = &["uring", "epoll"];

impl Options {
    fn of(scenario: String) -> Options {
        Options {
            scenario,
            driver: "uring".to_owned(),
            subject: "krug".to_owned(),
            peers: Vec::new(),
            pairs: 7,
            measured: Duration::from_secs(1),
            warm_up: Duration::from_millis(200),
            connections: 50,
            users: None,
            bytes: 64,
            is_traffic_given: false,
            in_flight: vec![1, 16],
            operations: 1_000_000,
            file_bytes: 256 << 20,
            dir: None,
            rate: 4000,
            instructions: false,
            check: false,
            bless: false,
            json: None,
            quick: false,
            counted: None,
            work: None,
            served: None,
        }
    }

    pub(crate) fn subject(&self) -> String {
        self.with_driver(&self.subject)
    }

    /// Whom to compare with; none: with all.
    pub(crate) fn peers(&self) -> impl Iterator<Item = String> {
        self.peers.iter().map(|name| self.with_driver(name))
    }

    /// The full name of a peer.
    fn with_driver(&self, name: &str) -> String {
        if name == "krug" {
            format!("krug-{}", self.driver)
        } else {
            name.to_owned()
        }
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        self.is_traffic_given |= ["--connections", "--bytes", "--in-flight"].contains(&name);
        match name {
            "--pairs" => self.pairs = positive(name, &value)?,
            "--peer" => self.peers.push(value),
            "--subject" => self.subject = value,
            "--driver" if DRIVERS.contains(&value.as_str()) => self.driver = value,
            "--driver" => {
                let drivers = DRIVERS.join(" or ");
                return Err(format!("`--driver` wants {drivers}, not `{value}`"));
            }
            "--seconds" => self.measured = seconds(name, &value)?,
            "--connections" => self.connections = positive(name, &value)?,
            "--users" => self.users = Some(positive(name, &value)?),
            "--bytes" => self.bytes = positive(name, &value)?,
            "--in-flight" => self.in_flight = vec![positive(name, &value)?],
            "--operations" => self.operations = positive(name, &value)? as u64,
            "--file-bytes" => self.file_bytes = positive(name, &value)? as u64,
            "--dir" => self.dir = Some(PathBuf::from(value)),
            "--rate" => self.rate = positive(name, &value)? as u64,
            "--json" => self.json = Some(PathBuf::from(value)),
            "--counted" => {
                let (who, batch) = value.split_once(':').ok_or("--counted wants NAME:BATCH")?;
                self.counted = Some((who.to_owned(), positive(name, batch)?));
            }
            "--work" => self.work = Some(value),
            "--served" => self.served = Some(value),
            _ => return Err(format!("unknown option `{name}`")),
        }
        Ok(())
    }

    /// One of [`SWITCHES`].
    fn switch(&mut self, name: &str) {
        match name {
            "--instructions" => self.instructions = true,
            "--check" => self.check = true,
            "--bless" => self.bless = true,
            _ => self.quick = true,
        }
    }

    fn make_quick(&mut self) {
        self.pairs = self.pairs.min(2);
        self.measured = self.measured.min(Duration::from_millis(150));
        self.warm_up = Duration::from_millis(50);
        self.operations = self.operations.min(20_000);
        self.file_bytes = self.file_bytes.min(8 << 20);
    }
}

pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Parsed, String> {
    let mut arguments = arguments.peekable();
    if arguments.next_if(|word| word == REPORT).is_some() {
        let request = report::Request::parse(arguments)?;
        return Ok(request.map_or(Parsed::Help, Parsed::Report));
    }
    let names = scenarios::ALL.iter().map(|known| known.name);
    let names: Vec<_> = names.chain([scenarios::EVERY]).collect();
    let Some(arguments) = arguments::read(arguments, &names, SWITCHES)? else {
        return Ok(Parsed::Help);
    };
    let mut options = Options::of(arguments.scenario);
    for (name, value) in arguments.options {
        match value {
            Some(value) => options.set(&name, value)?,
            None => options.switch(&name),
        }
    }
    // It has the last word, wherever it stands.
    if options.quick {
        options.make_quick();
    }
    Ok(Parsed::Run(Box::new(options)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Options, String> {
        match parse(line.split_whitespace().map(str::to_owned))? {
            Parsed::Run(options) => Ok(*options),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn options_are_read_in_any_order_and_quick_has_the_last_word() {
        let options =
            parsed("echo --quick --peer tokio --pairs 9 --peer floor --seconds 2").unwrap();
        assert_eq!(options.peers().collect::<Vec<_>>(), ["tokio", "floor"]);
        assert_eq!(
            (options.pairs, options.measured),
            (2, Duration::from_millis(150))
        );
    }

    #[test]
    fn krug_is_what_runs_on_the_driver_that_is_asked_for() {
        let names = |line| {
            let options = parsed(line).unwrap();
            (options.subject(), options.peers().collect::<Vec<_>>())
        };
        assert_eq!(names("echo"), ("krug-uring".to_owned(), vec![]));
        let line = "echo --peer krug --driver epoll --peer krug-uring";
        let peers = ["krug-epoll", "krug-uring"].map(str::to_owned);
        assert_eq!(names(line), (peers[0].clone(), peers.to_vec()));
    }

    #[test]
    fn what_cannot_be_understood_is_said() {
        for (line, word) in [
            ("", "no scenario"),
            ("swim", "`swim`"),
            ("echo --pairs", "`--pairs`"),
            ("echo --pairs 0", "above 0"),
            ("echo --pears 3", "`--pears`"),
            ("echo --seconds never", "`never`"),
            ("echo --driver kqueue", "uring or epoll, not `kqueue`"),
        ] {
            let complaint = parsed(line).unwrap_err();
            assert!(complaint.contains(word), "{line:?}: {complaint}");
        }
    }
}
