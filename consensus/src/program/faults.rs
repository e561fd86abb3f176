//! What goes wrong in a run, and when: the little language of `--fault`.
//!
//! ```text
//! plan   := clause { ";" clause }
//! clause := "kill" heroes [ "@" moment ]
//!         | "restart" heroes "@" moment
//!         | "split" number "|" number { "|" number } [ "@" moment ]
//!         | "heal" "@" moment
//!         | "stall" heroes [ "@" moment ] "for" duration
//!         | "loss" percent
//! heroes := number  |  number ".." number        (both ends included)
//! moment := "letter" number  |  duration         (default: before the first word)
//! ```
//!
//! `kill 7 @ letter 5` ends the seventh hero who was born, when four letters are
//! spoken and the fifth is due. `kill 1..17` ends seventeen of them before they say
//! anything. `kill 3 @ 20ms` counts from the start. `restart 7 @ 1s` lets him come back with his log; if he lives he ends
//! first. `split 16|17` says how many sit on each side, in the order of their birth: nothing gets from one side to another
//! until `heal @ 2s`, or until another split. `stall 7 @ letter 5 for 200ms`: he does nothing for so long, and loses nothing.
//! `loss 10%` throws away every tenth message, drawn from the seed. The numbers are known to the harness
//! alone: no hero knows his own.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;
use std::time::Duration;

/// Everything that goes wrong in one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultPlan {
    /// What happens, and when, in the order it was written.
    pub faults: Vec<Fault>,
    /// How many messages of a hundred are thrown away.
    pub loss: Loss,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What.
    pub what: What,
    /// When.
    pub moment: Moment,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// They vanish.
    Kill(Heroes),
    /// They begin another life with their logs.
    Restart(Heroes),
    /// So many on each side, in the order of their birth: nothing gets from one side to another.
    Split(Vec<usize>),
    /// Everything gets everywhere again.
    Heal,
    /// They do nothing for so long.
    Stall(Heroes, Duration),
}

/// The heroes `first..=last`, counted from 1 in the order of their birth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heroes {
    /// The first of them.
    pub first: usize,
    /// The last of them, himself included.
    pub last: usize,
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
const LATER: [&str; 2] = ["stall-disk", "delay"];

const KNOWN: &str = "write `kill HERO`, `kill FIRST..LAST`, `kill HERO @ letter N`, `kill HERO @ 20ms`, `restart HERO @ 1s`, \
                     `split 16|17 @ letter N`, `heal @ 2s`, `stall HERO @ letter N for 200ms` or `loss 10%`, several divided by `;`";

