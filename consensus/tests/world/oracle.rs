//! What must be true whatever happens, checked at every effect.

use std::collections::{BTreeMap, BTreeSet};

use krug_consensus::core::{
    Claim, Conclusion, Config, Effect, LogRecord, Message, Name, Peer, Register, Slot, Step,
    Utterance, Value,
};

/// Knows everything that was ever durable or said.
pub(crate) struct Oracle {
    config: Config,
    drawn: BTreeMap<Name, (usize, Claim)>,
    decided: BTreeMap<Slot, Value>,
    /// Who ever had a register of a slot on his disk.
    recorded: BTreeMap<Slot, u128>,
    answered: BTreeMap<(usize, Slot), Step>,
    transcript: Vec<Utterance>,
    /// How many letters each peer has spoken of.
    heard: BTreeMap<usize, usize>,
    mutes: BTreeSet<usize>,
    /// Whether everything that is sent goes into the fingerprint.
    pub(crate) is_traced: bool,
    /// Decisions by those who drove them.
    pub(crate) fast: u64,
    pub(crate) slow: u64,
    /// Everything that was said, folded into one number.
    pub(crate) fingerprint: u64,
}

impl Oracle {
    pub(crate) fn new(config: Config) -> Oracle {
        Oracle {
            config,
            drawn: BTreeMap::new(),
            decided: BTreeMap::new(),
            recorded: BTreeMap::new(),
            answered: BTreeMap::new(),
            transcript: Vec::new(),
            heard: BTreeMap::new(),
            mutes: BTreeSet::new(),
            is_traced: false,
            fast: 0,
            slow: 0,
            fingerprint: 0,
        }
    }

    pub(crate) fn transcript(&self) -> &[Utterance] {
        &self.transcript
    }

    pub(crate) fn who_drew(&self, name: Name) -> usize {
        self.drawn[&name].0
    }

    /// The roster that was decided, if it was.
    pub(crate) fn roster(&self) -> Vec<usize> {
        match self.decided.get(&0) {
            Some(Value::Roll(claims)) => claims
                .iter()
                .map(|claim| self.who_drew(claim.name))
                .collect(),
            _ => Vec::new(),
        }
    }

    pub(crate) fn decided(&self) -> usize {
        self.decided.len()
    }

    pub(crate) fn persists(&mut self, identity: usize, records: &[LogRecord]) {
        for record in records {
            match record {
                LogRecord::Claimed(claim) => {
                    self.drawn.insert(claim.name, (identity, *claim));
                }
                LogRecord::Registered { slot, register } => {
                    assert!(register.best >= register.first, "I1: best below first");
                    *self.recorded.entry(*slot).or_default() |= 1 << identity;
                }
                LogRecord::Decided { slot, value } => self.decides(*slot, value),
            }
        }
    }

    fn decides(&mut self, slot: Slot, value: &Value) {
        let known = self.decided.entry(slot).or_insert_with(|| value.clone());
        assert_eq!(known, value, "I4: slot {slot} has two decisions");
        match value {
            Value::Roll(claims) => {
                assert!(
                    claims.len() >= self.config.majority(),
                    "I7: a roster of a minority"
                );
                assert!(claims.is_sorted(), "I7: not in order");
                for (index, claim) in claims.iter().enumerate() {
                    let drawn = self.drawn.get(&claim.name).map(|drawn| drawn.1);
                    assert_eq!(drawn, Some(*claim), "I5: nobody drew this claim");
                    let is_again = claims[..index].iter().any(|other| other.name == claim.name);
                    assert!(!is_again, "I7: a name twice");
                }
            }
            Value::Say { by } => {
                let Some(Value::Roll(claims)) = self.decided.get(&0) else {
                    panic!("I8: a letter before the roll");
                };
                assert!(
                    claims.iter().any(|claim| claim.name == *by),
                    "I5: a speaker not on the roster"
                );
            }
        }
    }

