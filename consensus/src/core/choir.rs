//! What is decided: the roll, and then who says each letter.

use super::Name;

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
