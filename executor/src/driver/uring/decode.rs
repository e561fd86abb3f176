//! From completion entry to what it means.

use io_uring::cqueue;

use super::user_data::{self, Tag};
use crate::driver::{Completion, Key};

/// A completion entry of the driver's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Cancel(Key, i32),
    Close(i32),
    /// The read of the bell is over.
    Bell,
    Message,
    /// The tag is none of ours.
    Unknown,
}

/// What came of an operation; `None` if the entry is of something else, which [`event`] knows.
#[inline]
pub(super) fn operation(user_data: u64, result: i32, flags: u32) -> Option<(Key, Completion)> {
    let key = user_data::operation(user_data)?;
    let completion = Completion {
        result: interrupted(result),
        more: cqueue::more(flags),
        buffer: cqueue::buffer_select(flags),
    };
    Some((key, completion))
}

/// What an entry says that is no operation's.
pub(super) fn event(user_data: u64, result: i32) -> Event {
    match user_data::unpack(user_data) {
        Some((Tag::Cancel, key)) => Event::Cancel(key, result),
        Some((Tag::Close, _)) => Event::Close(result),
        Some((Tag::Bell, _)) => Event::Bell,
        Some((Tag::Message, _)) => Event::Message,
        Some((Tag::Operation, _)) | None => Event::Unknown,
    }
}

/// −512…−516 are the kernel's private notes to restart a system call. Some requests
/// that are cancelled while a kernel thread runs them (splice, on every kernel so
/// far) let them through: they mean what EINTR says in public.
#[inline]
fn interrupted(result: i32) -> i32 {
    if (-516..=-512).contains(&result) {
        -libc::EINTR
    } else {
        result
    }
}
