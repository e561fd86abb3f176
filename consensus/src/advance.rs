//! Carrying out what a peer wants.
//!
//! Where nothing is kept on disk, memory is as durable as a peer's life: [`advance`] takes a batch for durable the moment it
//! is handed over. Where something is, whoever has the log takes a [`Batch`] from [`begin`], and gives it to [`conclude`] when
//! it is durable.

use crate::core::{Effect, Event, LogRecord, Message, Micros, Peer, Port};

/// What reaches from a peer into its world.
pub trait Hands {
    /// Sends to one port.
    fn send(&mut self, port: Port, message: &Message);

    /// Sends to every port.
    fn broadcast(&mut self, message: &Message);

    /// The peer learned something: [`Effect::Concluded`], [`Effect::Rolled`] or [`Effect::Spoken`].
    fn learned(&mut self, effect: &Effect);
}

/// An [`Effect::Persist`]: what is to be written, and what has to wait for that.
#[derive(Debug)]
pub struct Batch {
    number: u64,
    records: Vec<LogRecord>,
    then: Vec<Effect>,
}

impl Batch {
    /// What is to be written, perhaps nothing.
    pub fn records(&self) -> &[LogRecord] {
        &self.records
    }
}

/// Steps `peer` with `event` and carries out, in order, what need not wait. When
/// it wants [`Event::Timer`] next is then in [`Peer::deadline`].
#[must_use = "what the peer has to say waits for the batch"]
pub fn begin(peer: &mut Peer, now: Micros, event: Event, hands: &mut impl Hands) -> Option<Batch> {
    let mut begun = None;
    for effect in peer.step(now, event) {
        match effect {
            Effect::Persist {
                batch: number,
                records,
                then,
            } => {
                begun = Some(Batch {
                    number,
                    records,
                    then,
                });
            }
            effect => carry_out(&effect, hands),
        }
    }
    begun
}

/// Carries out what has waited for `batch`, which is durable, as are all before it. The peer is to be stepped with the
/// event that comes back.
#[must_use = "the peer counts on it"]
pub fn conclude(batch: Batch, hands: &mut impl Hands) -> Event {
    batch
        .then
        .iter()
        .for_each(|effect| carry_out(effect, hands));
    Event::Persisted {
        batch: batch.number,
    }
}

/// Steps `peer` with `event` and carries out everything that follows, in order: nothing waits for a log.
pub fn advance(peer: &mut Peer, now: Micros, event: Event, hands: &mut impl Hands) {
    let mut next = Some(event);
    while let Some(event) = next.take() {
        next = begin(peer, now, event, hands).map(|batch| conclude(batch, hands));
    }
}

fn carry_out(effect: &Effect, hands: &mut impl Hands) {
    match effect {
        Effect::Send { port, message } => hands.send(*port, message),
        Effect::Broadcast(message) => hands.broadcast(message),
        Effect::Concluded { .. } | Effect::Rolled { .. } | Effect::Spoken(_) => {
            hands.learned(effect)
        }
        // The caller reads the deadline from the peer; a batch within a batch does not exist.
        Effect::Timer { .. } | Effect::Persist { .. } => {}
    }
}
