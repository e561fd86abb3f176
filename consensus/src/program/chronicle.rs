//! The harness's book: who lives, who said what, whether all agree, who is to die next.
//!
//! It stands outside the circle. It knows every hero's number and name, tells none of
//! them anything, and checks with every line that nobody contradicts anybody else, the
//! dead counted.

use std::collections::BTreeMap;
use std::time::Duration;

use super::arguments::Arguments;
use super::course::{Course, DecreeCounts, End, Happening, MessageCounts, Spoken, TraceHash};
use super::faults::{DurationText, Kill, Moment};
use super::report::Narrator;
use super::word::Word;
use crate::core::{Conclusion, Effect, Name, Slot, Utterance, Waiting};

/// Everything the harness knows of a run.
#[derive(Debug)]
pub struct Chronicle {
    word: Word,
    heroes: Vec<Hero>,
    names: BTreeMap<Name, usize>,
    roster: Option<Vec<Name>>,
    spoken: Vec<Utterance>,
    conclusions: BTreeMap<Slot, Conclusion>,
    kills: Vec<Kill>,
    trace: TraceHash,
    progress: Duration,
    broken: Option<String>,
    narrator: Narrator,
}

#[derive(Clone, Debug)]
struct Hero {
    alive: bool,
    /// How many letters he knows to be spoken.
    letters: usize,
}

impl Chronicle {
    /// A book with nothing in it but who is there.
    pub fn new(arguments: &Arguments, narrator: Narrator) -> Chronicle {
        Chronicle {
            word: arguments.word.clone(),
            heroes: vec![
                Hero {
                    alive: true,
                    letters: 0
                };
                arguments.peers
            ],
            names: BTreeMap::new(),
            roster: None,
            spoken: Vec::new(),
            conclusions: BTreeMap::new(),
            kills: arguments.fault.kills.clone(),
            trace: TraceHash::new(),
            progress: Duration::ZERO,
            broken: None,
            narrator,
        }
    }

    /// The hash over what happened; the worlds add what the book does not see.
    pub fn trace(&mut self) -> &mut TraceHash {
        &mut self.trace
    }

    /// All living heroes have their links.
    pub fn linked(&mut self, links: usize, now: Duration) {
        self.progress = now;
        self.narrator.tell(&Happening::Linked { links }, now);
    }

    /// `hero`, counted from 0, calls himself `name`. Names he had before are kept: they
    /// may be on the roll.
    pub fn named(&mut self, hero: usize, name: Name) {
        let owner = *self.names.entry(name).or_insert(hero);
        if owner != hero {
            self.break_off(format!(
                "heroes {} and {} drew the same name",
                owner + 1,
                hero + 1
            ));
        }
    }

    /// `hero` learned something.
    pub fn learned(&mut self, hero: usize, effect: &Effect, now: Duration) {
        self.progress = now;
        self.trace.number(hero as u64);
        match effect {
            Effect::Concluded { slot, how } => self.concluded(*slot, *how),
            Effect::Rolled { roster } => self.rolled(hero, roster, now),
            Effect::Spoken(utterance) => self.heard(hero, utterance, now),
            Effect::Broadcast(_)
            | Effect::Send { .. }
            | Effect::Persist { .. }
            | Effect::Timer { .. } => {}
        }
    }

    fn concluded(&mut self, slot: Slot, how: Conclusion) {
        self.trace.number(slot);
        self.trace.number(match how {
            Conclusion::Told => 0,
            Conclusion::Fast => 1,
            Conclusion::Slow { round } => 1 + u64::from(round),
        });
        if how != Conclusion::Told {
            self.conclusions.entry(slot).or_insert(how);
        }
    }

    fn rolled(&mut self, hero: usize, roster: &[Name], now: Duration) {
        roster
            .iter()
            .for_each(|name| self.trace.bytes(&name.0.to_le_bytes()));
        match &self.roster {
            Some(agreed) if agreed == roster => {}
            Some(_) => self.break_off(format!(
                "hero {} has another roster than the rest",
                hero + 1
            )),
            None => {
                if let Some(stranger) = roster.iter().find(|name| !self.names.contains_key(name)) {
                    self.break_off(format!(
                        "nobody drew the name {stranger} that is on the roster"
                    ));
                }
                self.roster = Some(roster.to_vec());
                self.narrator.tell(
                    &Happening::RosterClosed {
                        names: roster.len(),
                    },
                    now,
                );
            }
        }
    }

    fn heard(&mut self, hero: usize, utterance: &Utterance, now: Duration) {
        let Utterance {
            position,
            letter,
            speaker,
            owner,
            ..
        } = *utterance;
        self.trace.number(position as u64);
        self.trace.bytes(&speaker.0.to_le_bytes());
        let expected = self.heroes[hero].letters;
        if position != expected
            || position >= self.word.count()
            || letter != self.word.letter(position)
        {
            let text = format!(
                "hero {} heard {letter:?} at position {}",
                hero + 1,
                position + 1
            );
            return self.break_off(text);
        }
        self.heroes[hero].letters += 1;
        match self.spoken.get(position) {
            Some(agreed) if (agreed.speaker, agreed.owner) == (speaker, owner) => {}
            Some(_) => self.break_off(format!(
                "hero {} heard another say letter {}",
                hero + 1,
                position + 1
            )),
            None => {
                self.spoken.push(*utterance);
                self.narrator
                    .tell(&Happening::Spoke(self.line(utterance)), now);
            }
        }
    }

