//! (in work: the contract) The waist: operations go in as data, completions come out as data.

mod operation;

pub(crate) use operation::{Address, CURSOR, Descriptor, Operation, Stage};

/// Names one use of one slot: the slot's place in its arena and how often it had
/// been used before. Travels to the kernel and back as `user_data`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// Below 2^28: four bits of `user_data` tell operations from the driver's own entries.
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// What came of an operation: the kernel's answer, a count or a negated errno.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Completion {
    pub(crate) result: i32,
    /// More completions of the same operation follow; the last one comes without.
    pub(crate) more: bool,
}
