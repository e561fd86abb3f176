//! What a peer can tell about itself: what it waits for, what it did.

use std::fmt;

use super::{Message, Name};

/// What a peer waits for. Its `Display` is a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// For nothing: everything is said.
    Finished,
    /// For claims of the others.
    Claims {
        /// Claims known, the own one counted.
        known: usize,
        /// Peers in the circle.
        peers: usize,
    },
    /// For a majority: too few are heard.
    Quorum {
        /// Peers heard lately, itself counted.
        heard: usize,
        /// Peers in the circle.
        peers: usize,
        /// Peers needed.
        needed: usize,
    },
    /// For the decree on the roll.
    Roll,
    /// For a letter.
    Letter {
        /// Its position in the word, from 0.
        position: usize,
        /// Whose turn it is.
        owner: Name,
        /// Whether this peer drives the decree itself by now.
        driving: bool,
    },
    /// For the others to tell it: its log is damaged, so it neither votes nor speaks.
    Mute,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Waiting::Finished => f.write_str("all is said"),
            Waiting::Claims { known, peers } => {
                write!(f, "{known} of {peers} have told their names")
            }
            Waiting::Quorum {
                heard,
                peers,
                needed,
            } => {
                write!(f, "{heard} of {peers} hear each other, {needed} needed")
            }
            Waiting::Roll => f.write_str("the roll is being settled"),
            Waiting::Letter {
                position,
                owner,
                driving,
            } => {
                let who = if *driving {
                    "being settled"
                } else {
                    "left to its owner"
                };
                write!(f, "letter {} of {owner} is {who}", position + 1)
            }
            Waiting::Mute => f.write_str("mute: the log is damaged, so this peer only listens"),
        }
    }
}

/// What a peer did in this life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Decrees it drove to a decision by the owner's fast path.
    pub decrees_fast: u64,
    /// Decrees it drove to a decision in phase 2.
    pub decrees_slow: u64,
    /// Decisions another peer told it.
    pub decrees_told: u64,
    /// Decrees it began to drive.
    pub drives: u64,
    /// Steps its drivers took, jumps counted.
    pub steps: u64,
    /// Rounds its drivers began.
    pub rounds: u64,
    /// Times a driver adopted the candidate of a greater step.
    pub jumps: u64,
    /// Times it asked again because answers were missing.
    pub resends: u64,
    /// Times it drew another name because somebody had the same.
    pub redraws: u64,
    /// Messages it sent. A broadcast counts once per port.
    pub sent: MessageCounts,
}

/// Messages by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageCounts {
    /// [`Message::Claim`]
    pub claim: u64,
    /// [`Message::Decided`]
    pub decided: u64,
    /// [`Message::Record`]
    pub record: u64,
    /// [`Message::Recorded`]
    pub recorded: u64,
    /// [`Message::Fetch`]
    pub fetch: u64,
}

impl MessageCounts {
    /// Counts `copies` of this message.
    pub fn add(&mut self, message: &Message, copies: u64) {
        *match message {
            Message::Claim(_) => &mut self.claim,
            Message::Decided { .. } => &mut self.decided,
            Message::Record { .. } => &mut self.record,
            Message::Recorded { .. } => &mut self.recorded,
            Message::Fetch { .. } => &mut self.fetch,
        } += copies;
    }

    /// All kinds together.
    pub fn total(&self) -> u64 {
        self.claim + self.decided + self.record + self.recorded + self.fetch
    }
}
