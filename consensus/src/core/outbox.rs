//! What one step wants done, sorted by what it has to wait for.

use std::collections::VecDeque;

use super::{Effect, LogRecord, Message, Port};

/// The effects of one step.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Done at once: questions, which promise nothing.
    pub(super) now: Vec<Effect>,
    /// Written.
    pub(super) records: Vec<LogRecord>,
    /// Done when `records` and all before them are durable: everything that promises or announces.
    pub(super) then: Vec<Effect>,
    /// What the peer tells itself, likewise: its own vote counts no sooner than it would with another peer.
    pub(super) own: Vec<Message>,
}

impl Outbox {
    pub(super) fn send(&mut self, port: Port, message: Message) {
        self.now.push(Effect::Send { port, message });
    }

    pub(super) fn send_then(&mut self, port: Port, message: Message) {
        self.then.push(Effect::Send { port, message });
    }

    fn has_batch(&self) -> bool {
        !(self.records.is_empty() && self.then.is_empty() && self.own.is_empty())
    }
}

/// The batches that are on their way to the disk.
#[derive(Debug, Default)]
pub(super) struct Batches {
    last: u64,
    /// What the peer told itself, with the batch it waits for.
    own: VecDeque<(u64, Message)>,
}

impl Batches {
    /// The effects of a step in the order in which they are to be carried out.
    pub(super) fn seal(&mut self, outbox: Outbox) -> Vec<Effect> {
        let has_batch = outbox.has_batch();
        let mut effects = outbox.now;
        if has_batch {
            self.last += 1;
            self.own
                .extend(outbox.own.into_iter().map(|message| (self.last, message)));
            effects.push(Effect::Persist {
                batch: self.last,
                records: outbox.records,
                then: outbox.then,
            });
        }
        effects
    }

    /// The next thing the peer told itself that may be heard now that `batch` is durable.
    pub(super) fn take_own(&mut self, batch: u64) -> Option<Message> {
        if self.own.front()?.0 > batch {
            return None;
        }
        self.own.pop_front().map(|(_, message)| message)
    }
}
