//! A peer that drives a decree: asks, asks again, and follows the answers.

use crate::core::decree::{Answer, Driver, Progress, Step};
use crate::core::outbox::Outbox;
use crate::core::patience::Backoff;
use crate::core::{Conclusion, Message, Micros, Port, Value};

use super::{Drive, Peer, Turn, position};

/// After so many vain resends a driver asks *all* ports again, so that those who answered long ago, and may be cut off
/// since, are heard anew: else nobody could say how many hear each other.
const RESENDS_BEFORE_ROLL_CALL: u32 = 2;

impl Peer {
    pub(super) fn begin_drive(&mut self, now: Micros, outbox: &mut Outbox) {
        let Some((Turn { slot, .. }, own)) = self.turn.take().zip(self.own_name()) else {
            return;
        };
        let value = match slot {
            0 => self.known_roll().map(Value::Roll),
            _ => Some(Value::Say { by: own }),
        };
        let Some(value) = value else { return };
        let is_owner = slot > 0 && self.choir.owner(position(slot)) == Some(own);
        // The owner's value follows from the roster alone, in every life of his: the top rank is safe with it.
        let is_top = is_owner && !self.config.strict;
        let drive = Drive {
            slot,
            attempt: self.random.draw(),
            driver: Driver::new(self.config.peers, value, is_top, &mut self.random),
            asked_at: now,
            resend: self.resend_backoff(now, 0),
        };
        self.counters.drives += 1;
        self.counters.steps += 1;
        self.counters.rounds += 1;
        self.ask_all(&drive, outbox);
        self.drive = Some(drive);
    }

    /// `taken`: how long the step before has taken. What was slow then is slow now, and asking again before the answers can
    /// have come makes it slower.
    fn resend_backoff(&mut self, now: Micros, taken: Micros) -> Backoff {
        let usual = 4 * self.config.round_trip;
        let delay = usual.max(taken.min(self.config.silence));
        Backoff::new(now, delay, self.config.silence / 4, &mut self.random)
    }

    fn ask_all(&mut self, drive: &Drive, outbox: &mut Outbox) {
        self.ask(drive, |_| true, outbox);
        let own = self.own_port();
        let (step, candidate) = (drive.driver.step(), drive.driver.candidate(own));
        if let Some((answer, changed)) = self.slots.record(drive.slot, step, candidate) {
            outbox.records.extend(changed);
            let (slot, attempt) = (drive.slot, drive.attempt);
            outbox.own.push(Message::Recorded {
                slot,
                attempt,
                asked: step,
                answer,
            });
        }
    }

    fn ask(&self, drive: &Drive, whom: impl Fn(Port) -> bool, outbox: &mut Outbox) {
        let (slot, attempt, step) = (drive.slot, drive.attempt, drive.driver.step());
        for port in (0..self.config.ports())
            .map(Port)
            .filter(|&port| whom(port))
        {
            let candidate = drive.driver.candidate(port);
            outbox.send(
                port,
                Message::Record {
                    slot,
                    attempt,
                    step,
                    candidate,
                },
            );
        }
    }

    pub(super) fn resend(&mut self, now: Micros, outbox: &mut Outbox) {
        let Some(mut drive) = self.drive.take() else {
            return;
        };
        if drive.resend.is_due(now, &mut self.random) {
            self.counters.resends += 1;
            let is_roll_call = drive.resend.attempts() > RESENDS_BEFORE_ROLL_CALL;
            self.ask(
                &drive,
                |port| is_roll_call || !drive.driver.has_answered(port),
                outbox,
            );
        }
        self.drive = Some(drive);
    }

    pub(super) fn take_answer(
        &mut self,
        now: Micros,
        port: Port,
        asked: Step,
        answer: Answer<Value>,
        outbox: &mut Outbox,
    ) {
        let Some(mut drive) = self.drive.take() else {
            return;
        };
        let round = drive.driver.step() / 4;
        match drive.driver.take(port, asked, answer, &mut self.random) {
            Progress::None => {}
            Progress::Decided { value, fast } => {
                let how = if fast {
                    Conclusion::Fast
                } else {
                    Conclusion::Slow { round }
                };
                self.conclude(now, drive.slot, value, how, outbox);
                return;
            }
            progress => {
                self.counters.steps += 1;
                self.counters.rounds += u64::from(drive.driver.step() / 4 > round);
                self.counters.jumps += u64::from(progress == Progress::Jumped);
                drive.resend = self.resend_backoff(now, now.saturating_sub(drive.asked_at));
                drive.asked_at = now;
                self.ask_all(&drive, outbox);
            }
        }
        self.drive = Some(drive);
    }
}
