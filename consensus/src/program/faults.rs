//! What goes wrong in a run, and when: the little language of `--fault`.
//!
//! ```text
//! plan   := clause { ";" clause }
//! clause := "kill" heroes [ "@" moment ]  |  "loss" percent
//! heroes := number  |  number ".." number        (both ends included)
//! moment := "letter" number  |  duration         (default: before the first word)
//! ```
//!
//! `kill 7 @ letter 5` ends the seventh hero who was born, when four letters are
//! spoken and the fifth is due. `kill 1..17` ends seventeen of them before they say
//! anything. `kill 3 @ 20ms` counts from the start. `loss 10%` throws away every
//! tenth message, drawn from the seed. The numbers are known to the harness
//! alone: no hero knows his own.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;
use std::time::Duration;

/// Everything that goes wrong in one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultPlan {
    /// Who is ended, and when, in the order it was written.
    pub kills: Vec<Kill>,
    /// How many messages of a hundred are thrown away.
    pub loss: Loss,
}

/// The heroes `first..=last`, counted from 1 in the order of their birth, vanish at `moment`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kill {
    /// The first of them.
    pub first: usize,
    /// The last of them, himself included.
    pub last: usize,
    /// When.
    pub moment: Moment,
}

/// When a fault happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before anybody says anything.
    Birth,
    /// When all letters before this one are spoken, counted from 1.
    Letter(usize),
    /// So long after the start.
    After(Duration),
}

/// A share of messages that never arrive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// Messages lost out of a million.
    pub per_million: u32,
}

/// Why a plan was not understood: one line, with what would have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultError(String);

/// Understood by the grammar's future, refused by today's program.
const LATER: [&str; 6] = ["split", "heal", "pause", "stall-disk", "restart", "delay"];

const KNOWN: &str = "write `kill HERO`, `kill FIRST..LAST`, `kill HERO @ letter N`, `kill HERO @ 20ms` or `loss 10%`, \
                     several divided by `;`";

impl FromStr for FaultPlan {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<FaultPlan, FaultError> {
        let mut plan = FaultPlan::default();
        let mut loss_seen = false;
        if text.trim().is_empty() {
            return Ok(plan);
        }
        for clause in text.split(';').map(str::trim) {
            let (verb, rest) = clause
                .split_once(char::is_whitespace)
                .unwrap_or((clause, ""));
            match verb {
                "kill" => plan.kills.push(parse_kill(rest.trim())?),
                "loss" if loss_seen => return Err(error("`loss` is written twice; write it once")),
                "loss" => {
                    plan.loss = parse_loss(rest.trim())?;
                    loss_seen = true;
                }
                "" => return Err(error(format!("an empty fault; {KNOWN}"))),
                _ if LATER.contains(&verb) => {
                    return Err(error(format!(
                        "`{verb}` arrives in a later version; {KNOWN}"
                    )));
                }
                _ => return Err(error(format!("unknown fault `{verb}`; {KNOWN}"))),
            }
        }
        Ok(plan)
    }
}

fn parse_kill(text: &str) -> Result<Kill, FaultError> {
    let (heroes, moment) = match text.split_once('@') {
        Some((heroes, moment)) => (heroes.trim(), parse_moment(moment.trim())?),
        None => (text, Moment::Birth),
    };
    let (first, last) = heroes.split_once("..").unwrap_or((heroes, heroes));
    let first = parse_count(first.trim(), "hero")?;
    let last = parse_count(last.trim(), "hero")?;
    if first > last {
        return Err(error(format!(
            "`kill {heroes}` counts backwards; write `kill {last}..{first}`"
        )));
    }
    Ok(Kill {
        first,
        last,
        moment,
    })
}

fn parse_moment(text: &str) -> Result<Moment, FaultError> {
    if let Some(number) = text.strip_prefix("letter") {
        return Ok(Moment::Letter(parse_count(number.trim(), "letter")?));
    }
    parse_duration(text).map(Moment::After).map_err(|_| {
        error(format!(
            "`@ {text}` is no moment; write `@ letter 5`, `@ 20ms` or `@ 3s`"
        ))
    })
}

