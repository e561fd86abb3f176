//! What is decided: the roll, and then who says each letter.
//!
//! Everything here is a pure function of the decisions so far, so all peers have the same circle, the same turns and
//! the same transcript. The turn of a letter goes round the roster; **whoever is decided speaks**, be it the owner of
//! the turn or a neighbour who stepped in. Nobody keeps book of who is alive.

use std::sync::Arc;

use super::{Claim, Name, Slot, Value};

/// One letter of the word, said by one speaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Utterance {
    /// The position in the word, from 0.
    pub position: usize,
    /// The letter.
    pub letter: char,
    /// Who says it.
    pub speaker: Name,
    /// Whose turn it was. Somebody else speaks if the owner was late or dead.
    pub owner: Name,
    /// Whether the peer that reports this is the speaker.
    pub own: bool,
}

impl Utterance {
    /// Whether the speaker took the turn of another.
    pub fn stood_in(&self) -> bool {
        self.speaker != self.owner
    }
}

/// Whether a slot can decide such a value at all: the first decides who is there, the others who speaks.
pub(super) fn fits(slot: Slot, value: &Value) -> bool {
    match value {
        Value::Roll(claims) => slot == 0 && !claims.is_empty(),
        Value::Say { .. } => slot > 0,
    }
}

/// A roll of these claims: sorted by lot. A name that two claims share belongs to nobody yet.
pub(super) fn roll<'a>(claims: impl Iterator<Item = &'a Claim>) -> Arc<[Claim]> {
    let mut claims: Vec<Claim> = claims.copied().collect();
    claims.sort_by_key(|claim| claim.name);
    let shared: Vec<Name> = claims
        .windows(2)
        .filter(|pair| pair[0].name == pair[1].name)
        .map(|pair| pair[0].name)
        .collect();
    claims.retain(|claim| !shared.contains(&claim.name));
    claims.sort();
    claims.into()
}

/// Where the recital stands.
#[derive(Debug)]
pub(super) struct Choir {
    word: Vec<char>,
    roster: Vec<Name>,
    transcript: Vec<Utterance>,
}

impl Choir {
    pub(super) fn new(word: Vec<char>) -> Choir {
        Choir {
            word,
            roster: Vec::new(),
            transcript: Vec::new(),
        }
    }

    pub(super) fn roster(&self) -> &[Name] {
        &self.roster
    }

    pub(super) fn transcript(&self) -> &[Utterance] {
        &self.transcript
    }

    /// The slot whose decision comes next.
    pub(super) fn next(&self) -> Slot {
        let rolled = !self.roster.is_empty();
        Slot::from(rolled) + self.transcript.len() as Slot
    }

    /// Whose turn a letter is, once the roll is decided.
    pub(super) fn owner(&self, position: usize) -> Option<Name> {
        self.roster
            .get(position.checked_rem(self.roster.len())?)
            .copied()
    }

    /// How many places `name` sits after the owner of this letter. `None`: it has no place in the circle.
    pub(super) fn distance(&self, name: Name, position: usize) -> Option<usize> {
        let place = self.roster.iter().position(|&known| known == name)?;
        let members = self.roster.len();
        Some((place + members - position % members) % members)
    }

    /// Takes the decision of the [next](Choir::next) slot. Returns the letter, if it was one.
    pub(super) fn apply(&mut self, value: &Value, own: Option<Name>) -> Option<Utterance> {
        match value {
            Value::Roll(claims) => {
                self.roster = claims.iter().map(|claim| claim.name).collect();
                None
            }
            &Value::Say { by } => {
                let position = self.transcript.len();
                let utterance = Utterance {
                    position,
                    letter: *self.word.get(position)?,
                    speaker: by,
                    owner: self.owner(position)?,
                    own: own == Some(by),
                };
                self.transcript.push(utterance);
                Some(utterance)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Ticket;
    use super::*;

    fn claim(ticket: u128, name: u128) -> Claim {
        Claim {
            ticket: Ticket(ticket),
            name: Name(name),
            redraws: 0,
        }
    }

    fn rolled(word: &str, claims: &[Claim]) -> Choir {
        let mut choir = Choir::new(word.chars().collect());
        choir.apply(&Value::Roll(roll(claims.iter())), None);
        choir
    }

    #[test]
    fn the_roster_is_sorted_by_lot_and_not_by_name() {
        let choir = rolled("ab", &[claim(3, 1), claim(1, 2), claim(2, 3)]);
        assert_eq!(choir.roster(), [Name(2), Name(3), Name(1)]);
    }

    #[test]
    fn a_name_that_two_peers_share_is_not_in_the_roll() {
        let claims = [claim(3, 1), claim(1, 2), claim(2, 1), claim(4, 3)];
        assert_eq!(*roll(claims.iter()), [claim(1, 2), claim(4, 3)]);
    }

    #[test]
    fn turns_go_round_the_roster_and_distances_are_counted_from_the_owner() {
        let choir = rolled("abcde", &[claim(1, 10), claim(2, 20), claim(3, 30)]);
        assert_eq!(choir.owner(0), Some(Name(10)));
        assert_eq!(choir.owner(4), Some(Name(20)));
        assert_eq!(choir.distance(Name(20), 4), Some(0));
        assert_eq!(choir.distance(Name(30), 4), Some(1));
        assert_eq!(choir.distance(Name(10), 4), Some(2));
        assert_eq!(choir.distance(Name(99), 4), None);
    }

    #[test]
    fn whoever_is_decided_speaks_and_the_transcript_says_for_whom() {
        let mut choir = rolled("ab", &[claim(1, 10), claim(2, 20)]);
        assert_eq!(choir.next(), 1);
        let first = choir
            .apply(&Value::Say { by: Name(20) }, Some(Name(20)))
            .unwrap();
        assert_eq!(
            (first.position, first.letter, first.speaker, first.owner),
            (0, 'a', Name(20), Name(10))
        );
        assert!(first.own && first.stood_in());
        let second = choir
            .apply(&Value::Say { by: Name(20) }, Some(Name(10)))
            .unwrap();
        assert!(!second.own && !second.stood_in());
        assert_eq!(choir.next(), 3);
        assert_eq!(
            choir.apply(&Value::Say { by: Name(20) }, None),
            None,
            "the word is over"
        );
    }

    #[test]
    fn a_slot_decides_its_own_kind_of_value_only() {
        let roll = Value::Roll(roll([claim(1, 1)].iter()));
        let say = Value::Say { by: Name(1) };
        assert!(fits(0, &roll) && fits(1, &say));
        assert!(!fits(1, &roll) && !fits(0, &say));
        assert!(!fits(0, &Value::Roll(Arc::new([]))));
    }
}