impl FromStr for FaultPlan {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<FaultPlan, FaultError> {
        let mut plan = FaultPlan::default();
        let mut loss_seen = false;
        if text.trim().is_empty() {
            return Ok(plan);
        }
        for clause in text.split(';').map(str::trim) {
            // The moment may follow the verb at once: `heal@2s`.
            let end = clause.find(|c: char| c.is_whitespace() || c == '@');
            let (verb, rest) = clause.split_at(end.unwrap_or(clause.len()));
            match verb {
                "kill" | "restart" | "split" | "heal" | "stall" => {
                    plan.faults.push(parse_fault(verb, rest.trim())?);
                }
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

fn parse_fault(verb: &str, text: &str) -> Result<Fault, FaultError> {
    let (text, duration) = match verb {
        "stall" => parse_how_long(text)?,
        _ => (text, Duration::ZERO),
    };
    let (whom, moment) = match text.split_once('@') {
        Some((whom, moment)) => (whom.trim(), parse_moment(moment.trim())?),
        None if ["restart", "heal"].contains(&verb) => {
            return Err(error(format!(
                "`{}` does not say when; write `@ letter 5`, `@ 20ms` or `@ 3s` behind it",
                format!("{verb} {text}").trim_end()
            )));
        }
        None => (text, Moment::Birth),
    };
    let what = match verb {
        "kill" => What::Kill(parse_heroes(verb, whom)?),
        "restart" => What::Restart(parse_heroes(verb, whom)?),
        "stall" => What::Stall(parse_heroes(verb, whom)?, duration),
        "split" => What::Split(parse_sides(whom)?),
        _ if whom.is_empty() => What::Heal,
        _ => {
            return Err(error(format!(
                "`heal {whom}` heals some alone, and all that is split is healed; write `heal @ 2s`"
            )));
        }
    };
    Ok(Fault { what, moment })
}

fn parse_heroes(verb: &str, text: &str) -> Result<Heroes, FaultError> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let first = parse_count(first.trim(), "hero")?;
    let last = parse_count(last.trim(), "hero")?;
    if first > last {
        return Err(error(format!(
            "`{verb} {text}` counts backwards; write `{verb} {last}..{first}`"
        )));
    }
    Ok(Heroes { first, last })
}

/// What stands before `for`, and the time behind it.
fn parse_how_long(text: &str) -> Result<(&str, Duration), FaultError> {
    let wrong = || {
        error(format!(
            "`stall {text}` does not say how long; write `for 200ms` at its end"
        ))
    };
    let (before, duration) = text.rsplit_once(" for ").ok_or_else(wrong)?;
    match parse_duration(duration.trim()) {
        Ok(Duration::ZERO) => Err(error("a stall of no time at all; give at least 1us")),
        Ok(duration) => Ok((before.trim(), duration)),
        Err(_) => Err(wrong()),
    }
}

fn parse_sides(text: &str) -> Result<Vec<usize>, FaultError> {
    let wrong = || {
        error(format!(
            "`split {text}` does not say how many sit on each side; write it like `split 16|17`, at least one on each"
        ))
    };
    let side = |side: &str| side.trim().parse().ok().filter(|count| *count > 0);
    let sides: Option<Vec<usize>> = text.split('|').map(side).collect();
    sides.filter(|sides| sides.len() > 1).ok_or_else(wrong)
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
        for Fault { what, moment } in &self.faults {
            match what {
                What::Kill(heroes) | What::Restart(heroes) | What::Stall(heroes, _) => {
                    heroes.check(peers)?;
                }
                What::Split(sides) => check_sides(sides, peers)?,
                What::Heal => {}
            }
            if let Moment::Letter(letter) = moment
                && *letter > letters
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
        self.faults.iter().any(|fault| match fault.what {
            What::Kill(heroes) => fault.moment == Moment::Birth && heroes.contains(hero),
            _ => false,
        })
    }

    /// True if somebody is to come back.
    pub fn has_restarts(&self) -> bool {
        let mut faults = self.faults.iter();
        faults.any(|fault| matches!(fault.what, What::Restart(_)))
    }

    /// True if links have to be made anew when they break, or the harness has to know where each leads.
    pub fn needs_lasting_links(&self) -> bool {
        let mut faults = self.faults.iter();
        faults.any(|fault| matches!(fault.what, What::Restart(_) | What::Split(_)))
    }

    /// True if nobody does anything but vanish, and messages do.
    pub fn only_takes_away(&self) -> bool {
        let mut faults = self.faults.iter();
        faults.all(|fault| matches!(fault.what, What::Kill(_)))
    }

    /// True if nothing goes wrong.
    pub fn is_empty(&self) -> bool {
        self.faults.is_empty() && self.loss.per_million == 0
    }
}

impl Heroes {
    /// True if this hero, counted from 1, is one of them.
    pub fn contains(self, hero: usize) -> bool {
        (self.first..=self.last).contains(&hero)
    }

    /// Their numbers, counted from 0.
    pub fn indices(self) -> std::ops::Range<usize> {
        self.first - 1..self.last
    }

    fn check(self, peers: usize) -> Result<(), FaultError> {
        if self.last <= peers {
            return Ok(());
        }
        let hero = match self.first > peers {
            true => self.first,
            false => self.last,
        };
        Err(error(format!(
            "there is no hero {hero} among {peers}; name one of 1..{peers}"
        )))
    }
}

fn check_sides(sides: &[usize], peers: usize) -> Result<(), FaultError> {
    let sum = sides
        .iter()
        .try_fold(0_usize, |sum, side| sum.checked_add(*side));
    match sum {
        Some(sum) if sum == peers => Ok(()),
        _ => Err(error(format!(
            "the sides of `split {}` are not {peers} heroes together; write it like `split {}|{}`",
            SidesText(sides),
            peers / 2,
            peers - peers / 2
        ))),
    }
}

impl fmt::Display for FaultPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut divider = "";
        for fault in &self.faults {
            write!(f, "{divider}{fault}")?;
            divider = "; ";
        }
        if self.loss.per_million > 0 {
            write!(f, "{divider}loss {}", self.loss)?;
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Kill(heroes) => write!(f, "kill {heroes}")?,
            What::Restart(heroes) => write!(f, "restart {heroes}")?,
            What::Split(sides) => write!(f, "split {}", SidesText(sides))?,
            What::Heal => write!(f, "heal")?,
            What::Stall(heroes, _) => write!(f, "stall {heroes}")?,
        }
        match self.moment {
            Moment::Birth => {}
            Moment::Letter(letter) => write!(f, " @ letter {letter}")?,
            Moment::After(delay) => write!(f, " @ {}", DurationText(delay))?,
        }
        match self.what {
            What::Stall(_, duration) => write!(f, " for {}", DurationText(duration)),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Heroes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        if self.last > self.first {
            write!(f, "..{}", self.last)?;
        }
        Ok(())
    }
}

/// How many sit on each side, as it is written in a plan.
#[derive(Clone, Copy, Debug)]
pub struct SidesText<'a>(pub &'a [usize]);

impl fmt::Display for SidesText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sides: Vec<String> = self.0.iter().map(usize::to_string).collect();
        f.write_str(&sides.join("|"))
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

