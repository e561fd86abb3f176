//! The waist: operations go in as data, completions come out as data.
//!
//! Everything above this module decides what is to happen; a driver makes it happen
//! and calls nobody. There is one driver for each thread, and it stays there.
//!
//! # A turn
//!
//! 1. [`submit`](Driver::submit), [`cancel`](Driver::cancel) and [`close`](Driver::close)
//!    *stage* what is wanted: no system call, no failure, no limit.
//! 2. [`enter`](Driver::enter) shows the kernel everything that is staged, sleeps if
//!    asked to, and adds what has completed to the caller's list. In the normal
//!    case that is one system call; if nothing is staged and nothing waits, none.
//! 3. [`reap`](Driver::reap) adds what has completed in the meantime, without a system call.
//!
//! What needs no waiting is answered at once by [`control`](Driver::control).
//!
//! # Who owns the memory
//!
//! An operation names memory by address: buffers, vectors, message headers, socket
//! addresses and their lengths. Whoever submits it keeps all of that alive, unmoved
//! and untouched
//!
//! - until its **last completion**: the one without [`more`](Completion::more), or
//! - until [`take_back`](Driver::take_back) has answered true: it then never reached the kernel.
//!
//! Nothing else ends that duty: not a cancel, not an error of `enter`, not the closing
//! of the descriptor, and not the end of the driver. A driver that is dropped with
//! operations in flight leaves the kernel writing to their memory for a while; whoever
//! does that has to leak the memory.
//!
//! A descriptor that an operation made belongs to whoever receives the completion,
//! also if it was cancelled: a cancel may lose the race.
//!
//! A *provided* buffer, put into a group with [`provide_buffer`](Driver::provide_buffer), belongs to the driver until a
//! completion names it ([`Completion::buffer`]), also one with an error. A completion of a *bundle* names the first of
//! the buffers that its result fills; the others are those that were provided after that one, in order, each
//! filled before the next. What a completion names belongs to whoever receives it, and may be provided anew. A buffer that no
//! completion has named stays the driver's until its end; whoever drops a driver
//! that has operations in flight leaks these, too.
//!
//! # Keys
//!
//! A key names one use of one slot. It may be used again when its last completion
//! has come or it was taken back; the next use of the slot has another generation. A
//! driver keeps a small record for every index up to the highest it has seen, so
//! indices are to be dense. Completions that fit no use in flight are dropped and
//! counted ([`DriverCounters::stale_completions`]).
//!
//! # Order
//!
//! Within a turn the kernel sees what produces ([`Stage::Produce`]) before what waits
//! ([`Stage::Wait`]), each in the order of submission, then cancels, then closes. A
//! receive that is staged before the send that feeds it thus finds its data,
//! instead of arming a poll and being woken by it (measured: 1.15 to 1.47 times as many
//! messages a second). Operations *complete* in any order, also two on one socket:
//! whoever needs an order keeps the second back until the first is done.
//!
//! # Cancelling
//!
//! A cancel concerns exactly one key: slot, generation and all. Cancels are never
//! lost, however many there are. The operation completes in any case, with what
//! really happened: ECANCELED, or its result if it was done, or EINTR if it was
//! interrupted half way. The answer to the cancel itself stays in the driver, and is
//! one of three: found, not found (done already), too late (under way). Cancelling what
//! is still staged works, but [`take_back`](Driver::take_back) is cheaper.
//!
//! # What is never an error
//!
//! | the kernel says | to | then the driver |
//! |---|---|---|
//! | EINVAL | set-up | tries the next rung of the ladder; an error when there is none |
//! | ENOMEM | set-up | waits a little, a few times; then halves the queues; an error at one entry |
//! | EPERM, EACCES, ENOSYS, EMFILE, ENFILE, … | set-up | fails, with the cause and the remedy in the text |
//! | EINTR | enter | goes on: a signal ends no wait |
//! | ETIME | enter | looks at the clock: `enter` never returns before the deadline without a reason |
//! | EAGAIN, ENOMEM | enter | reaps and asks again, more and more slowly; after 20 ms without success it gives the turn back, and [`has_staged`](Driver::has_staged) stays true |
//! | EBUSY | enter | the same: the kernel wants its backlog of completions taken first |
//! | EBADR | enter | fails: completions are lost, the ring cannot be trusted any more |
//! | EEXIST | enter | fails: the caller is not the thread that made the ring |
//! | anything else | enter | fails with it; what was not consumed stays staged |
//! | `SQ_CQ_OVERFLOW` | any time | the next `enter` fetches what did not fit into the queue; nothing is lost, but multishot operations may end |
//! | `SQ_TASKRUN` | any time | the next `enter` makes the system call even if nothing is staged |
//! | −512 … −516 | an operation | hands it on as −EINTR |
//! | any other result | an operation | hands it on as it is |
//! | 0, EALREADY | a cancel | counts it: the operation completes |
//! | ENOENT | a cancel | asks again after a millisecond, as long as the operation has not completed |
//!
//! ECANCELED can come unasked for. ENOBUFS, EINTR and EAGAIN are answers for the layer
//! above: only that knows whether an operation may be repeated. A multishot operation can
//! end at any time, without an error and with a good result: the only sign is the missing `more`.