fn parse_count(text: &str, what: &str) -> Result<usize, FaultError> {
    match text.parse() {
        Ok(0) => Err(error(format!(
            "there is no {what} 0; the first is {what} 1"
        ))),
        Ok(number) => Ok(number),
        Err(_) => Err(error(format!(
            "`{text}` is no number of a {what}; write one like `7`, counted from 1"
        ))),
    }
}

fn parse_loss(text: &str) -> Result<Loss, FaultError> {
    let wrong = || {
        error(format!(
            "`loss {text}` is no share; write one from `loss 0%` to `loss 100%`"
        ))
    };
    let number = text.strip_suffix('%').ok_or_else(wrong)?.trim_end();
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let all_digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) || fraction.len() > 4 {
        return Err(wrong());
    }
    let whole: u32 = whole.parse().map_err(|_: ParseIntError| wrong())?;
    let fraction: u32 = format!("{fraction:0<4}")
        .parse()
        .map_err(|_: ParseIntError| wrong())?;
    let per_million = whole
        .checked_mul(10_000)
        .and_then(|share| share.checked_add(fraction))
        .filter(|share| *share <= 1_000_000)
        .ok_or_else(wrong)?;
    Ok(Loss { per_million })
}

/// Reads `250us`, `20ms`, `3s` or `2m`.
///
/// # Errors
///
/// A line that says what was expected.
pub fn parse_duration(text: &str) -> Result<Duration, FaultError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let microseconds = match unit.trim() {
        "us" | "µs" => Some(1),
        "ms" => Some(1_000),
        "s" => Some(1_000_000),
        "m" => Some(60_000_000),
        _ => None,
    };
    let total = microseconds.and_then(|unit| number.parse::<u64>().ok()?.checked_mul(unit));
    total.map(Duration::from_micros).ok_or_else(|| {
        error(format!(
            "`{text}` is no duration; write one like `20ms` or `3s`"
        ))
    })
}

impl FaultPlan {
    /// Checks that every hero and every letter that is named exists.
    ///
    /// # Errors
    ///
    /// A line that names the first one that does not.
    pub fn check(&self, peers: usize, letters: usize) -> Result<(), FaultError> {
        for kill in &self.kills {
            if kill.last > peers {
                let hero = if kill.first > peers {
                    kill.first
                } else {
                    kill.last
                };
                return Err(error(format!(
                    "there is no hero {hero} among {peers}; name one of 1..{peers}"
                )));
            }
            if let Moment::Letter(letter) = kill.moment
                && letter > letters
            {
                return Err(error(format!(
                    "there is no letter {letter} in a word of {letters}; name one of 1..{letters}"
                )));
            }
        }
        Ok(())
    }

    /// True if this hero, counted from 1, ends before he says anything.
    pub fn is_stillborn(&self, hero: usize) -> bool {
        let mut kills = self.kills.iter();
        kills.any(|kill| kill.moment == Moment::Birth && (kill.first..=kill.last).contains(&hero))
    }

    /// True if nothing goes wrong.
    pub fn is_empty(&self) -> bool {
        self.kills.is_empty() && self.loss.per_million == 0
    }
}

impl fmt::Display for FaultPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut divider = "";
        for kill in &self.kills {
            write!(f, "{divider}{kill}")?;
            divider = "; ";
        }
        if self.loss.per_million > 0 {
            write!(f, "{divider}loss {}", self.loss)?;
        }
        Ok(())
    }
}

impl fmt::Display for Kill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kill {}", self.first)?;
        if self.last > self.first {
            write!(f, "..{}", self.last)?;
        }
        match self.moment {
            Moment::Birth => Ok(()),
            Moment::Letter(letter) => write!(f, " @ letter {letter}"),
            Moment::After(delay) => write!(f, " @ {}", DurationText(delay)),
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.per_million / 10_000, self.per_million % 10_000);
        if fraction == 0 {
            return write!(f, "{whole}%");
        }
        let digits = format!("{fraction:04}");
        write!(f, "{whole}.{}%", digits.trim_end_matches('0'))
    }
}

/// Writes a duration the way [`parse_duration`] reads it.
#[derive(Clone, Copy, Debug)]
pub struct DurationText(pub Duration);

