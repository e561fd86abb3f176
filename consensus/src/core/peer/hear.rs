//! A peer that hears a message.

use crate::core::choir;
use crate::core::decree::{Candidate, Step};
use crate::core::outbox::Outbox;
use crate::core::{Claim, Conclusion, Effect, LogRecord, Message, Micros, Port, Slot, Value};

use super::Peer;

/// How many decisions one `Fetch` is answered with at most.
const FETCH_DECISIONS_MAX: usize = 16;

impl Peer {
    pub(super) fn receive(
        &mut self,
        now: Micros,
        port: Port,
        message: Message,
        outbox: &mut Outbox,
    ) {
        match message {
            Message::Claim(claim) => self.receive_claim(port, claim, outbox),
            Message::Decided { slot, value } => {
                if slot < self.config.slots() && choir::fits(slot, &value) {
                    self.conclude(now, slot, value, Conclusion::Told, outbox);
                    self.mind_gap(now, port);
                }
            }
            Message::Record {
                slot,
                attempt,
                step,
                candidate,
            } => {
                if slot < self.config.slots()
                    && choir::fits(slot, &candidate.value)
                    && !self.is_mute
                {
                    self.receive_record(port, slot, attempt, step, candidate, outbox);
                }
            }
            Message::Recorded {
                slot,
                attempt,
                asked,
                answer,
            } => {
                // An answer to an earlier attempt, perhaps of an earlier life, speaks of another candidate.
                if self
                    .drive
                    .as_ref()
                    .is_some_and(|drive| (drive.slot, drive.attempt) == (slot, attempt))
                {
                    self.take_answer(now, port, asked, answer, outbox);
                }
            }
            Message::Fetch { slot } => self.receive_fetch(port, slot, outbox),
        }
    }

    fn receive_claim(&mut self, port: Port, claim: Claim, outbox: &mut Outbox) {
        let is_own = port == self.own_port();
        if is_own && self.claim != Some(claim) {
            // Drawn again before it was durable.
            return;
        }
        if let Some(roll) = self.slots.decision(0).filter(|_| !is_own && !self.is_mute) {
            let value = roll.clone();
            outbox.send_then(port, Message::Decided { slot: 0, value });
        }
        let is_open = self.choir.next() == 0;
        if let Some(own) = self
            .claim
            .filter(|own| is_open && !is_own && own.name == claim.name)
        {
            self.counters.redraws += 1;
            self.draw_claim(own.redraws + 1, outbox);
        }
        let known = self.claims.entry(port).or_insert(claim);
        if claim.redraws > known.redraws {
            *known = claim;
        }
    }

    fn receive_record(
        &mut self,
        port: Port,
        slot: Slot,
        attempt: u64,
        step: Step,
        candidate: Candidate<Value>,
        outbox: &mut Outbox,
    ) {
        if let Some(value) = self.slots.decision(slot) {
            outbox.send_then(
                port,
                Message::Decided {
                    slot,
                    value: value.clone(),
                },
            );
        } else if let Some((answer, changed)) = self.slots.record(slot, step, candidate) {
            outbox.records.extend(changed);
            outbox.send_then(
                port,
                Message::Recorded {
                    slot,
                    attempt,
                    asked: step,
                    answer,
                },
            );
        }
    }

    fn receive_fetch(&mut self, port: Port, slot: Slot, outbox: &mut Outbox) {
        if self.is_mute {
            return;
        }
        for (slot, value) in self.slots.decisions_from(slot).take(FETCH_DECISIONS_MAX) {
            outbox.send_then(
                port,
                Message::Decided {
                    slot,
                    value: value.clone(),
                },
            );
        }
    }

    pub(super) fn conclude(
        &mut self,
        now: Micros,
        slot: Slot,
        value: Value,
        how: Conclusion,
        outbox: &mut Outbox,
    ) {
        if !self.slots.decide(slot, value.clone()) {
            return;
        }
        match how {
            Conclusion::Fast => self.counters.decrees_fast += 1,
            Conclusion::Slow { .. } => self.counters.decrees_slow += 1,
            Conclusion::Told => self.counters.decrees_told += 1,
        }
        outbox.records.push(LogRecord::Decided {
            slot,
            value: value.clone(),
        });
        if how != Conclusion::Told {
            outbox
                .then
                .push(Effect::Broadcast(Message::Decided { slot, value }));
        }
        outbox.then.push(Effect::Concluded { slot, how });
        self.drive.take_if(|drive| drive.slot == slot);
        self.turn.take_if(|turn| turn.slot == slot);
        self.apply(outbox);
        let fetch = self.fetch_backoff(now);
        if let Some(deadlines) = &mut self.deadlines {
            deadlines.fetch = fetch;
        }
    }

    /// Takes into the transcript what is decided without a gap.
    fn apply(&mut self, outbox: &mut Outbox) {
        let own = self.own_name();
        while let Some(value) = self.slots.decision(self.choir.next()) {
            match self.choir.apply(value, own) {
                Some(utterance) => outbox.then.push(Effect::Spoken(utterance)),
                None => outbox.then.push(Effect::Rolled {
                    roster: self.choir.roster().to_vec(),
                }),
            }
        }
    }

    /// Whoever told of a later slot knows the earlier ones. They may be on their way: gives them a moment.
    fn mind_gap(&mut self, now: Micros, port: Port) {
        let (has_gap, soon) = (self.slots.has_gap(), now + self.config.round_trip);
        if let Some(deadlines) = self.deadlines.as_mut().filter(|_| has_gap) {
            deadlines.fetch_from = Some(port);
            deadlines.fetch.hasten(soon);
        }
    }
}
