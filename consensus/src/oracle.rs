//! What must be true whatever happens: checked at everything that heroes write, say and learn.
//!
//! The oracle sees all of them at once, the dead included, which nobody in a circle can. It is for tests and simulations: whoever
//! runs heroes tells it what happens, and it panics with the invariant that does not hold.
//!
//! | | invariant |
//! |---|---|
//! | I1 | a register's step never falls, its best is no less than its first, both `first` and `prev` stay as long as the step; and so it comes back from the log |
//! | I2 | a majority has recorded a candidate in phase 1 before it is sent in phase 2 |
//! | I3 | after a decision every later candidate carries its value |
//! | I4 | one decision for each slot, for ever |
//! | I5 | what is decided was proposed: claims were drawn, speakers are on the roster |
//! | I6 | what each hero has heard is the beginning of the same, and never shrinks |
//! | I7 | the roster has each name once, in order, and at least a majority of them |
//! | I8 | the letters are those of the word, in order, with one speaker each |
//! | I9 | the top rank is used in the first step, for one value of each slot |
//! | I10 | nothing leaves that depends on what is not durable |
//! | I11 | whoever has lost his log votes no more |
//! | I12 | no decision without a majority of registers |

mod decrees;

use std::collections::{BTreeMap, BTreeSet};

use crate::core::{
    Candidate, Claim, Conclusion, Config, Effect, LogRecord, Message, Name, Peer, Register, Slot,
    Step, Utterance, Value,
};
use decrees::Decree;

/// So many heroes fit into a set of them.
pub const HEROES_MAX: usize = 128;

/// Knows everything that was ever durable or said. See the [module docs](self).
#[derive(Debug)]
pub struct Oracle {
    config: Config,
    heroes: Vec<Hero>,
    drawn: BTreeMap<Name, (usize, Claim)>,
    decrees: BTreeMap<Slot, Decree>,
    /// What was announced.
    transcript: Vec<Utterance>,
    /// What somebody knows, perhaps before he may announce it.
    known: Vec<Utterance>,
    /// Whether everything that is sent goes into the fingerprint.
    is_traced: bool,
    fast: u64,
    slow: u64,
    /// How many decisions took so many rounds: the first place is that of the fast path.
    rounds: Vec<u64>,
    fingerprint: u64,
}

/// What a hero has promised: the newest of what is durable.
#[derive(Clone, Debug, Default)]
struct Hero {
    claim: Option<Claim>,
    registers: BTreeMap<Slot, Register<Value>>,
    decided: BTreeSet<Slot>,
    /// The step of his last answer.
    answered: BTreeMap<Slot, Step>,
    /// How many letters he has announced, in all his lives.
    heard: usize,
    /// How many he was seen to know in this one.
    seen: usize,
    is_mute: bool,
}

impl Oracle {
    /// Nothing has happened yet.
    ///
    /// # Panics
    ///
    /// If the circle has more than 128 peers.
    pub fn new(config: Config) -> Oracle {
        assert!(config.peers <= HEROES_MAX, "{} are too many", config.peers);
        Oracle {
            heroes: vec![Hero::default(); config.peers],
            drawn: BTreeMap::new(),
            decrees: BTreeMap::new(),
            transcript: Vec::new(),
            known: Vec::new(),
            is_traced: false,
            fast: 0,
            slow: 0,
            rounds: Vec::new(),
            fingerprint: 0,
            config,
        }
    }

    /// From now on everything that is sent goes into the [fingerprint](Oracle::fingerprint).
    pub fn trace(&mut self) {
        self.is_traced = true;
    }

    /// Everything that was sent since [`trace`](Oracle::trace), folded into one number.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// The letters that somebody has announced.
    pub fn transcript(&self) -> &[Utterance] {
        &self.transcript
    }

    /// The hero who drew this name.
    ///
    /// # Panics
    ///
    /// If nobody did.
    pub fn who_drew(&self, name: Name) -> usize {
        self.drawn[&name].0
    }

    /// The roster that was decided, if it was.
    pub fn roster(&self) -> Vec<usize> {
        let drawn = self.roll().iter().map(|claim| self.who_drew(claim.name));
        drawn.collect()
    }

