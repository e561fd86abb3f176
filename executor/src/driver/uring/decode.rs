//! From completion entry to what it means.

use io_uring::cqueue;

use super::user_data::{self, Tag};
use crate::driver::{Completion, Key};

/// One completion entry, understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Operation(Key, Completion),
    Cancel(Key, i32),
    Close(i32),
    /// The read of the bell is over.
    Bell,
    Message,
    /// The tag is none of ours.
    Unknown,
}

#[inline]
pub(super) fn event(user_data: u64, result: i32, flags: u32) -> Event {
    let Some((tag, key)) = user_data::unpack(user_data) else {
        return Event::Unknown;
    };
    match tag {
        Tag::Operation => {
            let result = interrupted(result);
            let completion = Completion {
                result,
                more: cqueue::more(flags),
                buffer: cqueue::buffer_select(flags),
            };
            Event::Operation(key, completion)
        }
        Tag::Cancel => Event::Cancel(key, result),
        Tag::Close => Event::Close(result),
        Tag::Bell => Event::Bell,
        Tag::Message => Event::Message,
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
