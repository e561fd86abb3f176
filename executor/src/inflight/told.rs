//! What subscribers of `tracing` are told of the operations of a core.

use super::slots::Slots;
use crate::cores::quietly;
use crate::driver::Key;
use crate::observe;

#[cfg(feature = "console")]
use crate::{context, cores::CoreId, observe::AsyncOperation};

impl Slots {
    /// An operation was handed to the driver. Runs code of the user.
    #[cold]
    pub(super) fn tell_begin(&self, key: Key) {
        let Some(kind) = self.kind(key) else {
            return;
        };
        quietly(|| observe::operation_begins(kind, key.index));
        #[cfg(feature = "console")]
        quietly(|| {
            let attachment = self.attachment(key);
            let source = attachment.map(|source| (source.index, source.generation));
            let begin = |core: &context::Core| core.console.begin(name(key), source, kind.name());
            context::with(begin);
        });
    }
}

/// The slot is free again. Runs code of the user.
#[cfg(feature = "console")]
pub(super) fn tell_end(key: Key) {
    quietly(|| _ = context::with(|core| core.console.end(name(key))));
}

/// What is told of an operation, if it lives on the current core.
#[cfg(feature = "console")]
pub(super) fn told(home: CoreId, key: Key) -> Option<AsyncOperation> {
    let told = context::with(|core| (core.id == home).then(|| core.console.operation(name(key))));
    told.flatten().flatten()
}

#[cfg(feature = "console")]
fn name(key: Key) -> observe::Name {
    (key.index, key.generation)
}
