//! The command line: names and meanings are those of `krug-benches`, where it has them.

use std::path::PathBuf;
use std::time::Duration;

use krug_benches::harness::arguments::{self, positive, seconds};

use crate::peers;
use crate::scenarios;

/// What `--help` prints.
pub(crate) fn help() -> String {
    let mut help = "krug-peers <scenario> [options]\n\nscenarios\n".to_owned();
    for scenario in scenarios::ALL {
        help += &format!("  {:<8}{}\n", scenario.name, scenario.about);
    }
    help += &format!("  {:<8}all of them\n\n{OPTIONS}", scenarios::EVERY);
    help + &format!("\npeers\n  {}\n", names().join(", "))
}

const OPTIONS: &str = "\
options
  --peer NAME         compare krug-uring with: floor (echo and idle only) or one of the peers below;
                      may be repeated; default: all of them
  --pairs N           pairs of runs, default 7
  --seconds S         echo: measured time of one run, default 1
  --connections N     echo: default 50; idle: default 10000, as far as descriptors are allowed
  --bytes N           echo, idle, pipes, unix: size of a message, default 64
  --in-flight N       echo: messages sent at once on each connection, default first 1, then 16
  --depth N           files: reads at once, default first 1, then 32, then 128
  --operations N      tasks, timers, files, pipes, unix: operations of one run; each has its default
  --json FILE         append results to FILE, one object on each line
  --quick             shows that everything runs; measures nothing worth telling
";

/// What to run, and how long.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Options {
    pub(crate) scenario: String,
    /// Empty: every one that there is.
    pub(crate) peers: Vec<String>,
    pub(crate) pairs: usize,
    pub(crate) measured: Duration,
    pub(crate) warm_up: Duration,
    pub(crate) connections: Option<usize>,
    pub(crate) bytes: usize,
    pub(crate) in_flight: Vec<usize>,
    pub(crate) depths: Vec<usize>,
    operations: Option<u64>,
    pub(crate) json: Option<PathBuf>,
    pub(crate) quick: bool,
    /// Of a process that only serves: who serves.
    pub(crate) served: Option<String>,
}

/// What the command line asks for.
#[derive(Debug, PartialEq)]
pub(crate) enum Parsed {
    Run(Box<Options>),
    Help,
}

/// The only option without a value.
const QUICK: &str = "--quick";

/// By how much `--quick` divides what a run does.
const QUICKER: u64 = 50;

impl Options {
    fn of(scenario: String) -> Options {
        Options {
            scenario,
            peers: Vec::new(),
            pairs: 7,
            measured: Duration::from_secs(1),
            warm_up: Duration::from_millis(200),
            connections: None,
            bytes: 64,
            in_flight: vec![1, 16],
            depths: vec![1, 32, 128],
            operations: None,
            json: None,
            quick: false,
            served: None,
        }
    }

    /// Operations of one run, of a scenario that has this default.
    pub(crate) fn operations(&self, default: u64) -> u64 {
        let wanted = self.operations.unwrap_or(default);
        if self.quick {
            wanted.min(default / QUICKER)
        } else {
            wanted
        }
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        match name {
            "--peer" if names().contains(&value.as_str()) => self.peers.push(value),
            "--peer" => {
                let names = names().join(", ");
                return Err(format!("no peer is called `{value}`: there are {names}"));
            }
            "--pairs" => self.pairs = positive(name, &value)?,
            "--seconds" => self.measured = seconds(name, &value)?,
            "--connections" => self.connections = Some(positive(name, &value)?),
            "--bytes" => self.bytes = positive(name, &value)?,
            "--in-flight" => self.in_flight = vec![positive(name, &value)?],
            "--depth" => self.depths = vec![positive(name, &value)?],
            "--operations" => self.operations = Some(positive(name, &value)? as u64),
            "--json" => self.json = Some(PathBuf::from(value)),
            "--served" => self.served = Some(value),
            _ => return Err(format!("unknown option `{name}`")),
        }
        Ok(())
    }

    fn make_quick(&mut self) {
        self.pairs = self.pairs.min(2);
        self.measured = self.measured.min(Duration::from_millis(150));
        self.warm_up = Duration::from_millis(20);
    }
}

pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Parsed, String> {
    let known = scenarios::ALL.iter().map(|known| known.name);
    let known: Vec<_> = known.chain([scenarios::EVERY]).collect();
    let Some(arguments) = arguments::read(arguments, &known, &[QUICK])? else {
        return Ok(Parsed::Help);
    };
    let mut options = Options::of(arguments.scenario);
    for (name, value) in arguments.options {
        match value {
            Some(value) => options.set(&name, value)?,
            None => options.quick = true,
        }
    }
    // It has the last word, wherever it stands.
    if options.quick {
        options.make_quick();
    }
    Ok(Parsed::Run(Box::new(options)))
}

fn names() -> Vec<&'static str> {
    peers::ALL.iter().map(|peer| peer.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Options, String> {
        match parse(line.split_whitespace().map(str::to_owned))? {
            Parsed::Run(options) => Ok(*options),
            Parsed::Help => Err("help".to_owned()),
        }
    }

    #[test]
    fn options_are_read_in_any_order_and_quick_has_the_last_word() {
        let options = parsed("tasks --quick --peer tokio --operations 90 --peer smol --pairs 9");
        let options = options.unwrap();
        assert_eq!(options.peers, ["tokio", "smol"]);
        assert_eq!((options.pairs, options.operations(1000)), (2, 20));
        assert_eq!(parsed("files --operations 90").unwrap().operations(1), 90);
        assert_eq!(parsed("files --depth 8").unwrap().depths, [8]);
        assert_eq!(parsed("files").unwrap().depths, [1, 32, 128]);
    }

    #[test]
    fn what_cannot_be_understood_is_said() {
        for (line, word) in [
            ("", "no scenario"),
            ("swim", "`swim`"),
            ("echo --pairs", "`--pairs`"),
            ("echo --pairs 0", "above 0"),
            ("echo --pears 3", "`--pears`"),
            ("echo --peer rayon", "`rayon`"),
            ("echo --seconds never", "`never`"),
        ] {
            let complaint = parsed(line).unwrap_err();
            assert!(complaint.contains(word), "{line:?}: {complaint}");
        }
    }
}
