//! The harness's book: who lives, who said what, whether all agree, what befalls them next.
//!
//! It stands outside the circle. It knows every hero's number and name, tells none of
//! them anything, and checks with every line that nobody contradicts anybody else, the
//! dead counted.

use std::collections::BTreeMap;
use std::time::Duration;

use super::arguments::Arguments;
use super::course::{Course, DecreeCounts, End, Happening, MessageCounts, Spoken, TraceHash};
use super::faults::{DurationText, Fault, Heroes, Moment, What};
use super::report::Narrator;
use super::word::Word;
use crate::core::{Conclusion, Effect, Name, Peer, Slot, Utterance, Waiting};

/// Everything the harness knows of a run.
#[derive(Debug)]
pub struct Chronicle {
    word: Word,
    heroes: Vec<Hero>,
    names: BTreeMap<Name, usize>,
    roster: Option<Vec<Name>>,
    spoken: Vec<Utterance>,
    conclusions: BTreeMap<Slot, Conclusion>,
    /// What has not happened yet.
    faults: Vec<Fault>,
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
    /// He is to begin another life, and has not yet said what he knows.
    is_returning: bool,
    /// When he goes on, if he does nothing just now.
    stalled_until: Option<Duration>,
}

/// What the harness has to do now. Heroes are counted from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// End him.
    End(usize),
    /// Begin another life of his, and end this one first.
    Restart(usize),
    /// Stop him.
    Stall(usize),
    /// Let him go on.
    GoOn(usize),
    /// Let nothing through between heroes for whom this differs.
    Split(Vec<usize>),
    /// Let everything through.
    Heal,
}

