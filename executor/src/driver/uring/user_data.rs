//! What travels to the kernel and back: `tag (4 bits) | index (28) | generation (32)`.

use crate::driver::{INDEX_MAX, Key};

/// Whose entry it is. Zero is nobody's, so that an unset `user_data` is found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    Operation = 1,
    Cancel = 2,
    Close = 3,
    Bell = 4,
    Message = 5,
}

const INDEX_BITS: u32 = 28;
const GENERATION_BITS: u32 = 32;
const _: () = assert!(INDEX_MAX == (1 << INDEX_BITS) - 1);

/// The `user_data` of nobody: no entry with it is ever shown to the kernel.
pub(super) const GAP: u64 = 0;
/// The `user_data` of the bell's read, which has no key.
pub(super) const BELL: u64 = (Tag::Bell as u64) << (INDEX_BITS + GENERATION_BITS);
/// The `user_data` of the message that rings the bell.
pub(super) const MESSAGE: u64 = (Tag::Message as u64) << (INDEX_BITS + GENERATION_BITS);
/// The `user_data` of closes that nobody waits for.
pub(super) const CLOSE: u64 = (Tag::Close as u64) << (INDEX_BITS + GENERATION_BITS);

pub(super) fn pack(tag: Tag, key: Key) -> u64 {
    debug_assert!(
        key.index <= INDEX_MAX,
        "{key:?} does not fit into user_data"
    );
    (tag as u64) << (INDEX_BITS + GENERATION_BITS)
        | u64::from(key.index) << GENERATION_BITS
        | u64::from(key.generation)
}

/// Whose operation it is; `None` if it is anything else.
#[inline]
pub(super) fn operation(user_data: u64) -> Option<Key> {
    let is_operation = user_data >> (INDEX_BITS + GENERATION_BITS) == Tag::Operation as u64;
    is_operation.then(|| key(user_data))
}

fn key(user_data: u64) -> Key {
    Key {
        index: (user_data >> GENERATION_BITS) as u32 & INDEX_MAX,
        generation: user_data as u32,
    }
}

/// `None` if the tag is none of ours.
pub(super) fn unpack(user_data: u64) -> Option<(Tag, Key)> {
    let tag = match user_data >> (INDEX_BITS + GENERATION_BITS) {
        1 => Tag::Operation,
        2 => Tag::Cancel,
        3 => Tag::Close,
        4 => Tag::Bell,
        5 => Tag::Message,
        _ => return None,
    };
    Some((tag, key(user_data)))
}