    fn roll(&self) -> &[Claim] {
        let roll = self.decrees.get(&0).and_then(Decree::decision);
        match roll {
            Some(Value::Roll(claims)) => claims,
            _ => &[],
        }
    }

    /// How many slots are decided.
    pub fn decided(&self) -> usize {
        let decided = |decree: &&Decree| decree.decision().is_some();
        self.decrees.values().filter(decided).count()
    }

    /// How many drivers came to their end by the fast path.
    pub fn fast(&self) -> u64 {
        self.fast
    }

    /// How many did in phase 2.
    pub fn slow(&self) -> u64 {
        self.slow
    }

    /// How many drivers needed so many rounds; at 0 are those of the fast path.
    pub fn rounds(&self) -> &[u64] {
        &self.rounds
    }

    /// Whether this hero has lost his log.
    pub fn is_mute(&self, hero: usize) -> bool {
        self.heroes[hero].is_mute
    }

    /// These records are durable, after all before.
    ///
    /// # Panics
    ///
    /// If an invariant does not hold.
    pub fn persists(&mut self, hero: usize, records: &[LogRecord]) {
        assert!(
            !self.heroes[hero].is_mute || records.is_empty(),
            "I11: a mute hero writes"
        );
        for record in records {
            match record {
                LogRecord::Claimed(claim) => {
                    self.drawn.insert(claim.name, (hero, *claim));
                    self.heroes[hero].claim = Some(*claim);
                }
                LogRecord::Registered { slot, register } => self.registers(hero, *slot, register),
                LogRecord::Decided { slot, value } => {
                    self.decides(*slot, value);
                    self.heroes[hero].decided.insert(*slot);
                    self.heroes[hero].registers.remove(slot);
                }
            }
        }
    }

    fn registers(&mut self, hero: usize, slot: Slot, register: &Register<Value>) {
        assert!(register.best >= register.first, "I1: best below first");
        if let Some(before) = self.heroes[hero].registers.get(&slot) {
            assert!(
                is_at_least(register, before),
                "I1: a register of slot {slot} fell from {before:?} to {register:?}"
            );
        }
        self.decrees.entry(slot).or_default().records(hero);
        self.heroes[hero].registers.insert(slot, register.clone());
    }

    fn decides(&mut self, slot: Slot, value: &Value) {
        if !self.decrees.entry(slot).or_default().decides(slot, value) {
            return;
        }
        match value {
            Value::Roll(claims) => {
                assert!(
                    claims.len() >= self.config.majority(),
                    "I7: a roster of a minority"
                );
                assert!(claims.is_sorted(), "I7: not in order");
                let names: BTreeSet<Name> = claims.iter().map(|claim| claim.name).collect();
                assert_eq!(names.len(), claims.len(), "I7: a name twice");
                for claim in claims.iter() {
                    let drawn = self.drawn.get(&claim.name).map(|drawn| drawn.1);
                    assert_eq!(drawn, Some(*claim), "I5: nobody drew this claim");
                }
            }
            Value::Say { by } => {
                let roll = self.roll();
                assert!(!roll.is_empty(), "I8: a letter before the roll");
                assert!(
                    roll.iter().any(|claim| claim.name == *by),
                    "I5: a speaker not on the roster"
                );
            }
        }
    }

