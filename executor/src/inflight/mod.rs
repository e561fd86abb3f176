//! The life of an operation: who waits, who owns the memory, what happens on drop.
//!
//! An operation is moved into a slot at its first poll and stays there until its last
//! completion; the future keeps only the [`Key`].
//!
//! ```text
//!            start                    completion                take, abandon
//!   Free ------------> Submitted ------------------> Done ------------------> Free
//!                       |    ^  |                                              ^
//!                       |    +--+ goes in again: short, interrupted            |
//!                       +------------------------------------------------------+
//!                        taken back from the driver's staging list; or the last
//!                        completion of an operation that its future has left
//! ```
//!
//! `Submitted` covers two cases that only the driver tells apart: *staged* (in a list
//! of this turn; the kernel has not seen it) and *in flight*.
//!
//! A third thing is that what moves bytes and needs no waiting is over *before* it would have been staged
//! ([`try_at_once`]): reads of files that the kernel has in its cache, and without a ring what streams move. It never enters a slot, and its future is ready at its first poll. If only a part of
//! it was done, it is staged as one that has begun.
//!
//! # The future is dropped (also by `abort`, `timeout` and `select!`)
//!
//! The rule is [`Op::orphaned`]; each row is checked by the test of its name.
//!
//! | state | event | what the operation is | then | test |
//! |---|---|---|---|---|
//! | never polled | drop | any | nothing happened; what it owned is dropped | `life_never_polled_drop` |
//! | staged | drop | any that has not begun | taken out of the list, never submitted | `life_staged_drop` |
//! | staged | drop | rest of what was begun before it was staged | goes on, as in flight | `life_begun_at_once_drop` |
//! | staged again | drop | rest of a write that has begun, or what was interrupted | goes on, as in flight | `life_staged_continuation_drop` |
//! | in flight | drop | accept | the listener keeps the connection for the next accept | `life_in_flight_drop_accept` |
//! | in flight | drop | receive ahead, for `recv` | belongs to the stream: goes on, what arrives goes to the next read | `life_in_flight_drop_recv` |
//! | in flight | drop | read of a stream or pipe | adopted: the bytes go to the next read | `life_in_flight_drop_read` |
//! | in flight | drop | receive of a datagram | adopted: the datagram, whole and with its sender, goes to the next receive | `life_in_flight_drop_receive_of_a_datagram` |
//! | in flight | drop | send of a datagram | goes out whole; its error is dropped | `life_in_flight_drop_send_of_a_datagram` |
//! | in flight | drop | write to a stream or pipe | sent whole, in order; its error surfaces at the next write, flush or shutdown | `life_in_flight_drop_write` |
//! | in flight | drop | change of a file (write, sync, set length) | goes on; the file tracks it: what touches the same waits, its error surfaces there | `life_in_flight_drop_change` |
//! | in flight | drop | makes a descriptor (socket, connect, open) | cancelled; if it succeeded all the same, closed | `life_in_flight_drop_descriptor` |
//! | in flight | drop | result does not matter (nop, poll, peek, read or status of a file) | cancelled; memory stays until the last completion | `life_in_flight_drop_no_matter` |
//! | done, unread | drop | by the row above that fits | queued, closed or dropped | `life_done_drop` |
//! | any | timeout | any | as drop | `life_any_timeout` |
//! | any | cancel | any | resolves with what really happened, and the buffer | `life_any_cancel` |
//! | any | abort | any | as drop, before the join handle resolves | `life_any_abort` |
//! | any | close | attached to the closed source | receives cancelled, sends drain for the linger time, then cancelled; everything on a file ends by itself | `life_any_close` |
//! | any | shutdown | any | cancelled; freed after its last completion, or leaked at the deadline, never freed before | `life_any_shutdown` |
//! | never started | foreign core | any use of a handle | error naming both cores, the buffer comes back | `life_never_started_foreign_core` |
//! | started | foreign core | any | waits there; result and waker travel by letter | `life_started_foreign_core` |
//! | started | foreign core, drop | any | as drop, at home | `life_started_foreign_core_drop` |
//! | started | after the runtime's end | any | resolves with what came of it, and the buffer | `life_started_after_end` |
//!
//! # A completion arrives
//!
//! | completion | then | test |
//! |---|---|---|
//! | more to come | to the source's queue | `life_completion_more` |
//! | last, owner is the future | done; its task becomes ready | `life_completion_future` |
//! | last, owner is the source | to the source's queue, its waiter becomes ready; free | `life_completion_source` |
//! | last, owner is nobody | the result is disposed of; free | `life_completion_nobody` |
//! | `ECANCELED` that nobody asked for | submitted again where that does no harm, else reported | `life_completion_unasked_cancel` |
//! | short or interrupted | goes in again | `life_completion_short` |
//!
//! # Who owns the memory
//!
//! The slot, from the first poll to the last completion, on every path: a dropped,
//! leaked or moved future never takes memory with it that the kernel may still write
//! to. A result that a future still owns when its core ends is kept in [`afterlife`].

mod afterlife;
mod cancel;
mod datagram;
mod delivery;
mod erased;
mod finished;
mod foreign;
mod op;
mod pending;
mod perform;
mod report;
mod slot;
mod slots;
#[cfg(test)]
mod tests;
mod told;

use std::rc::Rc;

pub(crate) use cancel::{CancelScope, cancelled_error, is_cancelled};
pub(crate) use datagram::Datagram;
pub(crate) use delivery::{Abandoned, Delivery};
pub(crate) use finished::Finished;
pub(crate) use op::{Op, Orphan, Step};
pub(crate) use pending::{InFlight, Ticket, outside_error, stopping_error, try_at_once};
pub(crate) use perform::{perform, submit};
pub(crate) use slot::{Attachment, Role};
pub(crate) use slots::Slots;

use crate::context::Current;
use crate::driver::Key;
use erased::Erased;

thread_local! {
    static SLOTS: Current<Slots> = const { Current::none() };
}

/// Calls `f` with the slots of the core this thread is running; `None` outside a runtime.
#[inline]
pub(crate) fn with<R>(f: impl FnOnce(&Slots) -> R) -> Option<R> {
    SLOTS.with(|current| current.with(f))
}

/// The slots of the core this thread is running, for whoever asks them several things.
#[inline]
pub(crate) fn current() -> Option<Rc<Slots>> {
    SLOTS.with(Current::get)
}

/// Makes `slots` current on this thread and returns those before.
pub(crate) fn replace(slots: Option<Rc<Slots>>) -> Option<Rc<Slots>> {
    SLOTS.with(|current| current.replace(slots))
}

/// Starts an operation whose results all go to the source it is attached to.
pub(crate) fn start_for_source<T: Op>(op: T, attachment: Attachment) -> Option<Key> {
    with(|slots| slots.start(Erased::new(op), Some(attachment), true))
}

/// Keeps every result that a future still owns, now that the core ends.
pub(crate) fn keep_results(slots: &Slots) {
    for (key, finished) in slots.drain_ended() {
        afterlife::keep(slots.home(), key, finished);
    }
    slots.tell_leaked();
}
