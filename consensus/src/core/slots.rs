//! Registers and decisions, slot by slot.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::choir;
use super::decree::{Answer, Candidate, FIRST_STEP, Register, Step};
use super::{LogRecord, Slot, Value};

/// What a peer knows of every slot.
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// Slots that are not decided.
    registers: BTreeMap<Slot, Register<Value>>,
    decisions: BTreeMap<Slot, Value>,
    /// The first slot without a decision.
    next: Slot,
}

impl Slots {
    /// Puts back what the log held. Slots from `end` on are of another, longer word.
    pub(super) fn replay(&mut self, record: LogRecord, end: Slot) {
        match record {
            LogRecord::Registered { slot, register } if slot < end => {
                if !self.decisions.contains_key(&slot) {
                    self.registers.insert(slot, register);
                }
            }
            LogRecord::Decided { slot, value } if slot < end && choir::fits(slot, &value) => {
                self.decide(slot, value);
            }
            LogRecord::Claimed(_) | LogRecord::Registered { .. } | LogRecord::Decided { .. } => {}
        }
    }

    /// The first slot without a decision.
    pub(super) fn next(&self) -> Slot {
        self.next
    }

    pub(super) fn decision(&self, slot: Slot) -> Option<&Value> {
        self.decisions.get(&slot)
    }

    /// Whether a decision is known beyond the first slot that has none.
    pub(super) fn has_gap(&self) -> bool {
        self.decisions
            .last_key_value()
            .is_some_and(|(&slot, _)| slot > self.next)
    }

    /// Known decisions from `slot` on, in order.
    pub(super) fn decisions_from(&self, slot: Slot) -> impl Iterator<Item = (Slot, &Value)> {
        self.decisions
            .range(slot..)
            .map(|(&slot, value)| (slot, value))
    }

    /// Takes a decision. `false`: it was known.
    pub(super) fn decide(&mut self, slot: Slot, value: Value) -> bool {
        if let Some(known) = self.decisions.get(&slot) {
            assert_eq!(known, &value, "slot {slot} was decided twice, differently");
            return false;
        }
        self.registers.remove(&slot);
        self.decisions.insert(slot, value);
        while self.decisions.contains_key(&self.next) {
            self.next += 1;
        }
        true
    }

    /// Records a candidate: the register's answer, and what must be durable before it leaves, if the register changed.
    /// `None`: there is no register any more, the slot is decided; or no driver sends such a step.
    pub(super) fn record(
        &mut self,
        slot: Slot,
        step: Step,
        candidate: Candidate<Value>,
    ) -> Option<(Answer<Value>, Option<LogRecord>)> {
        if step < FIRST_STEP || self.decisions.contains_key(&slot) {
            return None;
        }
        let (register, is_changed) = match self.registers.entry(slot) {
            Entry::Vacant(vacant) => (vacant.insert(Register::new(step, candidate)), true),
            Entry::Occupied(occupied) => {
                let register = occupied.into_mut();
                let is_changed = register.record(step, candidate);
                (register, is_changed)
            }
        };
        let answer = register.answer();
        let changed = is_changed.then(|| LogRecord::Registered {
            slot,
            register: register.clone(),
        });
        Some((answer, changed))
    }
}
