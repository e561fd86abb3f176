//! The command line: what is asked for, checked, and written back as the command
//! that repeats it.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Parser, ValueEnum};

use super::faults::{DurationText, FaultPlan, parse_duration};
use super::word::Word;
use crate::transport::UDP_PEERS_MAX;

/// The most heroes a circle holds: each pair of them is a connection.
pub const PEERS_MAX: usize = 1_000;

/// The most cores a runtime of this program has: each is a thread with a ring.
pub const CORES_MAX: usize = 256;

/// 33 heroes in a circle settle among themselves who says which letter of a word, and say it. Nobody leads, nobody was given a number.
#[derive(Clone, Debug, Parser)]
#[command(name = "consensus", version, long_about = None, after_help = AFTER_HELP)]
pub struct Arguments {
    /// How many heroes sit in the circle.
    #[arg(long, value_name = "N", default_value = "33", allow_negative_numbers = true, value_parser = parse_peers)]
    pub peers: usize,

    /// What they say, letter by letter [default: the 33 letters of the Russian alphabet].
    #[arg(long, value_name = "WORD", default_value_t, hide_default_value = true)]
    pub word: Word,

    /// Fixes names, tickets and ranks; with `--driver sim` or `--transport memory` the whole run [default: drawn].
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, value_parser = parse_seed)]
    pub seed: Option<u64>,

    /// What carries their messages: memory, unix, tcp, udp or pipe [default: unix; with `--driver sim`: tcp].
    #[arg(long, value_name = "KIND", value_parser = parse_transport)]
    transport: Option<Transport>,

    /// How they agree: consensus, or the lottery that shows why it needs one.
    #[arg(long, value_name = "NAME", default_value = "consensus", value_parser = parse_protocol)]
    pub protocol: Protocol,

    /// Nobody takes the fast path: a decree takes three round trips instead of one.
    #[arg(long)]
    pub strict: bool,

    /// What goes wrong: "kill 7 @ letter 5; restart 7 @ 1s; split 16|17 @ letter 8; heal @ 2s; stall 3 @ 20ms for 200ms; loss 10%".
    #[arg(
        long,
        value_name = "PLAN",
        default_value_t,
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    pub fault: FaultPlan,

    /// What is shown: lines as they happen, or quiet, the word alone.
    #[arg(long, value_name = "KIND", default_value = "lines", value_parser = parse_view)]
    pub view: View,

    /// Prints one JSON object instead.
    #[arg(long)]
    pub json: bool,

    /// What a hero keeps for the case that he comes back: none, or sync, a log that is durable before he promises anything.
    #[arg(long, value_name = "KIND", default_value = "none", value_parser = parse_durable)]
    pub durable: Durable,

    /// What drives the executor: auto, uring, epoll, or sim, a simulated world. The variable KRUG_DRIVER decides what auto is.
    #[arg(long, value_name = "NAME", default_value = "auto", value_parser = parse_driver)]
    pub driver: Driver,

    /// Over how many cores of one runtime the heroes are dealt out: a number, or all, as many as there are processors.
    #[arg(long, value_name = "N", default_value = "1", allow_negative_numbers = true, value_parser = parse_cores)]
    cores: Cores,

    /// Gives up when so long nothing was said.
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = parse_limit)]
    pub limit: Duration,
}

const AFTER_HELP: &str = "\
Faults, divided by `;`:
  kill 7                the seventh hero born ends before he says anything
  kill 1..17            seventeen of them do
  kill 7 @ letter 5     he ends when four letters are spoken and the fifth is due
  kill 7 @ 20ms         he ends so long after the start
  restart 7 @ 1s        he begins another life with his log (--durable sync), and ends first if he lives; not over pipes or in memory
  split 16|17 @ 20ms    the first sixteen born and the other seventeen do not hear each other any more
  heal @ letter 9       they do again, all of them
  stall 7 @ 5ms for 1s  he does nothing for so long, and loses nothing; in a simulated world what goes to and from his host waits, too
  loss 10%              every tenth message never arrives
  `@ letter N` and `@ TIME` go with each of them; without one, kill, split and stall are there from the beginning.

Exit status:
  0 the word is spoken    2 the arguments make no sense    3 the heroes are stuck, with the reason

Try:
  consensus --fault 'kill 7 @ letter 5; loss 10%'
  consensus --fault 'kill 1..17'
  consensus --durable sync --fault 'kill 7 @ letter 5; restart 7 @ letter 20'
  consensus --fault 'split 16|17 @ letter 8; heal @ 2s'
  consensus --driver sim --fault 'stall 1..3 @ letter 4 for 500ms'
  consensus --cores all
  consensus --driver sim --seed 1
  consensus storm --seeds 1..100
  consensus --protocol lottery";

