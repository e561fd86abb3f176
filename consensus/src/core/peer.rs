//! A hero: one register for each slot, one driver at a time, and the patience to try again.
//!
//! | it waits for | then it |
//! |---|---|
//! | its name to be durable | claims it, again and again until the roll is decided |
//! | all claims, or its patience and a majority of them; then a random hedge | drives slot 0 |
//! | its turn, or the turn of a neighbour and patience × distance + jitter | drives the slot of that letter |
//! | a majority of answers | asks again those who did not answer, ever more slowly |
//! | news | asks some port what it missed, ever more slowly |
//!
//! Whoever asks about a decided slot is told the decision. That, and asking again, is all the recovery there is:
//! from loss, from a partition, from a crash.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::choir::{self, Choir};
use super::decree::Driver;
use super::outbox::{Batches, Outbox};
use super::patience::Backoff;
use super::slots::Slots;
use super::{
    Claim, Config, Counters, Effect, Event, LogRecord, Message, Micros, Name, Port, Random, Slot,
    Ticket, Value,
};

mod drive;
mod hear;
mod view;

/// One peer of the circle. See the [module docs](super) for how to drive it.
#[derive(Debug)]
pub struct Peer {
    config: Config,
    random: Random,
    is_mute: bool,
    claim: Option<Claim>,
    /// The claims of others by port, and the own one, once durable, by the own port.
    claims: BTreeMap<Port, Claim>,
    slots: Slots,
    choir: Choir,
    drive: Option<Drive>,
    turn: Option<Turn>,
    deadlines: Option<Deadlines>,
    heard: Vec<Option<Micros>>,
    batches: Batches,
    timer: Option<Micros>,
    counters: Counters,
}

/// The decree this peer drives.
#[derive(Debug)]
struct Drive {
    slot: Slot,
    attempt: u64,
    driver: Driver<Value>,
    /// When the present step was asked for.
    asked_at: Micros,
    resend: Backoff,
}

/// When this peer will drive a slot, if nobody has settled it by then.
#[derive(Debug)]
struct Turn {
    slot: Slot,
    at: Micros,
}

/// What a living peer does again and again.
#[derive(Debug)]
struct Deadlines {
    claim: Backoff,
    fetch: Backoff,
    /// Who is known to have news.
    fetch_from: Option<Port>,
    /// When a majority of claims will have to do.
    roll_at: Micros,
}

impl Peer {
    /// A peer that was never there before: it will draw a name and a lot.
    pub fn new(config: Config, random: Random) -> Peer {
        Peer {
            random,
            is_mute: false,
            claim: None,
            claims: BTreeMap::new(),
            slots: Slots::default(),
            choir: Choir::new(config.word.clone()),
            drive: None,
            turn: None,
            deadlines: None,
            heard: vec![None; config.ports()],
            batches: Batches::default(),
            timer: None,
            counters: Counters::default(),
            config,
        }
    }

    /// The same peer as before, from all its log records in the order they were written. It draws a name if the log
    /// holds none. `random` must be seeded anew: see [`Random::new`].
    pub fn restart(
        config: Config,
        random: Random,
        records: impl IntoIterator<Item = LogRecord>,
    ) -> Peer {
        let mut peer = Peer::new(config, random);
        for record in records {
            if let LogRecord::Claimed(claim) = record {
                peer.claim = Some(claim);
                peer.claims.insert(peer.own_port(), claim);
            }
            peer.slots.replay(record, peer.config.slots());
        }
        while let Some(value) = peer.slots.decision(peer.choir.next()) {
            peer.choir.apply(value, peer.claim.map(|claim| claim.name));
        }
        peer
    }

    /// A peer whose log is lost or damaged. What it promised is not known any more, so it counts as dead for ever:
    /// it listens and learns, but never claims, never answers and never speaks.
    pub fn mute(config: Config, random: Random) -> Peer {
        Peer {
            is_mute: true,
            ..Peer::new(config, random)
        }
    }

