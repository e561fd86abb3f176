//! What a run prints: lines while it happens, a card at its end, or one JSON object.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::arguments::{Arguments, Transport, View, name};
use super::course::{Course, DecreeCounts, End, Happening, MessageCounts, Spoken};
use super::faults::{DurationText, Heroes, SidesText};

/// The object of `--json`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The word that was to be spoken.
    pub word: String,
    /// What was spoken of it.
    pub transcript: String,
    /// How many heroes there were.
    pub peers: usize,
    /// How many names are on the roster.
    pub roster: usize,
    /// Who spoke what.
    pub spoken: Vec<Spoken>,
    /// Messages by kind.
    pub messages: MessageCounts,
    /// Decrees by their way.
    pub decrees: DecreeCounts,
    /// Rounds of all decrees together.
    pub rounds: u64,
    /// Milliseconds from the first birth to the end.
    pub elapsed_ms: f64,
    /// What carried the messages.
    pub transport: String,
    /// What drove the executor.
    pub driver: &'static str,
    /// How many of its cores the heroes shared.
    pub cores: usize,
    /// The seed of everything that was drawn.
    pub seed: u64,
    /// The command that repeats the run.
    pub replay: String,
    /// Names the trace, in 16 hexadecimal digits.
    pub trace_hash: String,
}

impl Report {
    /// The report of `course`, which `arguments` and `seed` led to.
    pub fn new(arguments: &Arguments, program: &str, seed: u64, course: &Course) -> Report {
        Report {
            word: arguments.word.to_string(),
            transcript: course
                .spoken
                .iter()
                .map(|spoken| spoken.letter.as_str())
                .collect(),
            peers: arguments.peers,
            roster: course.roster,
            spoken: course.spoken.clone(),
            messages: course.messages,
            decrees: course.decrees,
            rounds: course.rounds,
            elapsed_ms: course.elapsed.as_micros() as f64 / 1_000.0,
            transport: name(arguments.transport()),
            driver: course.driver,
            cores: course.cores,
            seed,
            replay: arguments.replay(program, seed),
            trace_hash: format!("{:016x}", course.trace_hash),
        }
    }

    /// The report as one line of JSON.
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers always become JSON")
    }

    /// The card: everything worth knowing, a line each.
    pub fn card(&self, end: &End, paint: Paint) -> String {
        let mut card = String::new();
        let mut line = |title: &str, text: &str| {
            writeln!(card, "  {}  {text}", paint.dim(&format!("{title:<9}")))
                .expect("a String takes every text");
        };
        let transcript = if self.transcript.is_empty() {
            "…"
        } else {
            &self.transcript
        };
        line("word", &paint.bold(transcript));
        line("spoken", &self.spoken_text(end));
        line("stood in", &self.stood_in_text());
        line("messages", &self.messages.to_string());
        line("decrees", &self.decrees_text());
        line("over", &self.over_text());
        line("seed", &self.seed_text());
        line("trace", &self.trace_hash);
        line("repeat", &self.replay);
        card
    }

    fn spoken_text(&self, end: &End) -> String {
        let letters = self.spoken.len();
        let time = Milliseconds(self.elapsed_ms);
        match end {
            End::Spoken => format!(
                "{} by a roster of {} in {time}",
                count(letters, "letter"),
                count_plural(self.roster, "hero", "heroes")
            ),
            End::Stuck(_) | End::Broken(_) => {
                let all = count(self.word.chars().count(), "letter");
                format!("{letters} of {all}, then nothing; given up after {time}")
            }
        }
    }

    fn stood_in_text(&self) -> String {
        let pairs: Vec<String> = self
            .spoken
            .iter()
            .filter_map(|spoken| {
                let owner = spoken.stood_in?;
                Some(format!(
                    "hero {} for hero {owner} ({})",
                    spoken.speaker, spoken.letter
                ))
            })
            .collect();
        if pairs.is_empty() {
            "nobody".to_owned()
        } else {
            pairs.join(", ")
        }
    }

    fn decrees_text(&self) -> String {
        let DecreeCounts { fast, slow } = self.decrees;
        let rounds = count(self.rounds as usize, "round");
        format!("{}: {fast} fast, {slow} slow; {rounds}", fast + slow)
    }

    fn over_text(&self) -> String {
        let pairs = self.peers * (self.peers - 1) / 2;
        let hosts = count(self.peers, "simulated host");
        match self.transport.as_str() {
            "tcp" if self.is_simulated() => format!("TCP between {hosts}"),
            "udp" if self.is_simulated() => format!("UDP between {hosts}"),
            other if self.is_simulated() => format!("{other} on a simulated host"),
            "memory" => "memory, in virtual time".to_owned(),
            "unix" => format!("{} on {}", count(pairs, "unix socket"), self.place_text()),
            "tcp" => format!(
                "{} on {}",
                count(pairs, "TCP connection"),
                self.place_text()
            ),
            "udp" => format!(
                "{} on {}",
                count(self.peers, "UDP socket"),
                self.place_text()
            ),
            "pipe" => format!("{} on {}", count(2 * pairs, "pipe"), self.place_text()),
            other => format!("{other} on {}", self.place_text()),
        }
    }

    fn place_text(&self) -> String {
        match self.cores {
            1 => self.driver.to_owned(),
            cores => format!("{}, {cores} cores", self.driver),
        }
    }

    fn is_simulated(&self) -> bool {
        self.driver == "sim"
    }

    fn seed_text(&self) -> String {
        let reach = if self.is_simulated() || self.transport == name(Transport::Memory) {
            "fixes the whole run"
        } else {
            "fixes names, tickets and ranks; who comes first is up to the kernel"
        };
        format!("{} ({reach})", self.seed)
    }
}

