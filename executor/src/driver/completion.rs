//! [`Key`] and [`Completion`]: which operation it was, and what came of it.

/// Names one use of one slot: the slot's place in its arena and how often it had
/// been used before. Travels to the kernel and back as `user_data`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// At most [`INDEX_MAX`].
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// The highest [`Key::index`]: four bits of `user_data` tell operations from the driver's own entries.
pub(crate) const INDEX_MAX: u32 = (1 << 28) - 1;

/// What came of an operation: the kernel's answer, a count or a negated errno.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Completion {
    pub(crate) result: i32,
    /// More completions of the same operation follow; the last one comes without.
    pub(crate) more: bool,
    /// The provided buffer that the kernel has taken for it, also when the result is an error.
    pub(crate) buffer: Option<u16>,
}

impl Completion {
    /// The only, or the last, completion of an operation that took no provided buffer.
    pub(crate) fn last(result: i32) -> Completion {
        Completion {
            result,
            more: false,
            buffer: None,
        }
    }
}
