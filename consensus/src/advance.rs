//! Carrying out what a peer wants, where nothing is kept on disk.
//!
//! Memory is as durable as such a peer's life: a batch counts as durable the moment it
//! is handed over, and its replies leave at once.

use crate::core::{Effect, Event, Message, Micros, Peer, Port};

/// What reaches from a peer into its world.
pub trait Hands {
    /// Sends to one port.
    fn send(&mut self, port: Port, message: &Message);

    /// Sends to every port.
    fn broadcast(&mut self, message: &Message);

    /// The peer learned something: [`Effect::Concluded`], [`Effect::Rolled`] or [`Effect::Spoken`].
    fn learned(&mut self, effect: &Effect);
}

/// Steps `peer` with `event` and carries out everything that follows, in order. When
/// it wants [`Event::Timer`] next is then in [`Peer::deadline`].
pub fn advance(peer: &mut Peer, now: Micros, event: Event, hands: &mut impl Hands) {
    let mut next = Some(event);
    while let Some(event) = next.take() {
        for effect in peer.step(now, event) {
            match effect {
                Effect::Persist { batch, then, .. } => {
                    then.iter().for_each(|effect| carry_out(effect, hands));
                    next = Some(Event::Persisted { batch });
                }
                effect => carry_out(&effect, hands),
            }
        }
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
