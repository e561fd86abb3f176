//! What happened in a run, as the harness saw it: the same for both worlds.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::faults::Heroes;
use crate::core;

/// One letter, spoken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Spoken {
    /// Its place in the word, counted from 1.
    pub position: usize,
    /// The letter.
    pub letter: String,
    /// Who spoke it: a hero's number in the order of birth, which no hero knows.
    pub speaker: usize,
    /// Whose turn it was, if somebody else spoke.
    pub stood_in: Option<usize>,
}

/// Messages that were sent, by kind. A broadcast counts once for each hero it goes to;
/// a message that the faults throw away counts too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MessageCounts {
    /// "I am here": name and ticket, for the roll.
    pub claim: u64,
    /// "So it is": a decision.
    pub decided: u64,
    /// A driver's question to a register.
    pub record: u64,
    /// A register's answer.
    pub recorded: u64,
    /// "What did I miss?"
    pub fetch: u64,
}

impl MessageCounts {
    /// Adds what a hero sent.
    pub fn add(&mut self, sent: &core::MessageCounts) {
        self.claim += sent.claim;
        self.decided += sent.decided;
        self.record += sent.record;
        self.recorded += sent.recorded;
        self.fetch += sent.fetch;
    }

    /// All kinds together.
    pub fn total(&self) -> u64 {
        self.claim + self.decided + self.record + self.recorded + self.fetch
    }
}

impl std::ops::AddAssign for MessageCounts {
    fn add_assign(&mut self, more: MessageCounts) {
        self.claim += more.claim;
        self.decided += more.decided;
        self.record += more.record;
        self.recorded += more.recorded;
        self.fetch += more.fetch;
    }
}

/// Decrees by the way they were decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DecreeCounts {
    /// By the owner of the turn, in one round trip.
    pub fast: u64,
    /// In whole rounds.
    pub slow: u64,
}

/// Something worth a line while it happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// Every living hero has a link to every other one.
    Linked {
        /// How many links there are.
        links: usize,
    },
    /// The roll is decided: so many names.
    RosterClosed {
        /// How many names are on it.
        names: usize,
    },
    /// A letter is decided, and so spoken.
    Spoke(Spoken),
    /// A fault ended heroes.
    Killed(Heroes),
    /// A fault lets heroes begin another life.
    Restarted(Heroes),
    /// A hero has come back.
    Returned {
        /// His number in the order of birth.
        hero: usize,
        /// How many letters his log knew.
        letters: usize,
    },
    /// So many sit on each side, and do not hear the others.
    Split(Vec<usize>),
    /// All hear each other again.
    Healed,
    /// Heroes do nothing for so long.
    Stalled(Heroes, Duration),
    /// A hero goes on.
    WentOn {
        /// His number in the order of birth.
        hero: usize,
    },
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Every living hero holds the whole transcript.
    Spoken,
    /// Nothing was said for too long, for this reason.
    Stuck(String),
    /// Two heroes contradicted each other, which must never be: a bug, described.
    Broken(String),
}

/// A run, from beginning to end.
#[derive(Clone, Debug)]
pub struct Course {
    /// How it ended.
    pub end: End,
    /// How many names are on the roster; 0 if it was never closed.
    pub roster: usize,
    /// What was spoken, in order.
    pub spoken: Vec<Spoken>,
    /// Messages by kind.
    pub messages: MessageCounts,
    /// Decrees by their way.
    pub decrees: DecreeCounts,
    /// Rounds of all decrees together, as the first hero to decide each counted them.
    pub rounds: u64,
    /// From the first hero's birth to the end; virtual time in memory.
    pub elapsed: Duration,
    /// What drove the executor; "none" in memory.
    pub driver: &'static str,
    /// How many of its cores the heroes shared.
    pub cores: usize,
    /// A hash over everything that was sent, received and said, in order.
    pub trace_hash: u64,
}

/// FNV-1a with 64 bits: names a trace, so that two runs can be compared by eye.
#[derive(Clone, Copy, Debug)]
pub struct TraceHash(u64);

impl TraceHash {
    /// Of nothing.
    pub fn new() -> TraceHash {
        TraceHash(0xcbf2_9ce4_8422_2325)
    }

    /// Adds bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// Adds a number.
    pub fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    /// The hash of all that was added.
    pub fn value(self) -> u64 {
        self.0
    }
}

impl Default for TraceHash {
    fn default() -> TraceHash {
        TraceHash::new()
    }
}

impl fmt::Display for MessageCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} claim, {} decided, {} record, {} recorded, {} fetch",
            self.total(),
            self.claim,
            self.decided,
            self.record,
            self.recorded,
            self.fetch
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trace_hash_is_fnv_1a() {
        let mut hash = TraceHash::new();
        hash.bytes(b"foobar");
        assert_eq!(hash.value(), 0x8594_4171_f739_67e8);
    }
}