    /// Tells the peer what happened, and takes what is to be done, in order.
    pub fn step(&mut self, now: Micros, event: Event) -> Vec<Effect> {
        let mut outbox = Outbox::default();
        match event {
            Event::Start => self.start(now, &mut outbox),
            Event::Received { port, message } => {
                if let Some(heard) = self.heard.get_mut(port.0) {
                    *heard = Some(now);
                    self.receive(now, port, message, &mut outbox);
                }
            }
            Event::Timer => self.timer = None,
            Event::Persisted { batch } => {
                while let Some(message) = self.batches.take_own(batch) {
                    self.receive(now, self.own_port(), message, &mut outbox);
                }
            }
        }
        self.act(now, &mut outbox);
        self.seal(now, outbox)
    }

    /// The port for the register in here: one past those that lead outside.
    fn own_port(&self) -> Port {
        Port(self.config.ports())
    }

    fn own_name(&self) -> Option<Name> {
        self.claim.map(|claim| claim.name)
    }

    fn seal(&mut self, now: Micros, mut outbox: Outbox) -> Vec<Effect> {
        if self.is_mute {
            // It has no log any more, and what it learns it may say: it promises nothing.
            outbox.records.clear();
            outbox.now.append(&mut outbox.then);
        }
        let timer = self.next_deadline(now);
        if timer != self.timer {
            self.timer = timer;
            outbox.now.push(Effect::Timer { at: timer });
        }
        for effect in outbox.now.iter().chain(&outbox.then) {
            match effect {
                Effect::Broadcast(message) => {
                    self.counters.sent.add(message, self.config.ports() as u64)
                }
                Effect::Send { message, .. } => self.counters.sent.add(message, 1),
                _ => {}
            }
        }
        self.batches.seal(outbox)
    }

    fn next_deadline(&self, now: Micros) -> Option<Micros> {
        let deadlines = self.deadlines.as_ref().filter(|_| !self.is_finished())?;
        let claim = self.is_claiming().then(|| deadlines.claim.at());
        let turn = self.turn.as_ref().map(|turn| turn.at);
        let resend = self.drive.as_ref().map(|drive| drive.resend.at());
        let roll =
            (self.is_waiting_for_claims() && deadlines.roll_at > now).then_some(deadlines.roll_at);
        [claim, turn, resend, roll, Some(deadlines.fetch.at())]
            .into_iter()
            .flatten()
            .min()
    }

    fn is_claiming(&self) -> bool {
        self.claim.is_some() && self.choir.next() == 0
    }
}

/// Birth, and what is done again and again.
impl Peer {
    fn start(&mut self, now: Micros, outbox: &mut Outbox) {
        let Config {
            round_trip,
            roll_patience,
            silence,
            ..
        } = self.config;
        let delay = (roll_patience / 8).max(round_trip);
        self.deadlines = Some(Deadlines {
            claim: Backoff::new(now, delay, silence / 4, &mut self.random),
            fetch: self.fetch_backoff(now),
            fetch_from: None,
            roll_at: now + roll_patience,
        });
        if self.is_mute {
            return;
        }
        if self.claim.is_none() {
            self.draw_claim(0, outbox);
        } else if self.is_claiming() {
            self.broadcast_claim(outbox);
        } else if let Some(deadlines) = &mut self.deadlines {
            // It was away: the others have most likely gone on.
            deadlines.fetch.hasten(now);
        }
    }

    /// Starts anew with every piece of news: while there is some, nobody needs to be asked.
    fn fetch_backoff(&mut self, now: Micros) -> Backoff {
        let Config {
            round_trip,
            patience,
            silence,
            ..
        } = self.config;
        Backoff::new(
            now,
            patience.max(8 * round_trip),
            silence / 4,
            &mut self.random,
        )
    }