    fn kill(first: usize, last: usize, moment: Moment) -> Fault {
        let what = What::Kill(Heroes { first, last });
        Fault { what, moment }
    }

    #[test]
    fn who_comes_back_is_parted_or_does_nothing_is_read_as_it_is_written() {
        let faults =
            plan("restart 2..4 @ 1s; split 16 | 17; heal@letter 9; stall 7 @ letter 5 for 200ms; stall 1 for 2s").faults;
        let what = |index: usize| (faults[index].what.clone(), faults[index].moment);
        let second = Duration::from_secs(1);
        let heroes = |first, last| Heroes { first, last };
        assert_eq!(
            what(0),
            (What::Restart(heroes(2, 4)), Moment::After(second))
        );
        assert_eq!(what(1), (What::Split(vec![16, 17]), Moment::Birth));
        assert_eq!(what(2), (What::Heal, Moment::Letter(9)));
        assert_eq!(
            what(3),
            (What::Stall(heroes(7, 7), second / 5), Moment::Letter(5))
        );
        assert_eq!(
            what(4),
            (What::Stall(heroes(1, 1), 2 * second), Moment::Birth)
        );
        assert_eq!(faults.len(), 5);
    }

    #[test]
    fn every_clause_is_read_as_it_is_written() {
        assert_eq!(
            plan("kill 7 @ letter 5; kill 1..17; kill 3@20ms ;loss 10%"),
            FaultPlan {
                faults: vec![
                    kill(7, 7, Moment::Letter(5)),
                    kill(1, 17, Moment::Birth),
                    kill(3, 3, Moment::After(Duration::from_millis(20))),
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
            "kill 7 @ letter 3; restart 7 @ 1s; restart 1..3 @ letter 4",
            "split 16|17; split 1|2|30 @ 20ms; heal @ letter 9",
            "stall 1..3 for 2s; stall 7 @ letter 5 for 200ms; loss 1%",
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
            ("delay 5ms", "`delay` arrives in a later version; write"),
            ("restart", "`restart` does not say when; write `@ letter 5`"),
            ("restart 7", "`restart 7` does not say when"),
            ("restart 7 @", "`@ ` is no moment"),
            ("restart @ 1s", "`` is no number of a hero"),
            ("restart 9..2 @ 1s", "write `restart 2..9`"),
            ("heal", "`heal` does not say when"),
            ("heal 16|17 @ 1s", "all that is split is healed"),
            ("split", "does not say how many sit on each side"),
            ("split 33", "does not say how many sit on each side"),
            ("split 16|", "does not say how many"),
            ("split 0|33", "at least one on each"),
            ("split a|b @ 1s", "does not say how many"),
            ("split 16|17 @ dawn", "`@ dawn` is no moment"),
            (
                "stall 7",
                "`stall 7` does not say how long; write `for 200ms`",
            ),
            ("stall 7 @ letter 5", "does not say how long"),
            ("stall 7 for", "does not say how long"),
            ("stall 7 for ever", "does not say how long"),
            ("stall 7 for 0s", "no time at all"),
            ("stall for 1s", "does not say how long"),
            ("stall 0 for 1s", "there is no hero 0"),
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
        assert_eq!(answer("split 16|17; restart 33 @ 1s"), Ok(()));
        assert_eq!(
            answer("split 16|16"),
            Err("the sides of `split 16|16` are not 33 heroes together; write it like `split 16|17`".into())
        );
        assert!(answer("split 18446744073709551615|34").is_err());
        for text in ["restart 34 @ 1s", "stall 34 for 1s"] {
            assert_eq!(
                answer(text),
                Err("there is no hero 34 among 33; name one of 1..33".into())
            );
        }
        assert!(answer("heal @ letter 6").is_err());
        assert_eq!(
            answer("kill 1 @ letter 6"),
            Err("there is no letter 6 in a word of 5; name one of 1..5".into())
        );
    }
}