impl fmt::Display for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let microseconds = self.0.as_micros();
        match microseconds {
            0 => write!(f, "0s"),
            _ if microseconds.is_multiple_of(1_000_000) => {
                write!(f, "{}s", microseconds / 1_000_000)
            }
            _ if microseconds.is_multiple_of(1_000) => write!(f, "{}ms", microseconds / 1_000),
            _ => write!(f, "{microseconds}us"),
        }
    }
}

fn error(text: impl Into<String>) -> FaultError {
    FaultError(text.into())
}

impl fmt::Display for FaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FaultError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> FaultPlan {
        text.parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn every_clause_is_read_as_it_is_written() {
        assert_eq!(
            plan("kill 7 @ letter 5; kill 1..17; kill 3@20ms ;loss 10%"),
            FaultPlan {
                kills: vec![
                    Kill {
                        first: 7,
                        last: 7,
                        moment: Moment::Letter(5)
                    },
                    Kill {
                        first: 1,
                        last: 17,
                        moment: Moment::Birth
                    },
                    Kill {
                        first: 3,
                        last: 3,
                        moment: Moment::After(Duration::from_millis(20))
                    },
                ],
                loss: Loss {
                    per_million: 100_000
                },
            }
        );
        assert!(plan("").is_empty() && plan("loss 0%").is_empty());
        assert_eq!(plan("loss 0.1%").loss.per_million, 1_000);
        assert_eq!(plan("loss 100%").loss.per_million, 1_000_000);
    }

    #[test]
    fn a_printed_plan_reads_back_as_itself() {
        for text in [
            "kill 7 @ letter 5; kill 1..17; kill 3 @ 20ms; loss 12.5%",
            "kill 1 @ 3s",
            "kill 1 @ 0s",
            "kill 1 @ 15us",
            "loss 0.0001%",
        ] {
            assert_eq!(plan(text).to_string(), text);
            assert_eq!(plan(&plan(text).to_string()), plan(text));
        }
    }

    #[test]
    fn what_is_not_understood_is_answered_in_one_line_that_says_what_would_be() {
        let table = [
            ("; kill 7", "an empty fault; write `kill HERO`"),
            ("kill 7;", "an empty fault"),
            ("murder 7", "unknown fault `murder`; write `kill HERO`"),
            ("split 16|17", "`split` arrives in a later version; write"),
            ("kill", "`` is no number of a hero; write one like `7`"),
            ("kill seven", "`seven` is no number of a hero"),
            ("kill 0", "there is no hero 0; the first is hero 1"),
            ("kill -1", "`-1` is no number of a hero"),
            ("kill 9..2", "counts backwards; write `kill 2..9`"),
            ("kill 7 @", "`@ ` is no moment; write `@ letter 5`"),
            ("kill 7 @ noon", "`@ noon` is no moment"),
            (
                "kill 7 @ letter 0",
                "there is no letter 0; the first is letter 1",
            ),
            ("kill 7 @ letter", "is no number of a letter"),
            ("kill 7 @ 99999999999999999999s", "is no moment"),
            ("loss", "`loss ` is no share; write one from `loss 0%`"),
            ("loss 10", "`loss 10` is no share"),
            ("loss 101%", "`loss 101%` is no share"),
            ("loss 4294967295%", "is no share"),
            ("loss -1%", "is no share"),
            ("loss 1.%", "is no share"),
            ("loss 1.00001%", "is no share"),
            ("loss 1%; loss 2%", "`loss` is written twice"),
        ];
        for (text, expected) in table {
            let answer = text.parse::<FaultPlan>().expect_err(text).to_string();
            assert!(answer.contains(expected), "{text}: {answer}");
            assert!(!answer.contains('\n'), "{text}: {answer}");
        }
    }

    #[test]
    fn heroes_and_letters_that_do_not_exist_are_named() {
        let answer = |text: &str| plan(text).check(33, 5).map_err(|error| error.to_string());
        assert_eq!(answer("kill 33 @ letter 5"), Ok(()));
        assert_eq!(
            answer("kill 34"),
            Err("there is no hero 34 among 33; name one of 1..33".into())
        );
        assert_eq!(
            answer("kill 30..40"),
            Err("there is no hero 40 among 33; name one of 1..33".into())
        );
        assert_eq!(
            answer("kill 1 @ letter 6"),
            Err("there is no letter 6 in a word of 5; name one of 1..5".into())
        );
    }
}