/// What carries the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    /// A network in memory with a clock of its own: the same seed, the same run.
    Memory,
    /// Unix stream sockets.
    Unix,
    /// TCP over the loopback interface.
    Tcp,
    /// UDP over the loopback interface, one socket for each hero.
    Udp,
    /// Two pipes for each pair of heroes.
    Pipe,
}

/// How the heroes agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// The real thing.
    Consensus,
    /// Everybody sorts the tickets he happened to hear: the foil.
    Lottery,
}

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum View {
    /// A line for each letter, then a card.
    Lines,
    /// The word alone.
    Quiet,
}

/// What drives the executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Driver {
    /// io_uring, or epoll where that is refused.
    Auto,
    /// io_uring.
    Uring,
    /// epoll.
    Epoll,
    /// A simulated world, in which the seed fixes everything.
    Sim,
}

/// What a hero keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Durable {
    /// Nothing.
    None,
    /// A log, synced before anything leaves that depends on it.
    Sync,
}

/// Over how many cores heroes are dealt out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cores {
    /// As many as there are processors, heroes permitting.
    All,
    /// So many.
    Count(usize),
}

/// Why there is nothing to run: the text, and whether it is an answer or a complaint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Help or version was asked for; the text goes to the standard output, status 0.
    Answer(String),
    /// One line for the standard error, status 2.
    Complaint(String),
}

impl Arguments {
    /// Reads a command line, the program's name included.
    ///
    /// # Errors
    ///
    /// Help that was asked for, or one line that says what is wrong and how to mend it.
    pub fn read(line: impl IntoIterator<Item = OsString>) -> Result<Arguments, Refusal> {
        let arguments = Arguments::try_parse_from(line).map_err(|error| refusal_of(&error))?;
        arguments
            .fault
            .check(arguments.peers, arguments.word.count())
            .map_err(|error| {
                Refusal::Complaint(format!("--fault \"{}\": {error}", arguments.fault))
            })?;
        if arguments.protocol == Protocol::Lottery && arguments.transport() != Transport::Memory {
            let text = "the lottery is drawn in memory only; leave out --transport";
            return Err(Refusal::Complaint(text.into()));
        }
        arguments.check_faults()?;
        if arguments.transport() == Transport::Memory {
            if arguments.driver == Driver::Sim {
                let text = "memory is a simulated world already; leave out --driver sim, or --transport and --protocol";
                return Err(Refusal::Complaint(text.into()));
            }
            if arguments.durable != Durable::None {
                let text =
                    "nobody has a disk in memory; leave out --durable, or take another --transport";
                return Err(Refusal::Complaint(text.into()));
            }
        }
        if arguments.transport() == Transport::Udp && arguments.peers > UDP_PEERS_MAX {
            return Err(Refusal::Complaint(format!(
                "--transport udp carries at most {UDP_PEERS_MAX} heroes: what they say of each other has to fit into one datagram"
            )));
        }
        arguments.check_cores()?;
        Ok(arguments)
    }

    /// Who comes back needs a log that knows what he promised, and links.
    fn check_faults(&self) -> Result<(), Refusal> {
        let text = if self.protocol == Protocol::Lottery && !self.fault.only_takes_away() {
            "a lottery is one broadcast, and knows `kill` and `loss` only; leave out --protocol"
        } else if !self.fault.has_restarts() {
            return Ok(());
        } else if self.transport() == Transport::Memory {
            "nobody has a disk in memory, and who forgets what he promised must not come back; take another --transport, and \
             --durable sync"
        } else if self.transport() == Transport::Pipe {
            "a hero who ends takes his pipes along, and nobody lays new ones; take --transport unix, tcp or udp"
        } else if self.durable == Durable::None {
            "who comes back without a log has forgotten what he promised; add --durable sync"
        } else {
            return Ok(());
        };
        Err(Refusal::Complaint(format!(
            "--fault \"{}\": {text}",
            self.fault
        )))
    }

    /// Heroes are dealt out over the cores of a runtime; who has none, or only one that is simulated, has no second one.
    fn check_cores(&self) -> Result<(), Refusal> {
        let Cores::Count(cores @ 2..) = self.cores else {
            return Ok(());
        };
        let text = if self.transport() == Transport::Memory {
            "the world in memory is one thread with a clock of its own; leave out --cores, or take another --transport".to_owned()
        } else if self.driver == Driver::Sim {
            "in a simulated world each hero has a host with one core, and all of it happens on one thread; leave out --cores, or take \
             another --driver"
                .to_owned()
        } else if cores > self.peers {
            let heroes = self.peers;
            format!("{heroes} heroes cannot be dealt out over {cores} cores; give 1..{heroes}")
        } else {
            return Ok(());
        };
        Err(Refusal::Complaint(format!("--cores {cores}: {text}")))
    }

