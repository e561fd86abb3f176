//! The agreement itself: no clock, no sockets, no files, no `await`.
//!
//! A [`Peer`] is a pure state machine. It is told what happened ([`Event`]) and when, and answers with what is to be
//! done ([`Effect`]). Time is a number of microseconds that somebody else reads from a clock, randomness is a
//! [`Random`] that somebody else seeded, and the other peers are [`Port`]s: a peer never learns an address or a number
//! that means anything outside itself, so nothing can be settled by who was counted first.
//!
//! Read in this order: this file (what goes in, what comes out), [`decree`] (how one thing is decided), [`choir`]
//! (what is decided, one thing after the other), [`peer`] (both together, over links that lose and delay).
//!
//! # Driving a peer
//!
//! 1. [`Peer::new`], or [`Peer::restart`] with what the log held, or [`Peer::mute`] if the log is damaged.
//! 2. Step it with [`Event::Start`], and then with every event as it happens.
//! 3. Carry out the effects of a step in their order, all of them, before the next step. Only what is inside
//!    [`Effect::Persist`] waits: its `then` is carried out once `records` **and all records before them** are durable,
//!    and then the peer is stepped with [`Event::Persisted`].
//!
//! ```
//! use krug_consensus::core::{Config, Effect, Event, Peer, Random};
//! use std::collections::VecDeque;
//!
//! // A circle of one: nobody to send to, so the log and the timer are all there is.
//! let config = Config::new(1, "да").unwrap();
//! let mut peer = Peer::new(config, Random::new(7, 0));
//! let mut now = 0;
//! let mut said = String::new();
//! let mut events = VecDeque::from([Event::Start]);
//! while !(peer.is_finished() && events.is_empty()) {
//!     let event = events.pop_front().unwrap_or_else(|| {
//!         now = peer.deadline().expect("it waits for a moment or is finished");
//!         Event::Timer
//!     });
//!     for effect in peer.step(now, event) {
//!         if let Effect::Persist { batch, then, .. } = effect {
//!             // Here the records would be written and synced.
//!             for effect in then {
//!                 if let Effect::Spoken(utterance) = effect {
//!                     said.push(utterance.letter);
//!                 }
//!             }
//!             events.push_back(Event::Persisted { batch });
//!         }
//!     }
//! }
//! assert_eq!(said, "да");
//! ```
#![forbid(unsafe_code)]

pub mod choir;
pub mod decree;
mod outbox;
mod patience;
pub mod peer;
mod random;
mod slots;
mod status;

use std::fmt;
use std::sync::Arc;

pub use choir::Utterance;
pub use decree::{Answer, Candidate, Rank, Register, Step};
pub use peer::Peer;
pub use random::Random;
pub use status::{Counters, MessageCounts, Waiting};

/// A moment, in microseconds since any moment the caller likes. Never goes back between two steps of one peer.
pub type Micros = u64;

/// The number of a decision: 0 is the roll, `1 + i` is letter `i` of the word.
pub type Slot = u64;

/// A peer's own numbering of its links: `0..n - 1`, in any order, meaningless to anybody else.
///
/// A peer is also a register of its own. It reaches that one inside itself: no effect ever names a port for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port(pub usize);

/// What a hero calls himself: 128 bits of his own drawing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(pub u128);

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

impl fmt::Display for Name {
    /// The first eight hexadecimal digits: enough to tell 33 heroes apart on a screen.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0 >> 96)
    }
}

/// A lot, drawn with the name. The roster is sorted by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u128);

/// "I am here, this is my name, this is my lot."
///
/// Ordered by ticket first: a sorted list of claims is a roster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Claim {
    /// The lot the peer drew.
    pub ticket: Ticket,
    /// The name the peer drew.
    pub name: Name,
    /// How often this peer had drawn before: a redrawn claim replaces the one before it, in whatever order they arrive.
    pub redraws: u32,
}

/// What a decree can decide.
///
/// The order is part of the protocol (candidates of equal rank are ordered by value) and otherwise without meaning.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// Slot 0: who is in the circle, and in which order. Sorted, every name once.
    Roll(Arc<[Claim]>),
    /// Every later slot: who says this letter.
    Say {
        /// The speaker: always a name from the roster.
        by: Name,
    },
}

/// What peers say to each other. `Claim` and `Decided` are broadcast, the others go to one port; an answer may be a
/// `Decided` to one port as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// "I am here."
    Claim(Claim),
    /// "This slot is decided." True for ever, whoever says it.
    Decided {
        /// The slot.
        slot: Slot,
        /// What was decided.
        value: Value,
    },
    /// "Record this candidate in your register of this slot, and tell me what it holds."
    Record {
        /// The slot.
        slot: Slot,
        /// Drawn anew by each driver. Answers carry it back, so that one meant for an earlier life is not taken for ours.
        attempt: u64,
        /// The driver's step.
        step: Step,
        /// The driver's candidate, for this port.
        candidate: Candidate<Value>,
    },
    /// The register's answer to `Record`. Durable before it leaves.
    Recorded {
        /// The slot.
        slot: Slot,
        /// The `attempt` of the question.
        attempt: u64,
        /// The `step` of the question.
        asked: Step,
        /// What the register holds.
        answer: Answer<Value>,
    },
    /// "Tell me what is decided, from this slot on." Answered with a bounded number of `Decided`, or not at all.
    Fetch {
        /// The first slot the asker does not know.
        slot: Slot,
    },
}