    fn line(&self, utterance: &Utterance) -> Spoken {
        let hero = |name: Name| self.names.get(&name).map_or(0, |hero| hero + 1);
        Spoken {
            position: utterance.position + 1,
            letter: utterance.letter.to_string(),
            speaker: hero(utterance.speaker),
            stood_in: utterance.stood_in().then(|| hero(utterance.owner)),
        }
    }

    fn break_off(&mut self, text: String) {
        self.broken.get_or_insert(text);
    }

    /// The heroes, counted from 0, who never live to say anything.
    pub fn stillborn(&mut self, now: Duration) -> Vec<usize> {
        self.take_kills(now, |kill| kill.moment == Moment::Birth)
    }

    /// The heroes, counted from 0, whose moment has come. They are dead from here on.
    pub fn take_due_kills(&mut self, now: Duration) -> Vec<usize> {
        let (spoken, rolled) = (self.spoken.len(), self.roster.is_some());
        self.take_kills(now, |kill| match kill.moment {
            Moment::Birth => true,
            Moment::Letter(letter) => rolled && spoken + 1 >= letter,
            Moment::After(delay) => now >= delay,
        })
    }

    fn take_kills(&mut self, now: Duration, is_due: impl Fn(&Kill) -> bool) -> Vec<usize> {
        let due: Vec<Kill> = self.kills.extract_if(.., |kill| is_due(kill)).collect();
        let mut dead = Vec::new();
        for kill in due {
            let before = dead.len();
            for hero in kill.first - 1..kill.last {
                if std::mem::replace(&mut self.heroes[hero].alive, false) {
                    self.trace.number(hero as u64);
                    dead.push(hero);
                }
            }
            if dead.len() > before {
                let Kill { first, last, .. } = kill;
                self.narrator.tell(&Happening::Killed { first, last }, now);
            }
        }
        dead
    }

    /// A hero, counted from 0, has stopped by himself.
    pub fn fell(&mut self, hero: usize, now: Duration) {
        if std::mem::replace(&mut self.heroes[hero].alive, false) {
            self.trace.number(hero as u64);
            let (first, last) = (hero + 1, hero + 1);
            self.narrator.tell(&Happening::Killed { first, last }, now);
        }
    }

    /// The next moment at which a fault happens by the clock.
    pub fn next_kill(&self) -> Option<Duration> {
        let moments = self.kills.iter().filter_map(|kill| match kill.moment {
            Moment::After(delay) => Some(delay),
            Moment::Birth | Moment::Letter(_) => None,
        });
        moments.min()
    }

    /// True if `hero`, counted from 0, lives.
    pub fn is_alive(&self, hero: usize) -> bool {
        self.heroes[hero].alive
    }

    /// When something was learned last.
    pub fn progress(&self) -> Duration {
        self.progress
    }

    /// True if nothing more is to be expected: every living hero holds the whole word,
    /// or somebody contradicted somebody.
    pub fn is_over(&self) -> bool {
        self.broken.is_some() || self.is_spoken()
    }

    fn is_spoken(&self) -> bool {
        let mut living = self.heroes.iter().filter(|hero| hero.alive).peekable();
        living.peek().is_some() && living.all(|hero| hero.letters == self.word.count())
    }

    /// The run as it stands. `waiting` is what the living heroes wait for: the reason if
    /// they are stuck.
    pub fn close(
        self,
        waiting: &[Waiting],
        limit: Duration,
        messages: MessageCounts,
        elapsed: Duration,
        driver: &'static str,
    ) -> Course {
        let end = match &self.broken {
            Some(text) => End::Broken(text.clone()),
            None if self.is_spoken() => End::Spoken,
            None => End::Stuck(self.reason(waiting, limit)),
        };
        let rounds = self.conclusions.values().map(|how| match how {
            Conclusion::Slow { round } => u64::from(*round),
            Conclusion::Fast | Conclusion::Told => 1,
        });
        let is_fast = |how: &&Conclusion| **how == Conclusion::Fast;
        let fast = self.conclusions.values().filter(is_fast).count() as u64;
        Course {
            end,
            roster: self.roster.as_ref().map_or(0, Vec::len),
            spoken: self
                .spoken
                .iter()
                .map(|utterance| self.line(utterance))
                .collect(),
            messages,
            decrees: DecreeCounts {
                fast,
                slow: self.conclusions.len() as u64 - fast,
            },
            rounds: rounds.sum(),
            elapsed,
            driver,
            cores: 1,
            trace_hash: self.trace.value(),
        }
    }

    fn reason(&self, waiting: &[Waiting], limit: Duration) -> String {
        let peers = self.heroes.len();
        let (living, needed) = (waiting.len(), peers / 2 + 1);
        // All of them must miss a majority: one who does may only have been unlucky.
        let heard: Option<Vec<usize>> = waiting
            .iter()
            .map(|waiting| match waiting {
                Waiting::Quorum { heard, .. } => Some(*heard),
                _ => None,
            })
            .collect();
        if let Some(most) = heard.and_then(|heard| heard.into_iter().max()) {
            return format!("{most} of {peers} hear each other, {needed} needed");
        }
        if living < needed {
            return format!("{living} of {peers} hear each other, {needed} needed");
        }
        let mut texts = BTreeMap::<String, usize>::new();
        waiting
            .iter()
            .for_each(|waiting| *texts.entry(waiting.to_string()).or_default() += 1);
        let common = texts.into_iter().max_by_key(|(_, count)| *count);
        let common = common.map_or_else(String::new, |(text, _)| text);
        format!(
            "{living} of {peers} live, and nothing was said for {}: {common}",
            DurationText(limit)
        )
    }
}

#[cfg(test)]
mod tests;
