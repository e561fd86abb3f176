//! What the slots of a core hold, for a dump.

use std::time::Duration;

use super::slot::{Attachment, Owner, Slot, State, Watcher};
use super::slots::Slots;
use crate::observe::{OperationEntry, OperationOwner, OperationState};

impl Slots {
    /// Every operation that has a slot; `descriptor` knows whose source it works for. Runs no code of the user.
    pub(crate) fn report(
        &self,
        descriptor: impl Fn(Attachment) -> Option<i32>,
    ) -> Vec<OperationEntry> {
        let mut entries = Vec::new();
        self.each(|_, slot| {
            entries.push(OperationEntry {
                kind: slot.kind.get(),
                descriptor: slot.attachment.get().and_then(&descriptor),
                age: Duration::from_nanos(self.age(slot)),
                state: state(slot),
                owner: owner(slot),
            });
        });
        entries
    }
}

fn state(slot: &Slot) -> OperationState {
    match slot.state.get() {
        State::Done => OperationState::Ended,
        _ if slot.cancel_asked.get() => OperationState::Cancelling,
        State::Free | State::Submitted | State::SubmittedAgain => OperationState::InFlight,
    }
}

fn owner(slot: &Slot) -> OperationOwner {
    match slot.owner.get() {
        Owner::Source => return OperationOwner::Source,
        Owner::Nobody => return OperationOwner::Nobody,
        Owner::Future => {}
    }
    let watcher = slot.watcher.replace(Watcher::NOBODY);
    let spawned_at = match &watcher {
        Watcher::Here(waiter) => waiter.spawned_at(),
        Watcher::Elsewhere(_) => None,
    };
    // Nothing was dropped: what is there now is nobody.
    slot.watcher.set(watcher);
    spawned_at.map_or(OperationOwner::Future, OperationOwner::Task)
}