    /// This leaves a hero, to one or to all: it must follow from what is durable.
    ///
    /// # Panics
    ///
    /// If an invariant does not hold.
    pub fn says(&mut self, hero: usize, message: &Message) {
        self.fold(hero, message);
        let it = &mut self.heroes[hero];
        assert!(
            !it.is_mute || matches!(message, Message::Fetch { .. }),
            "I11: a mute hero says {message:?}"
        );
        match message {
            Message::Claim(claim) => {
                let drawn = self.drawn.get(&claim.name);
                assert_eq!(
                    drawn,
                    Some(&(hero, *claim)),
                    "I10: a claim left before it was durable"
                );
            }
            Message::Decided { slot, value } => {
                let is_durable = it.decided.contains(slot);
                assert!(is_durable, "I10: a decision left before it was durable");
                let decision = self.decrees.get(slot).and_then(Decree::decision);
                assert_eq!(decision, Some(value), "I4: told another decision");
            }
            Message::Recorded {
                slot,
                attempt,
                asked,
                answer,
            } => {
                let last = it.answered.entry(*slot).or_default();
                assert!(
                    answer.step >= *last,
                    "I1: a register fell from {last} to {}",
                    answer.step
                );
                *last = answer.step;
                if !it.decided.contains(slot) {
                    let register = it.registers.get(slot);
                    let register = register.expect("I10: an answer left before it was durable");
                    let is_newer = register.step > answer.step;
                    assert!(
                        is_newer || register.answer() == *answer,
                        "I10: an answer left before it was durable, or is not what is on the disk"
                    );
                }
                let decree = self.decrees.entry(*slot).or_default();
                decree.answers(hero, *attempt, *asked, answer);
            }
            Message::Record {
                slot,
                attempt,
                step,
                candidate,
            } => {
                let decree = self.decrees.entry(*slot).or_default();
                let is_new = decree.asks(hero, *attempt, *step, candidate);
                if is_new && step % 4 == 2 {
                    self.check_phase_2(*slot, *step, candidate);
                }
            }
            Message::Fetch { .. } => {}
        }
    }

    /// I2.
    fn check_phase_2(&self, slot: Slot, step: Step, candidate: &Candidate<Value>) {
        let Some(decree) = self.decrees.get(&slot) else {
            return;
        };
        let (recorded, drivers) = decree.recorded_in(step - 1, candidate);
        // A driver's own register counts as soon as it is durable.
        let has_own = |hero: &usize| {
            let hero = &self.heroes[*hero];
            let register = hero.registers.get(&slot);
            hero.decided.contains(&slot) || register.is_some_and(|it| it.step + 1 >= step)
        };
        let is_among = |hero: &usize| recorded >> *hero & 1 == 1;
        let is_driver = |hero: &usize| drivers >> *hero & 1 == 1;
        let has_recorded = |hero: &usize| is_among(hero) || is_driver(hero) && has_own(hero);
        let count = (0..self.config.peers).filter(has_recorded).count();
        assert!(
            count >= self.config.majority(),
            "I2: {count} have recorded in step {} what is sent in step {step}",
            step - 1
        );
    }

    /// A hero has learned this, and may announce it.
    ///
    /// # Panics
    ///
    /// If an invariant does not hold.
    pub fn learned(&mut self, hero: usize, effect: &Effect) {
        match effect {
            Effect::Spoken(utterance) => self.hears(hero, *utterance),
            Effect::Concluded { slot, how } => self.concludes(hero, *slot, *how),
            Effect::Rolled { roster } => {
                let roll = self.roll();
                assert!(!roll.is_empty(), "I10: rolled before the roll was durable");
                assert!(
                    roster.iter().eq(roll.iter().map(|claim| &claim.name)),
                    "another roster"
                );
            }
            _ => panic!("not something to say: {effect:?}"),
        }
    }

    fn concludes(&mut self, hero: usize, slot: Slot, how: Conclusion) {
        let round = match how {
            Conclusion::Told => return,
            Conclusion::Fast => {
                self.fast += 1;
                0
            }
            Conclusion::Slow { round } => {
                self.slow += 1;
                round
            }
        };
        let place = round as usize;
        self.rounds.resize(self.rounds.len().max(place + 1), 0);
        self.rounds[place] += 1;
        let majority = self.config.majority();
        let decree = self.decrees.entry(slot).or_default();
        decree.concludes(slot, hero, how, majority);
    }

    fn hears(&mut self, hero: usize, utterance: Utterance) {
        let it = &mut self.heroes[hero];
        assert_eq!(utterance.position, it.heard, "I6: out of order");
        it.heard += 1;
        let is_own = !it.is_mute && self.drawn[&utterance.speaker].0 == hero;
        assert_eq!(
            utterance.own, is_own,
            "a speaker who does not know, or somebody who thinks he is"
        );
        self.knows(utterance);
        let common = self.known[utterance.position];
        if self.transcript.len() == utterance.position {
            self.transcript.push(common);
        }
    }