mod blocking;
mod capabilities;
mod control;
#[cfg(feature = "fault-injection")]
mod faults;
mod operation;
#[cfg(test)]
pub(crate) mod tests;
mod uring;

use std::io;
use std::time::Instant;

#[cfg(test)]
pub(crate) use blocking::IDLE_MAX;
pub(crate) use blocking::Work;
pub(crate) use capabilities::{Capabilities, Config};
pub(crate) use control::{Answer, Control, Name, OptionName, SocketOption, Status};
#[cfg(feature = "fault-injection")]
pub use faults::Faults;
#[cfg(feature = "fault-injection")]
pub(crate) use faults::Faulty as Outside;
pub(crate) use operation::{Address, CURSOR, Descriptor, Operation, Stage};
pub(crate) use uring::Bell;

/// What a worker holds: the driver itself, or the fault shim around it.
#[cfg(not(feature = "fault-injection"))]
pub(crate) use Driver as Outside;

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

/// Takes over a descriptor out of a completion or an [`Answer`], once.
pub(crate) fn own(fd: Descriptor) -> std::os::fd::OwnedFd {
    crate::sys::own(fd)
}

/// Whether `enter` sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Submit, take what is ready, come back.
    No,
    /// Sleep until something completes, the bell rings, or the moment has come;
    /// without a moment: for as long as it takes.
    Until(Option<Instant>),
}

/// What a driver has done since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DriverCounters {
    /// System calls that submitted or waited.
    pub(crate) enters: u64,
    /// Entries that the kernel took: operations, and the driver's own.
    pub(crate) submitted: u64,
    /// Completions that the kernel gave: of operations, and of the driver's own entries.
    pub(crate) completions: u64,
    /// Completions that belong to nothing that is in flight. Always 0, or something is wrong.
    pub(crate) stale_completions: u64,
    /// Times the completion queue had overflowed into the kernel's memory when it was looked at.
    pub(crate) overflows: u64,
    pub(crate) cancels: u64,
    /// Cancels that found their operation done or under way already.
    pub(crate) cancels_too_late: u64,
    pub(crate) bells: u64,
    /// Operations done as plain system calls because the ring lacks them.
    pub(crate) fallbacks: u64,
}

/// The way to the outside.
#[derive(Debug)]
pub(crate) enum Driver {
    Uring(uring::Uring),
}

impl Driver {
    pub(crate) fn new(config: &Config) -> io::Result<Driver> {
        uring::Uring::new(config).map(Driver::Uring)
    }

    pub(crate) fn capabilities(&self) -> &Capabilities {
        match self {
            Driver::Uring(uring) => uring.capabilities(),
        }
    }

    /// Stages an operation. Its memory belongs to the driver until its last
    /// completion, or until [`take_back`](Driver::take_back) returns true.
    #[inline]
    pub(crate) fn submit(&mut self, key: Key, operation: Operation) {
        match self {
            Driver::Uring(uring) => uring.submit(key, operation),
        }
    }

    /// True if the operation was still staged: it will never be submitted and never complete.
    pub(crate) fn take_back(&mut self, key: Key) -> bool {
        match self {
            Driver::Uring(uring) => uring.take_back(key),
        }
    }

    /// Stages the cancelling of the operation submitted under exactly this key. The
    /// operation completes all the same, with what really happened to it.
    pub(crate) fn cancel(&mut self, key: Key) {
        match self {
            Driver::Uring(uring) => uring.cancel(key),
        }
    }