/// Prints what happens, as far as the view wants it.
#[derive(Debug)]
pub struct Narrator {
    show: bool,
    paint: Paint,
    /// So that the letters stand below each other.
    width_position: usize,
    width_hero: usize,
}

impl Narrator {
    /// The narrator that `arguments` ask for.
    pub fn new(arguments: &Arguments) -> Narrator {
        Narrator {
            show: arguments.view == View::Lines && !arguments.json,
            paint: Paint::of_terminal(),
            width_position: digits(arguments.word.count()),
            width_hero: digits(arguments.peers),
        }
    }

    /// One that says nothing.
    pub fn silent() -> Narrator {
        Narrator {
            show: false,
            paint: Paint { colors: false },
            width_position: 1,
            width_hero: 1,
        }
    }

    /// The first line.
    pub fn opening(&self, arguments: &Arguments, seed: u64) {
        let heroes = count_plural(arguments.peers, "hero sits", "heroes sit");
        let mut text = format!(
            "{heroes} in a circle to say {}.",
            self.paint.bold(&arguments.word.to_string())
        );
        text.push_str(" Nobody leads, nobody has a number.");
        self.say(&text);
        if !arguments.fault.is_empty() {
            self.say(&format!("Faults: {}.", arguments.fault));
        }
        self.say(&format!("Seed {seed}.\n"));
    }

    /// Something happened, so long after the start.
    pub fn tell(&self, happening: &Happening, elapsed: std::time::Duration) {
        if !self.show {
            return;
        }
        let time = self.paint.dim(&format!(
            "{:>10}",
            Milliseconds(elapsed.as_micros() as f64 / 1_000.0).to_string()
        ));
        let text = match happening {
            Happening::Linked { links } => self
                .paint
                .dim(&format!("{} between them", count(*links, "link"))),
            Happening::RosterClosed { names } => self
                .paint
                .dim(&format!("the roll is decided: {}", count(*names, "name"))),
            Happening::Killed(heroes) => self.paint.red(&whose(*heroes, "is gone", "are gone")),
            Happening::Restarted(heroes) => {
                self.paint
                    .yellow(&whose(*heroes, "begins another life", "begin another life"))
            }
            Happening::Returned { hero, letters } => self.paint.yellow(&format!(
                "hero {hero} is back, and knows {}",
                count(*letters, "letter")
            )),
            Happening::Split(sides) => self.paint.red(&format!(
                "the circle is split: {} do not hear each other",
                SidesText(sides)
            )),
            Happening::Healed => self.paint.yellow("all hear each other again"),
            Happening::Stalled(heroes, duration) => {
                let text = whose(*heroes, "does nothing for", "do nothing for");
                self.paint
                    .red(&format!("{text} {}", DurationText(*duration)))
            }
            Happening::WentOn { hero } => self.paint.yellow(&format!("hero {hero} goes on")),
            Happening::Spoke(spoken) => self.spoke(spoken),
        };
        self.say(&format!("{time}  {text}"));
    }

    fn spoke(&self, spoken: &Spoken) -> String {
        let Spoken {
            position,
            letter,
            speaker,
            stood_in,
        } = spoken;
        let mut text = format!(
            "{position:>positions$}  {}  hero {speaker:<heroes$}",
            self.paint.bold(letter),
            positions = self.width_position,
            heroes = self.width_hero,
        );
        if let Some(owner) = stood_in {
            text.push_str(&self.paint.yellow(&format!("  stands in for hero {owner}")));
        }
        text.trim_end().to_owned()
    }