    fn draw_claim(&mut self, redraws: u32, outbox: &mut Outbox) {
        let (name, ticket) = (
            Name(self.random.draw_wide()),
            Ticket(self.random.draw_wide()),
        );
        let claim = Claim {
            ticket,
            name,
            redraws,
        };
        self.claim = Some(claim);
        self.claims.remove(&self.own_port());
        outbox.records.push(LogRecord::Claimed(claim));
        outbox.own.push(Message::Claim(claim));
        self.broadcast_claim(outbox);
    }

    /// Waits for what is not durable yet: a claim that a crash could take back must not be heard of.
    fn broadcast_claim(&self, outbox: &mut Outbox) {
        outbox
            .then
            .extend(self.claim.map(Message::Claim).map(Effect::Broadcast));
    }

    fn act(&mut self, now: Micros, outbox: &mut Outbox) {
        let Some(mut deadlines) = self.deadlines.take().filter(|_| !self.is_finished()) else {
            return;
        };
        if self.is_claiming() && deadlines.claim.is_due(now, &mut self.random) {
            self.broadcast_claim(outbox);
        }
        if deadlines.fetch.is_due(now, &mut self.random) {
            let from = deadlines
                .fetch_from
                .take()
                .or_else(|| self.random.draw_port());
            if let Some(port) = from {
                outbox.send(
                    port,
                    Message::Fetch {
                        slot: self.slots.next(),
                    },
                );
            }
        }
        self.plan(now, &deadlines);
        self.deadlines = Some(deadlines);
        if self.turn.as_ref().is_some_and(|turn| turn.at <= now) {
            self.begin_drive(now, outbox);
        }
        self.resend(now, outbox);
    }

    /// Decides when to drive the next slot, once there is reason to.
    fn plan(&mut self, now: Micros, deadlines: &Deadlines) {
        let slot = self.slots.next();
        let is_planned = self.turn.as_ref().is_some_and(|turn| turn.slot == slot);
        let is_driven = self.drive.as_ref().is_some_and(|drive| drive.slot == slot);
        if is_planned || is_driven {
            return;
        }
        let wait = if slot == 0 {
            self.roll_hedge(now, deadlines)
        } else {
            self.letter_hedge(slot)
        };
        self.turn = wait.map(|wait| Turn {
            slot,
            at: now + wait,
        });
    }

    /// Everybody may drive the roll. Whoever draws the shortest wait is mostly done before the next one begins.
    fn roll_hedge(&mut self, now: Micros, deadlines: &Deadlines) -> Option<Micros> {
        let known = self.known_roll()?.len();
        let is_time = known == self.config.peers || now >= deadlines.roll_at;
        let hedge = self.config.round_trip * self.config.peers as u64;
        is_time.then(|| self.random.draw_below(hedge))
    }

    /// All claims this peer knows, if its own is among them and they are a majority.
    fn known_roll(&self) -> Option<Arc<[Claim]>> {
        let roll = choir::roll(self.claims.values());
        let is_member = self.claim.is_some_and(|own| roll.contains(&own));
        (is_member && roll.len() >= self.config.majority()).then_some(roll)
    }

    /// The owner drives at once; a neighbour only if the owner, and those between them, seem to be late.
    fn letter_hedge(&mut self, slot: Slot) -> Option<Micros> {
        let distance = self.choir.distance(self.own_name()?, position(slot))?;
        let jitter = if distance == 0 {
            0
        } else {
            self.random.draw_below(self.config.patience)
        };
        Some(self.config.patience * distance as u64 + jitter)
    }

    /// Whether the roll could be driven once its patience is over.
    fn is_waiting_for_claims(&self) -> bool {
        let is_idle = self.turn.is_none() && self.drive.is_none();
        is_idle && self.slots.next() == 0 && self.claims.len() >= self.config.majority()
    }
}

/// The letter that a slot after the roll decides.
fn position(slot: Slot) -> usize {
    (slot - 1) as usize
}

#[cfg(test)]
mod tests;