    /// Somebody knows this letter, and all before it.
    fn knows(&mut self, utterance: Utterance) {
        let letter = self.config.word.get(utterance.position);
        assert_eq!(Some(&utterance.letter), letter, "I8: not the word");
        let common = Utterance {
            own: false,
            ..utterance
        };
        match self.known.get(utterance.position) {
            Some(known) => assert_eq!(*known, common, "I8: two speakers for one letter"),
            None => {
                assert_eq!(self.known.len(), utterance.position, "I6: a gap");
                self.known.push(common);
            }
        }
    }

    /// A hero has taken a step: what he knows must be what the others know. Looks only at what is new.
    ///
    /// # Panics
    ///
    /// If an invariant does not hold.
    pub fn looks_at(&mut self, hero: usize, peer: &Peer) {
        let seen = self.heroes[hero].seen;
        let transcript = peer.transcript();
        assert!(transcript.len() >= seen, "I6: he has forgotten something");
        for utterance in &transcript[seen..] {
            self.knows(*utterance);
        }
        self.heroes[hero].seen = transcript.len();
        assert_eq!(peer.is_mute(), self.heroes[hero].is_mute, "I11");
        assert!(
            !peer.is_mute() || peer.claim().is_none(),
            "I11: a mute hero has a name"
        );
    }

    /// This is what a hero finds in his log: all that he has ever promised must be in it.
    ///
    /// # Panics
    ///
    /// If an invariant does not hold.
    pub fn reloads(&mut self, hero: usize, records: &[LogRecord]) {
        let mut found = Hero::default();
        for record in records {
            match record {
                LogRecord::Claimed(claim) => found.claim = Some(*claim),
                LogRecord::Registered { slot, register } => {
                    found.registers.insert(*slot, register.clone());
                }
                LogRecord::Decided { slot, .. } => _ = found.decided.insert(*slot),
            }
        }
        let before = &self.heroes[hero];
        let redraws = |claim: Option<Claim>| claim.map(|claim| claim.redraws);
        assert!(
            found.claim == before.claim || redraws(found.claim) > redraws(before.claim),
            "I1: a name was forgotten"
        );
        assert!(
            found.decided.is_superset(&before.decided),
            "I6: a decision was forgotten"
        );
        for (slot, register) in &before.registers {
            let now = found.registers.get(slot);
            assert!(
                found.decided.contains(slot) || now.is_some_and(|now| is_at_least(now, register)),
                "I1: the register of slot {slot} was {register:?} and comes back as {now:?}"
            );
        }
        let it = &mut self.heroes[hero];
        it.claim = None;
        it.registers.clear();
        it.decided.clear();
        self.persists(hero, records);
    }

    /// A hero begins another life, with his log or mute without it.
    ///
    /// # Panics
    ///
    /// If an invariant does not hold.
    pub fn restarts(&mut self, hero: usize, peer: &Peer) {
        let it = &mut self.heroes[hero];
        it.seen = 0;
        it.is_mute |= peer.is_mute();
        if peer.is_mute() {
            it.heard = 0;
            return self.looks_at(hero, peer);
        }
        let heard = std::mem::replace(&mut it.heard, peer.transcript().len());
        assert!(peer.transcript().len() >= heard, "I6: a log shrank");
        self.looks_at(hero, peer);
        let announced = self.transcript.len();
        let more = self.known[..peer.transcript().len()].iter().skip(announced);
        self.transcript.extend(more);
    }

    fn fold(&mut self, hero: usize, message: &Message) {
        if !self.is_traced {
            return;
        }
        let text = format!("{hero} {message:?}");
        for byte in text.bytes() {
            self.fingerprint = (self.fingerprint ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// Whether a register may have become this one.
fn is_at_least(register: &Register<Value>, before: &Register<Value>) -> bool {
    if register.step != before.step {
        return register.step > before.step;
    }
    (&register.first, &register.prev) == (&before.first, &before.prev)
        && register.best >= before.best
}