    fn say(&self, text: &str) {
        if self.show {
            // A reader who has gone away is no reason to stop speaking.
            let _ = writeln!(io::stdout().lock(), "{text}");
        }
    }
}

/// "hero 7 is gone", "heroes 1..3 are gone".
fn whose(heroes: Heroes, one: &str, many: &str) -> String {
    match heroes.first == heroes.last {
        true => format!("hero {heroes} {one}"),
        false => format!("heroes {heroes} {many}"),
    }
}

/// Colors, if the reader can see them.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    colors: bool,
}

impl Paint {
    /// Colors only for a terminal, and only if `NO_COLOR` is unset or empty.
    pub fn of_terminal() -> Paint {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Paint {
            colors: io::stdout().is_terminal() && !refused && !dumb,
        }
    }

    /// Never any.
    pub fn plain() -> Paint {
        Paint { colors: false }
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    pub(super) fn red(self, text: &str) -> String {
        self.wrap("31", text)
    }

    pub(super) fn yellow(self, text: &str) -> String {
        self.wrap("33", text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.colors {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Milliseconds, as a reader likes them.
#[derive(Clone, Copy, Debug)]
struct Milliseconds(f64);

impl std::fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            short if short < 10.0 => write!(f, "{short:.1} ms"),
            middle if middle < 10_000.0 => write!(f, "{middle:.0} ms"),
            long => write!(f, "{:.1} s", long / 1_000.0),
        }
    }
}

pub(super) fn count(number: usize, noun: &str) -> String {
    count_plural(number, noun, &format!("{noun}s"))
}

pub(super) fn count_plural(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn digits(number: usize) -> usize {
    number.to_string().len()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn report() -> (Report, Course) {
        let line = [
            "consensus",
            "--peers",
            "3",
            "--word",
            "АБ",
            "--transport",
            "tcp",
        ];
        let arguments = Arguments::read(line.into_iter().map(Into::into)).unwrap();
        let course = Course {
            end: End::Spoken,
            roster: 3,
            spoken: vec![
                Spoken {
                    position: 1,
                    letter: "А".into(),
                    speaker: 2,
                    stood_in: None,
                },
                Spoken {
                    position: 2,
                    letter: "Б".into(),
                    speaker: 1,
                    stood_in: Some(3),
                },
            ],
            messages: MessageCounts {
                claim: 6,
                decided: 5,
                record: 4,
                recorded: 3,
                fetch: 2,
            },
            decrees: DecreeCounts { fast: 2, slow: 1 },
            rounds: 3,
            elapsed: Duration::from_micros(1_234),
            cores: 1,
            driver: "uring",
            trace_hash: 0xabc,
        };
        (Report::new(&arguments, "consensus", 9, &course), course)
    }

    #[test]
    fn the_json_object_has_exactly_its_fields() {
        let value: serde_json::Value = serde_json::from_str(&report().0.json()).unwrap();
        let expected = serde_json::json!({
            "word": "АБ", "transcript": "АБ", "peers": 3, "roster": 3,
            "spoken": [
                { "position": 1, "letter": "А", "speaker": 2, "stood_in": null },
                { "position": 2, "letter": "Б", "speaker": 1, "stood_in": 3 },
            ],
            "messages": { "claim": 6, "decided": 5, "record": 4, "recorded": 3, "fetch": 2 },
            "decrees": { "fast": 2, "slow": 1 }, "rounds": 3, "elapsed_ms": 1.234,
            "transport": "tcp", "driver": "uring", "cores": 1, "seed": 9,
            "replay": "consensus --peers 3 --word АБ --transport tcp --seed 9",
            "trace_hash": "0000000000000abc",
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn the_card_tells_who_stood_in_for_whom_and_how_to_repeat_it() {
        let (report, course) = report();
        let card = report.card(&course.end, Paint::plain());
        for part in [
            "АБ",
            "2 letters by a roster of 3 heroes in 1.2 ms",
            "hero 1 for hero 3 (Б)",
            "20: 6 claim, 5 decided, 4 record, 3 recorded, 2 fetch",
            "3: 2 fast, 1 slow; 3 rounds",
            "3 TCP connections on uring",
            "9 (fixes names, tickets and ranks; who comes first is up to the kernel)",
            "consensus --peers 3 --word АБ --transport tcp --seed 9",
        ] {
            assert!(card.contains(part), "{part} in\n{card}");
        }
        assert!(!card.contains('\x1b'));
    }

    #[test]
    fn colors_are_for_those_who_see_them() {
        assert_eq!(Paint { colors: true }.bold("А"), "\x1b[1mА\x1b[0m");
        assert_eq!(Paint::plain().bold("А"), "А");
    }
}
