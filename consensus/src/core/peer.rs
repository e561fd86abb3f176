//! A hero: one register for each slot, one driver at a time, and the patience to try again.

use super::{
    Claim, Config, Counters, Effect, Event, LogRecord, Micros, Name, Random, Slot, Utterance,
    Waiting,
};

/// One peer of the circle. See the [module docs](super) for how to drive it.
#[derive(Debug)]
pub struct Peer {
    config: Config,
    random: Random,
}

impl Peer {
    /// A peer that was never there before: it will draw a name and a lot.
    pub fn new(config: Config, random: Random) -> Peer {
        Peer { config, random }
    }

    /// The same peer as before, from all its log records in the order they were written. It draws a name if the log
    /// holds none. `random` must be seeded anew: see [`Random::new`].
    pub fn restart(
        config: Config,
        random: Random,
        records: impl IntoIterator<Item = LogRecord>,
    ) -> Peer {
        let _ = records;
        Peer { config, random }
    }

    /// A peer whose log is lost or damaged. What it promised is not known any more, so it counts as dead for ever:
    /// it listens and learns, but never claims, never answers and never speaks.
    pub fn mute(config: Config, random: Random) -> Peer {
        Peer { config, random }
    }

    /// Tells the peer what happened, and takes what is to be done, in order.
    pub fn step(&mut self, now: Micros, event: Event) -> Vec<Effect> {
        let _ = (now, event);
        Vec::new()
    }

    /// When it wants [`Event::Timer`] next: the last [`Effect::Timer`].
    pub fn deadline(&self) -> Option<Micros> {
        None
    }

    /// Its own name and lot, once drawn. A mute peer has none.
    pub fn claim(&self) -> Option<Claim> {
        None
    }

    /// The names in the order of speaking; empty until the roll is decided.
    pub fn roster(&self) -> Vec<Name> {
        Vec::new()
    }

    /// Names this peer knows that came too late for the roster: they vote, but have no turn.
    pub fn bench(&self) -> Vec<Name> {
        Vec::new()
    }

    /// What was said so far, as far as this peer knows. Never shrinks.
    pub fn transcript(&self) -> &[Utterance] {
        &[]
    }

    /// The first slot it knows no decision for.
    pub fn next_slot(&self) -> Slot {
        0
    }

    /// Whether the whole word is spoken.
    pub fn is_finished(&self) -> bool {
        self.next_slot() == self.config.slots()
    }

    /// Whether it is [mute](Peer::mute).
    pub fn is_mute(&self) -> bool {
        false
    }

    /// What it waits for, and so why nothing happens if nothing does.
    pub fn waiting(&self, now: Micros) -> Waiting {
        let _ = (now, &self.random);
        Waiting::Mute
    }

    /// What it did in this life.
    pub fn counters(&self) -> &Counters {
        const NOTHING: &Counters = &Counters {
            decrees_fast: 0,
            decrees_slow: 0,
            decrees_told: 0,
            drives: 0,
            steps: 0,
            rounds: 0,
            jumps: 0,
            resends: 0,
            redraws: 0,
            sent: super::MessageCounts {
                claim: 0,
                decided: 0,
                record: 0,
                recorded: 0,
                fetch: 0,
            },
        };
        NOTHING
    }
}
