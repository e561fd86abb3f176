//! What a peer shows of itself.

use crate::core::{Claim, Counters, Micros, Name, Slot, Utterance, Waiting};

use super::{Peer, position};

impl Peer {
    /// When it wants [`Event::Timer`](crate::core::Event::Timer) next: the last [`Effect::Timer`](crate::core::Effect::Timer).
    pub fn deadline(&self) -> Option<Micros> {
        self.timer
    }

    /// Its own name and lot, once drawn. A mute peer has none.
    pub fn claim(&self) -> Option<Claim> {
        self.claim
    }

    /// The names in the order of speaking; empty until the roll is decided.
    pub fn roster(&self) -> &[Name] {
        self.choir.roster()
    }

    /// Names this peer knows that came too late for the roster: they vote, but have no turn.
    pub fn bench(&self) -> Vec<Name> {
        let names = self.claims.values().map(|claim| claim.name);
        names
            .filter(|name| !self.roster().is_empty() && !self.roster().contains(name))
            .collect()
    }

    /// What is said so far, as far as this peer knows. The newest of it may not be durable here yet:
    /// [`Effect::Spoken`](crate::core::Effect::Spoken) tells when it is.
    pub fn transcript(&self) -> &[Utterance] {
        self.choir.transcript()
    }

    /// The first slot it knows no decision for.
    pub fn next_slot(&self) -> Slot {
        self.slots.next()
    }

    /// Whether the whole word is spoken.
    pub fn is_finished(&self) -> bool {
        self.next_slot() == self.config.slots()
    }

    /// Whether it is [mute](Peer::mute).
    pub fn is_mute(&self) -> bool {
        self.is_mute
    }

    /// How many peers it heard within the last [`Config::silence`](crate::core::Config::silence), itself counted; longer ago, if it has
    /// itself become slow to ask, as the others will have.
    pub fn heard(&self, now: Micros) -> usize {
        let resend = self.drive.as_ref().map(|drive| drive.resend.wait_max());
        let claim = self.deadlines.as_ref().map(|it| it.claim.wait_max());
        let slowest = resend.max(claim.filter(|_| self.is_claiming()));
        let silence = self.config.silence.max(2 * slowest.unwrap_or(0));
        let is_recent = |&at: &Micros| now.saturating_sub(at) <= silence;
        1 + self
            .heard
            .iter()
            .flatten()
            .filter(|at| is_recent(at))
            .count()
    }

    /// What it waits for, and so why nothing happens if nothing does.
    pub fn waiting(&self, now: Micros) -> Waiting {
        let (peers, needed, heard) = (self.config.peers, self.config.majority(), self.heard(now));
        let slot = self.next_slot();
        if self.is_finished() {
            Waiting::Finished
        } else if self.is_mute {
            Waiting::Mute
        } else if heard < needed {
            Waiting::Quorum {
                heard,
                peers,
                needed,
            }
        } else if let Some(owner) = self.choir.owner(position(slot.max(1))) {
            let driving = self.drive.as_ref().is_some_and(|drive| drive.slot == slot);
            Waiting::Letter {
                position: position(slot),
                owner,
                driving,
            }
        } else if self.claims.len() < peers && self.drive.is_none() {
            Waiting::Claims {
                known: self.claims.len(),
                peers,
            }
        } else {
            Waiting::Roll
        }
    }

    /// What it did in this life.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}