    /// How many cores the heroes share.
    pub fn cores(&self) -> usize {
        let is_alone = self.transport() == Transport::Memory || self.driver == Driver::Sim;
        match self.cores {
            _ if is_alone => 1,
            Cores::Count(count) => count,
            Cores::All => {
                let processors = std::thread::available_parallelism().map_or(1, usize::from);
                processors.min(self.peers).min(CORES_MAX)
            }
        }
    }

    /// What carries the messages. The lottery shows one broadcast cut short, to which
    /// sockets would add nothing: it is drawn in memory. In a simulated world each hero gets a host.
    pub fn transport(&self) -> Transport {
        self.transport
            .unwrap_or(match (self.protocol, self.driver) {
                (Protocol::Lottery, _) => Transport::Memory,
                (Protocol::Consensus, Driver::Sim) => Transport::Tcp,
                (Protocol::Consensus, _) => Transport::Unix,
            })
    }

    /// Where the choice was left to the environment: `KRUG_DRIVER=sim` is `--driver sim`.
    ///
    /// # Errors
    ///
    /// As [`read`](Arguments::read), if that does not go together with the rest.
    pub fn with_environment(mut self, driver: Option<OsString>) -> Result<Arguments, Refusal> {
        let is_open = self.driver == Driver::Auto && self.transport() != Transport::Memory;
        if is_open && driver.is_some_and(|driver| driver == "sim") {
            self.driver = Driver::Sim;
            self.check_cores()?;
        }
        Ok(self)
    }

    /// The command that repeats this run with `seed`.
    pub fn replay(&self, program: &str, seed: u64) -> String {
        let mut line = program.to_owned();
        let mut add = |text: std::fmt::Arguments<'_>| {
            line.write_char(' ')
                .and_then(|()| line.write_fmt(text))
                .expect("a String takes every text");
        };
        let plain = Arguments::try_parse_from(["consensus"]).expect("every argument has a default");
        if self.peers != plain.peers {
            add(format_args!("--peers {}", self.peers));
        }
        if self.word != plain.word {
            add(format_args!("--word {}", quoted(&self.word.to_string())));
        }
        if self.protocol != plain.protocol {
            add(format_args!("--protocol {}", name(self.protocol)));
        } else if self.transport() != plain.transport() {
            add(format_args!("--transport {}", name(self.transport())));
        }
        if self.strict {
            add(format_args!("--strict"));
        }
        if !self.fault.is_empty() {
            add(format_args!("--fault {}", quoted(&self.fault.to_string())));
        }
        if self.durable != plain.durable {
            add(format_args!("--durable {}", name(self.durable)));
        }
        if self.driver != plain.driver {
            add(format_args!("--driver {}", name(self.driver)));
        }
        match self.cores {
            _ if self.cores == plain.cores => {}
            Cores::All => add(format_args!("--cores all")),
            Cores::Count(count) => add(format_args!("--cores {count}")),
        }
        if self.limit != plain.limit {
            add(format_args!("--limit {}", DurationText(self.limit)));
        }
        add(format_args!("--seed {seed}"));
        line
    }
}

/// How a choice is written on the command line.
pub fn name(choice: impl ValueEnum) -> String {
    let value = choice.to_possible_value().expect("no choice is hidden");
    value.get_name().to_owned()
}

/// What clap says, as an answer or a complaint.
pub(super) fn refusal_of(error: &clap::Error) -> Refusal {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            Refusal::Answer(error.render().to_string())
        }
        _ => Refusal::Complaint(one_line(error)),
    }
}

/// clap explains itself in a paragraph; a program that is called by programs says it in a line.
fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let parts: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| {
            !line.is_empty() && !line.starts_with("Usage:") && !line.starts_with("For more")
        })
        .map(|line| {
            line.trim_start_matches("error: ")
                .trim_start_matches("tip: ")
        })
        .collect();
    let end = if parts.iter().any(|part| part.contains(';')) {
        ""
    } else {
        "; see --help"
    };
    // What was typed is repeated to a terminal: nothing in it may steer one.
    let text = parts.join("; ").replace(char::is_control, " ");
    format!("{text}{end}")
}