impl Chronicle {
    /// A book with nothing in it but who is there.
    pub fn new(arguments: &Arguments, narrator: Narrator) -> Chronicle {
        Chronicle {
            word: arguments.word.clone(),
            heroes: vec![
                Hero {
                    alive: true,
                    letters: 0,
                    is_returning: false,
                    stalled_until: None,
                };
                arguments.peers
            ],
            names: BTreeMap::new(),
            roster: None,
            spoken: Vec::new(),
            conclusions: BTreeMap::new(),
            faults: arguments.fault.faults.clone(),
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

    /// What is so from the beginning.
    pub fn take_beginning(&mut self, now: Duration) -> Vec<Deed> {
        self.take(now, |fault| fault.moment == Moment::Birth)
    }

    /// What has to be done now. Who is killed is dead from here on.
    pub fn take_due(&mut self, now: Duration) -> Vec<Deed> {
        let (spoken, rolled) = (self.spoken.len(), self.roster.is_some());
        let mut deeds = self.wake(now);
        deeds.extend(self.take(now, |fault| match fault.moment {
            Moment::Birth => true,
            Moment::Letter(letter) => rolled && spoken + 1 >= letter,
            Moment::After(delay) => now >= delay,
        }));
        deeds
    }

    fn take(&mut self, now: Duration, is_due: impl Fn(&Fault) -> bool) -> Vec<Deed> {
        let due: Vec<Fault> = self.faults.extract_if(.., |fault| is_due(fault)).collect();
        let mut deeds = Vec::new();
        for fault in due {
            self.befall(fault.what, now, &mut deeds);
        }
        deeds
    }

    fn befall(&mut self, what: What, now: Duration, deeds: &mut Vec<Deed>) {
        match what {
            What::Kill(heroes) => return self.kill(heroes, now, deeds),
            What::Restart(heroes) => self.restart(heroes, now, deeds),
            What::Stall(heroes, duration) => self.stall(heroes, duration, now, deeds),
            What::Split(sides) => {
                let side = |(side, count): (usize, &usize)| vec![side; *count];
                let of_heroes = sides.iter().enumerate().flat_map(side).collect();
                deeds.push(Deed::Split(of_heroes));
                self.narrator.tell(&Happening::Split(sides), now);
            }
            What::Heal => {
                deeds.push(Deed::Heal);
                self.narrator.tell(&Happening::Healed, now);
            }
        }
        // From here on something else may be said.
        self.progress = now;
    }

    fn kill(&mut self, heroes: Heroes, now: Duration, deeds: &mut Vec<Deed>) {
        let before = deeds.len();
        for hero in heroes.indices() {
            if std::mem::replace(&mut self.heroes[hero].alive, false) {
                self.trace.number(hero as u64);
                self.heroes[hero].is_returning = false;
                self.forget_stall(hero, deeds);
                deeds.push(Deed::End(hero));
            }
        }
        if deeds.len() > before {
            self.narrator.tell(&Happening::Killed(heroes), now);
        }
    }

    fn restart(&mut self, heroes: Heroes, now: Duration, deeds: &mut Vec<Deed>) {
        for hero in heroes.indices() {
            self.heroes[hero].alive = true;
            self.heroes[hero].is_returning = true;
            self.forget_stall(hero, deeds);
            deeds.push(Deed::Restart(hero));
        }
        self.narrator.tell(&Happening::Restarted(heroes), now);
    }

    fn stall(&mut self, heroes: Heroes, duration: Duration, now: Duration, deeds: &mut Vec<Deed>) {
        let until = now.saturating_add(duration);
        for hero in heroes.indices() {
            let it = &mut self.heroes[hero];
            if !it.alive {
                continue;
            }
            let earlier = it.stalled_until.replace(until);
            if let Some(earlier) = earlier {
                it.stalled_until = Some(until.max(earlier));
            } else {
                deeds.push(Deed::Stall(hero));
            }
        }
        self.narrator
            .tell(&Happening::Stalled(heroes, duration), now);
    }

    fn forget_stall(&mut self, hero: usize, deeds: &mut Vec<Deed>) {
        if self.heroes[hero].stalled_until.take().is_some() {
            deeds.push(Deed::GoOn(hero));
        }
    }

    /// Those who have done nothing for long enough.
    fn wake(&mut self, now: Duration) -> Vec<Deed> {
        let mut deeds = Vec::new();
        for hero in 0..self.heroes.len() {
            if self.heroes[hero]
                .stalled_until
                .is_some_and(|until| until <= now)
            {
                self.forget_stall(hero, &mut deeds);
                self.progress = now;
                self.narrator
                    .tell(&Happening::WentOn { hero: hero + 1 }, now);
            }
        }
        deeds
    }

    /// A hero, counted from 0, has begun another life, in which he knows this much.
    pub fn returned(&mut self, hero: usize, peer: &Peer, now: Duration) {
        self.progress = now;
        self.heroes[hero].is_returning = false;
        self.heroes[hero].letters = 0;
        let letters = peer.transcript().len();
        let hero_number = hero + 1;
        self.narrator.tell(
            &Happening::Returned {
                hero: hero_number,
                letters,
            },
            now,
        );
        if !peer.roster().is_empty() {
            self.rolled(hero, peer.roster(), now);
        }
        // What nobody has announced before his end is announced now.
        for utterance in peer.transcript() {
            self.heard(hero, utterance, now);
        }
    }

    /// A hero, counted from 0, has stopped by himself.
    pub fn fell(&mut self, hero: usize, now: Duration) {
        if std::mem::replace(&mut self.heroes[hero].alive, false) {
            self.trace.number(hero as u64);
            let (first, last) = (hero + 1, hero + 1);
            let himself = Heroes { first, last };
            self.narrator.tell(&Happening::Killed(himself), now);
        }
    }

    /// The next moment at which something is to be done by the clock.
    pub fn next_deed(&self) -> Option<Duration> {
        let moments = self.faults.iter().filter_map(|fault| match fault.moment {
            Moment::After(delay) => Some(delay),
            Moment::Birth | Moment::Letter(_) => None,
        });
        moments.chain(self.stalls()).min()
    }

    fn stalls(&self) -> impl Iterator<Item = Duration> {
        self.heroes.iter().filter_map(|hero| hero.stalled_until)
    }

    /// Until when the heroes are given time: `limit` after something was learned last, or after the last moment at which the clock
    /// mends something.
    pub fn deadline(&self, limit: Duration) -> Duration {
        let mending = self.faults.iter().filter_map(|fault| match fault {
            Fault {
                what: What::Restart(_) | What::Heal,
                moment: Moment::After(delay),
            } => Some(*delay),
            _ => None,
        });
        let last = mending.chain(self.stalls()).max();
        last.unwrap_or_default()
            .max(self.progress)
            .saturating_add(limit)
    }

    /// True if `hero`, counted from 0, lives.
    pub fn is_alive(&self, hero: usize) -> bool {
        self.heroes[hero].alive
    }

    /// True if nothing more is to be expected: every living hero holds the whole word,
    /// or somebody contradicted somebody.
    pub fn is_over(&self) -> bool {
        self.broken.is_some() || self.is_spoken() && !self.expects_somebody()
    }

    fn is_spoken(&self) -> bool {
        let mut living = self.heroes.iter().filter(|hero| hero.alive).peekable();
        let knows_all = |hero: &Hero| hero.letters == self.word.count() && !hero.is_returning;
        living.peek().is_some() && living.all(knows_all)
    }

    /// Somebody comes back by the clock, and then has to hear the word as well.
    fn expects_somebody(&self) -> bool {
        let is_return = |fault: &Fault| {
            let is_by_clock = matches!(fault.moment, Moment::After(_));
            is_by_clock && matches!(fault.what, What::Restart(_))
        };
        self.faults.iter().any(is_return)
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
        // All of them who do not know the word must miss a majority: one who does may only have been unlucky.
        let unfinished = |waiting: &&Waiting| **waiting != Waiting::Finished;
        let heard: Option<Vec<usize>> = waiting
            .iter()
            .filter(unfinished)
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
            .filter(unfinished)
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