/// What the log holds. Replaying all of them, in order, gives the peer back: see [`Peer::restart`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogRecord {
    /// The peer's own name and lot. A later one replaces an earlier one.
    Claimed(Claim),
    /// The register of a slot, whole. A later one replaces an earlier one.
    Registered {
        /// The slot.
        slot: Slot,
        /// All four fields.
        register: Register<Value>,
    },
    /// A decision. Final.
    Decided {
        /// The slot.
        slot: Slot,
        /// What was decided.
        value: Value,
    },
}

/// What can happen to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The first event of every life, once.
    Start,
    /// A message arrived. Lost, doubled, late and reordered ones are expected; forged ones are not.
    Received {
        /// The link it came over. Messages from a port that does not exist are ignored.
        port: Port,
        /// The message.
        message: Message,
    },
    /// The moment of the last [`Effect::Timer`] has come. Early and superfluous ones do no harm.
    Timer,
    /// This batch and all before it are durable.
    Persisted {
        /// The `batch` of [`Effect::Persist`].
        batch: u64,
    },
}

/// What a peer wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send to every port.
    Broadcast(Message),
    /// Send to one port.
    Send {
        /// The link to send over.
        port: Port,
        /// The message.
        message: Message,
    },
    /// Append `records` to the log; when they and all before them are durable carry out `then` and step the peer with
    /// [`Event::Persisted`]. At most one in a step, always its last effect.
    ///
    /// If `records` is empty there is nothing to write, but `then` still waits for the batches before it. If the log
    /// fails, stop the peer: what was not durable must never be spoken of.
    Persist {
        /// Counts up from 1 in each life.
        batch: u64,
        /// What to append, in this order.
        records: Vec<LogRecord>,
        /// Never `Persist`, never `Timer`.
        then: Vec<Effect>,
    },
    /// Step the peer with [`Event::Timer`] at this moment. Replaces the last one; `None`: there is nothing to wait for.
    Timer {
        /// When.
        at: Option<Micros>,
    },
    /// A slot is decided, as far as this peer knows: once per slot and life, in the order it learns of them.
    Concluded {
        /// The slot.
        slot: Slot,
        /// How this peer came to know.
        how: Conclusion,
    },
    /// The roster is closed. Once per life; not for a roster that was read back from the log.
    Rolled {
        /// The names, in the order of speaking.
        roster: Vec<Name>,
    },
    /// A letter is spoken: once per position and life, in order. Every peer says this of every letter;
    /// [`Utterance::own`] tells whether it speaks itself. What the log already knew is in [`Peer::transcript`].
    Spoken(Utterance),
}

/// How a peer came to know a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Conclusion {
    /// It drove the decree and a majority took the owner's candidate first: one round trip.
    Fast,
    /// It drove the decree to the end of phase 2.
    Slow {
        /// In this round, counted from 1.
        round: u32,
    },
    /// Another peer told it.
    Told,
}

/// What all peers of a circle agree on beforehand, and how patient they are. Patience is about speed only: no value of
/// it can make two peers disagree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How many peers the circle has, dead ones counted.
    pub peers: usize,
    /// What they say.
    pub word: Vec<char>,
    /// Turns the owner's fast path off: every decree then takes at least three steps.
    pub strict: bool,
    /// A usual round trip. Resends and hedges are multiples of it.
    pub round_trip: Micros,
    /// How long a neighbour lets the owner of a letter try, per place between them.
    pub patience: Micros,
    /// How long to wait for all the claims before a majority of them must do.
    pub roll_patience: Micros,
    /// A port that said nothing for this long is not counted as heard.
    pub silence: Micros,
}

impl Config {
    /// A circle of `peers` that says `word`, with patience for peers on one machine.
    ///
    /// # Errors
    ///
    /// A circle needs a peer and the word needs a letter.
    pub fn new(peers: usize, word: &str) -> Result<Config, ConfigError> {
        if peers == 0 {
            return Err(ConfigError::NoPeers);
        }
        if word.is_empty() {
            return Err(ConfigError::EmptyWord);
        }
        Ok(Config {
            peers,
            word: word.chars().collect(),
            strict: false,
            round_trip: 2_000,
            patience: 50_000,
            roll_patience: 300_000,
            silence: 1_000_000,
        })
    }

    /// How many peers a decision needs: more than half.
    pub fn majority(&self) -> usize {
        self.peers / 2 + 1
    }

    /// How many links a peer has: one to every other.
    pub fn ports(&self) -> usize {
        self.peers - 1
    }

    /// How many slots there are: the roll and the letters.
    pub fn slots(&self) -> Slot {
        1 + self.word.len() as Slot
    }
}

/// Why there can be no such circle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// Zero peers.
    NoPeers,
    /// A word without letters.
    EmptyWord,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ConfigError::NoPeers => "a circle needs at least 1 peer",
            ConfigError::EmptyWord => "the word is empty: there is nothing to say",
        })
    }
}

impl std::error::Error for ConfigError {}