    /// I1, I10, I11: what leaves a peer must follow from what is on its disk.
    pub(crate) fn sends(
        &mut self,
        from: usize,
        is_mute: bool,
        message: &Message,
        disk: &[LogRecord],
    ) {
        self.fold(from, message);
        assert!(
            !is_mute || matches!(message, Message::Fetch { .. }),
            "I11: a mute peer says {message:?}"
        );
        let mut newest = disk.iter().rev();
        match message {
            Message::Claim(claim) => {
                let is_durable = newest.any(|record| *record == LogRecord::Claimed(*claim));
                assert!(is_durable, "I10: a claim left before it was durable");
            }
            Message::Decided { slot, value } => {
                let record = LogRecord::Decided {
                    slot: *slot,
                    value: value.clone(),
                };
                assert!(
                    newest.any(|known| *known == record),
                    "I10: a decision left before it was durable"
                );
            }
            Message::Recorded { slot, answer, .. } => {
                let register = newest.find_map(|record| match record {
                    LogRecord::Registered {
                        slot: known,
                        register,
                    } if known == slot => Some(register),
                    _ => None,
                });
                let register = register.expect("I10: an answer left before it was durable");
                assert!(
                    register.step >= answer.step,
                    "I10: an answer left before it was durable"
                );
                if register.step == answer.step {
                    let Register { first, prev, .. } = register;
                    assert_eq!(
                        (first, prev),
                        (&answer.first, &answer.prev),
                        "I1: not what is on the disk"
                    );
                }
                let step = self.answered.entry((from, *slot)).or_default();
                assert!(
                    answer.step >= *step,
                    "I1: a register fell from {step} to {}",
                    answer.step
                );
                *step = answer.step;
            }
            Message::Record { .. } | Message::Fetch { .. } => {}
        }
    }

    pub(crate) fn says(&mut self, identity: usize, effect: &Effect) {
        match effect {
            Effect::Spoken(utterance) => self.hears(identity, *utterance),
            Effect::Concluded { slot, how } => {
                match how {
                    Conclusion::Fast => self.fast += 1,
                    Conclusion::Slow { .. } => self.slow += 1,
                    Conclusion::Told => return,
                }
                let voters = self
                    .recorded
                    .get(slot)
                    .map_or(0, |voters| voters.count_ones() as usize);
                assert!(
                    voters >= self.config.majority(),
                    "I12: {voters} decided slot {slot}"
                );
            }
            Effect::Rolled { roster } => {
                let Some(Value::Roll(claims)) = self.decided.get(&0) else {
                    panic!("I10: rolled before the roll was durable");
                };
                assert!(
                    roster.iter().eq(claims.iter().map(|claim| &claim.name)),
                    "another roster"
                );
            }
            _ => panic!("not something to say: {effect:?}"),
        }
    }

    fn hears(&mut self, identity: usize, utterance: Utterance) {
        let heard = self.heard.entry(identity).or_default();
        assert_eq!(utterance.position, *heard, "I6: out of order");
        *heard += 1;
        assert_eq!(
            utterance.letter, self.config.word[utterance.position],
            "I8: not the word"
        );
        let is_own =
            self.drawn[&utterance.speaker].0 == identity && !self.mutes.contains(&identity);
        assert_eq!(
            utterance.own, is_own,
            "a speaker who does not know, or somebody who thinks he is"
        );
        let common = Utterance {
            own: false,
            ..utterance
        };
        match self.transcript.get(utterance.position) {
            Some(known) => assert_eq!(*known, common, "I8: two speakers for one letter"),
            None => self.transcript.push(common),
        }
    }

    /// I6: a restarted peer knows at least what it had announced, and takes it from there.
    pub(crate) fn restarts(&mut self, identity: usize, peer: &Peer) {
        let heard = self.heard.entry(identity).or_default();
        if peer.is_mute() {
            *heard = 0;
            self.mutes.insert(identity);
            return;
        }
        assert!(peer.transcript().len() >= *heard, "I6: a log shrank");
        for utterance in &peer.transcript()[..*heard] {
            let common = Utterance {
                own: false,
                ..*utterance
            };
            assert_eq!(
                self.transcript[utterance.position], common,
                "I6: a log changed"
            );
        }
        *heard = peer.transcript().len();
        for utterance in &peer.transcript()[self.transcript.len().min(*heard)..] {
            self.transcript.push(Utterance {
                own: false,
                ..*utterance
            });
        }
    }

    fn fold(&mut self, from: usize, message: &Message) {
        if !self.is_traced {
            return;
        }
        let text = format!("{from} {message:?}");
        for byte in text.bytes() {
            self.fingerprint = (self.fingerprint ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