    /// Stages the closing of a descriptor on which nothing is in flight.
    pub(crate) fn close(&mut self, fd: Descriptor) {
        match self {
            Driver::Uring(uring) => uring.close(fd),
        }
    }

    /// Adds what has completed to `completions`, without a system call.
    #[inline]
    pub(crate) fn reap(&mut self, completions: &mut Vec<(Key, Completion)>) {
        match self {
            Driver::Uring(uring) => uring.reap(completions),
        }
    }

    /// Submits all that is staged, sleeps if asked to, and adds what has completed.
    ///
    /// # Errors
    ///
    /// Only what makes the driver useless; see the module's table.
    #[inline]
    pub(crate) fn enter(
        &mut self,
        wait: Wait,
        completions: &mut Vec<(Key, Completion)>,
    ) -> io::Result<()> {
        match self {
            Driver::Uring(uring) => uring.enter(wait, completions),
        }
    }

    /// True if [`enter`](Driver::enter) has something to submit.
    pub(crate) fn has_staged(&self) -> bool {
        match self {
            Driver::Uring(uring) => uring.has_staged(),
        }
    }

    /// How many of the driver's own cancels and closes are in flight.
    pub(crate) fn own_in_flight(&self) -> usize {
        match self {
            Driver::Uring(uring) => uring.own_in_flight(),
        }
    }

    /// Makes memory known to the kernel, once, and answers its number for operations on *fixed* buffers. Its pages are
    /// locked; it must stay allocated while such operations are in flight.
    ///
    /// # Errors
    ///
    /// ENOMEM or EPERM if so much may not be locked; EBUSY the second time.
    pub(crate) fn register_buffer(&mut self, address: Address, length: usize) -> io::Result<u16> {
        match self {
            Driver::Uring(uring) => uring.register_buffer(address, length),
        }
    }

    /// Makes a group of provided buffers with room for `count`, a power of two up to 32768, and
    /// answers its number.
    ///
    /// # Errors
    ///
    /// EINVAL if the kernel knows no such groups, ENOMEM if the memory may not be locked.
    pub(crate) fn add_buffer_group(&mut self, count: u16) -> io::Result<u16> {
        match self {
            Driver::Uring(uring) => uring.add_buffer_group(count),
        }
    }

    /// Lends a buffer to `group`, which has room for it, and answers its place there: see the [module's docs](self).
    #[inline]
    pub(crate) fn provide_buffer(
        &mut self,
        group: u16,
        id: u16,
        address: Address,
        length: u32,
    ) -> u16 {
        match self {
            Driver::Uring(uring) => uring.provide_buffer(group, id, address, length),
        }
    }

    /// How much of a buffer that a completion names was at the kernel's disposal. The kernel may have made it shorter
    /// than what was provided; what a bundle leaves of it is then not filled. `None`: nothing is known of that place any more.
    pub(crate) fn provided_length(&self, group: u16, place: u16, id: u16) -> Option<u32> {
        match self {
            Driver::Uring(uring) => uring.provided_length(group, place, id),
        }
    }

    /// Does at once what never waits.
    pub(crate) fn control(&mut self, control: Control) -> io::Result<Answer> {
        match self {
            Driver::Uring(uring) => uring.control(control),
        }
    }

    /// Hands work that blocks to a thread; at most so many at once as [`Config::work_threads_max`] says.
    ///
    /// # Errors
    ///
    /// If no thread can be started; the work is dropped then.
    pub(crate) fn blocking(&self, work: Work) -> io::Result<()> {
        match self {
            Driver::Uring(uring) => uring.blocking(work),
        }
    }

    /// What wakes this driver from its sleep in [`enter`](Driver::enter).
    pub(crate) fn bell(&self) -> Bell {
        match self {
            Driver::Uring(uring) => uring.bell(),
        }
    }

    pub(crate) fn counters(&self) -> DriverCounters {
        match self {
            Driver::Uring(uring) => uring.counters(),
        }
    }

    /// The clock that deadlines are measured against.
    pub(crate) fn now(&self) -> Instant {
        match self {
            Driver::Uring(uring) => uring.now(),
        }
    }

    /// Ends the driver. Nothing may be in flight; what is staged to be closed is closed.
    pub(crate) fn shutdown(self) {
        match self {
            Driver::Uring(uring) => uring.shutdown(),
        }
    }
}