/// As a shell takes it for one argument.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-+=.,:/%".contains(c);
    if text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn parse_peers(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("nobody would be there to speak; give 1 or more".into()),
        Ok(peers) if peers > PEERS_MAX => Err(format!(
            "a circle holds at most {PEERS_MAX}; give 1..{PEERS_MAX}"
        )),
        Ok(peers) => Ok(peers),
        Err(_) => Err(format!("that is no number of heroes; give 1..{PEERS_MAX}")),
    }
}

fn parse_cores(text: &str) -> Result<Cores, String> {
    match text.parse() {
        _ if text == "all" => Ok(Cores::All),
        Ok(0) => Err(format!(
            "nobody could run there; give 1..{CORES_MAX} or all"
        )),
        Ok(cores) if cores > CORES_MAX => Err(format!(
            "each core is a thread with a ring, and {CORES_MAX} of them are the most; give 1..{CORES_MAX} or all"
        )),
        Ok(cores) => Ok(Cores::Count(cores)),
        Err(_) => Err(format!(
            "that is no number of cores; give 1..{CORES_MAX} or all"
        )),
    }
}

fn parse_seed(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("that is no seed; give a whole number, 0..{}", u64::MAX))
}

fn parse_limit(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(Duration::ZERO) => Err("no time at all; give at least 1ms".into()),
        Ok(limit) if limit > Duration::from_secs(86_400) => {
            Err("more than a day; give less".into())
        }
        Ok(limit) => Ok(limit),
        Err(_) => Err("that is no time; give one like `500ms` or `5s`".into()),
    }
}

fn parse_transport(text: &str) -> Result<Transport, String> {
    choice(text, &[])
}

fn parse_protocol(text: &str) -> Result<Protocol, String> {
    choice(text, &[])
}

fn parse_view(text: &str) -> Result<View, String> {
    choice(text, &["ring"])
}

fn parse_driver(text: &str) -> Result<Driver, String> {
    choice(text, &[])
}

fn parse_durable(text: &str) -> Result<Durable, String> {
    choice(text, &[])
}

/// One of the values of `C`; those in `later` are promised, and refused today.
fn choice<C: ValueEnum>(text: &str, later: &[&str]) -> Result<C, String> {
    let names: Vec<String> = C::value_variants().iter().cloned().map(name).collect();
    let verb = if later.contains(&text) {
        "arrives in a later version"
    } else {
        "is none of them"
    };
    C::from_str(text, false).map_err(|_| format!("`{text}` {verb}; choose {}", or_list(&names)))
}

fn or_list(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &[&str]) -> Result<Arguments, Refusal> {
        Arguments::read(
            std::iter::once("consensus")
                .chain(line.iter().copied())
                .map(OsString::from),
        )
    }

    fn complaint(line: &[&str]) -> String {
        match read(line) {
            Err(Refusal::Complaint(text)) => text,
            other => panic!("{line:?}: {other:?}"),
        }
    }

    #[test]
    fn without_arguments_33_heroes_say_the_alphabet_over_unix_sockets() {
        let arguments = read(&[]).unwrap();
        assert_eq!(
            (arguments.peers, arguments.transport()),
            (33, Transport::Unix)
        );
        assert_eq!(arguments.word.count(), 33);
        assert_eq!(
            (arguments.limit, arguments.view),
            (Duration::from_secs(3), View::Lines)
        );
        assert!(arguments.fault.is_empty() && !arguments.strict && !arguments.json);
    }

    fn expect_complaints(table: &[(&[&str], &str)]) {
        for (line, expected) in table {
            let text = complaint(line);
            assert!(text.contains(expected), "{line:?}: {text}");
            assert!(!text.contains(char::is_control), "{line:?}: {text}");
            assert!(
                !text.contains("error:") && !text.contains("Usage"),
                "{line:?}: {text}"
            );
        }
    }

    #[test]
    fn what_does_not_go_together_is_one_line_that_says_so() {
        expect_complaints(&[
            (
                &["--driver", "sim", "--transport", "memory"],
                "leave out --driver sim",
            ),
            (
                &["--driver", "sim", "--protocol", "lottery"],
                "leave out --driver sim",
            ),
            (
                &["--durable", "sync", "--transport", "memory"],
                "leave out --durable",
            ),
            (&["--durable", "maybe"], "choose none or sync"),
        ]);
    }

    #[test]
    fn the_environment_chooses_the_simulated_world_where_nobody_else_has_chosen() {
        let chosen = |line: &[&str], driver: Option<&str>| {
            let arguments = read(line).unwrap();
            let arguments = arguments
                .with_environment(driver.map(OsString::from))
                .unwrap();
            (arguments.driver, arguments.transport())
        };
        assert_eq!(chosen(&[], Some("sim")), (Driver::Sim, Transport::Tcp));
        assert_eq!(chosen(&[], Some("epoll")), (Driver::Auto, Transport::Unix));
        assert_eq!(chosen(&[], None), (Driver::Auto, Transport::Unix));
        let uring = ["--driver", "uring"];
        assert_eq!(
            chosen(&uring, Some("sim")),
            (Driver::Uring, Transport::Unix)
        );
        let memory = ["--transport", "memory"];
        assert_eq!(chosen(&memory, Some("sim")).0, Driver::Auto);
        let pipes = ["--transport", "pipe"];
        assert_eq!(chosen(&pipes, Some("sim")), (Driver::Sim, Transport::Pipe));
    }

    #[test]
    fn every_bad_input_is_one_line_that_says_what_and_how() {
        let table: &[(&[&str], &str)] = &[
            (&["--peers", "0"], "give 1 or more"),
            (&["--peers", "-3"], "give 1..1000"),
            (&["--peers", "many"], "give 1..1000"),
            (&["--peers", "1001"], "at most 1000"),
            (&["--word", ""], "give at least one"),
            (&["--word", "a\tb"], "control character"),
            (&["--seed", "x"], "give a whole number"),
            (&["--seed", "-1"], "give a whole number"),
            (
                &["--transport", "pigeon"],
                "choose memory, unix, tcp, udp or pipe",
            ),
            (
                &["--transport", "udp", "--peers", "801"],
                "carries at most 800 heroes",
            ),
            (
                &["--driver", "kqueue"],
                "`kqueue` is none of them; choose auto, uring, epoll or sim",
            ),
            (
                &["--view", "ring"],
                "`ring` arrives in a later version; choose lines or quiet",
            ),
            (&["--protocol", "raft"], "choose consensus or lottery"),
            (
                &["--protocol", "lottery", "--transport", "tcp"],
                "leave out --transport",
            ),
            (&["--limit", "soon"], "give one like `500ms`"),
            (&["--limit", "0s"], "at least 1ms"),
            (&["--fault", "explode 3"], "unknown fault `explode`"),
            (
                &["--fault", "kill 34"],
                "there is no hero 34 among 33; name one of 1..33",
            ),
            (
                &["--peers", "3", "--fault", "kill 4"],
                "there is no hero 4 among 3",
            ),
            (
                &["--word", "abc", "--fault", "kill 1 @ letter 4"],
                "there is no letter 4 in a word of 3",
            ),
            (&["--sead", "1"], "--seed"),
            (&["--bogus"], "--bogus"),
            (&["--bo\x1b[2Jgus\n"], "--bo"),
            (&["--peers"], "--peers"),
            (&["drizzle"], "drizzle"),
            (&["--seed", "1", "--seed", "2"], "--seed"),
        ];
        expect_complaints(table);
    }

    #[test]
    fn the_replay_command_reads_back_as_the_same_run() {
        let lines: &[&[&str]] = &[
            &[],
            &[
                "--peers",
                "5",
                "--word",
                "it's a word",
                "--transport",
                "tcp",
                "--strict",
            ],
            &[
                "--fault",
                "kill 7 @ letter 5; loss 2.5%",
                "--limit",
                "500ms",
                "--driver",
                "uring",
            ],
            &["--protocol", "lottery", "--fault", "loss 1%"],
        ];
        for line in lines {
            let first = read(line).unwrap();
            let replay = first.replay("consensus", 42);
            let words = shell_words(&replay);
            let again = Arguments::read(words.into_iter().map(OsString::from)).unwrap();
            assert_eq!(again.seed, Some(42));
            let again = Arguments {
                seed: first.seed,
                ..again
            };
            assert_eq!(format!("{again:?}"), format!("{first:?}"), "{replay}");
        }
        assert_eq!(
            read(&[]).unwrap().replay("consensus", 7),
            "consensus --seed 7"
        );
    }

    /// Splits as a shell does, for the quotes that `quoted` writes.
    fn shell_words(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut quote = false;
        let mut characters = line.chars();
        while let Some(c) = characters.next() {
            match c {
                '\'' => quote = !quote,
                '\\' if !quote => words.last_mut().unwrap().extend(characters.next()),
                ' ' if !quote => words.push(String::new()),
                _ => words.last_mut().unwrap().push(c),
            }
        }
        words
    }

    #[test]
    fn help_and_version_are_answers() {
        assert!(
            matches!(read(&["--help"]), Err(Refusal::Answer(text)) if text.contains("--fault"))
        );
        assert!(
            matches!(read(&["--version"]), Err(Refusal::Answer(text)) if text.starts_with("consensus "))
        );
    }
}
