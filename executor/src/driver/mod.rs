//! The waist: operations go in as data, completions come out as data.
//!
//! Everything above this module decides what is to happen; a driver makes it happen
//! and calls nobody. There is one driver for each thread, and it stays there.
//!
//! - [`uring`]: every operation is an entry of the ring, and the kernel completes it;
//! - [`epoll`]: every operation is a call that does not wait, tried when its descriptor is ready, or made by a thread
//!   where it would wait for a disk;
//! - [`sim`]: nothing is real; what happens, and when, is drawn from a seed.
//!
//! This text is the contract that each of them keeps. `tests` tries it on whichever driver the process
//! tests, and every program of tests in this repository runs on all of them.
//!
//! # A turn
//!
//! 1. [`submit`](Driver::submit), [`cancel`](Driver::cancel) and [`close`](Driver::close)
//!    *stage* what is wanted: no system call, no failure, no limit.
//! 2. [`enter`](Driver::enter) begins everything that is staged, sleeps if
//!    asked to, and adds what has completed to the caller's list. On a ring that is one system call in the normal
//!    case; if nothing is staged and nothing waits, none.
//! 3. [`reap`](Driver::reap) adds what has completed in the meantime, without a system call.
//!
//! An operation may be offered to [`try_at_once`](Driver::try_at_once) instead of being submitted, if it is of those that
//! [`AtOnce`] names. A driver that makes the call, and needs no waiting for it, answers with the result: nothing of it remains with the
//! driver. It overtakes what is staged, but no other operation on the same direction of the same stream: whoever offers it has
//! none under way.
//!
//! `enter` sleeps only if nothing has completed, and until something does, the bell rings, or the moment has come: never
//! less, whatever signals come. What needs no waiting is answered at once by [`control`](Driver::control).
//!
//! # Who owns the memory
//!
//! An operation names memory by address: buffers, vectors, message headers, socket
//! addresses and their lengths. Whoever submits it keeps all of that alive, unmoved
//! and untouched
//!
//! - until its **last completion**: the one without [`more`](Completion::more), or
//! - until [`take_back`](Driver::take_back) has answered true: it then never left the driver.
//!
//! Nothing else ends that duty: not a cancel, not an error of `enter`, not the closing
//! of the descriptor, and not the end of the driver. A driver that is dropped with
//! operations in flight leaves the kernel, or a thread, writing to their memory for a while; whoever
//! does that has to leak the memory. A driver never touches the memory of an operation whose last completion it has handed out.
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
//! Within a turn what produces ([`Stage::Produce`]) begins before what waits
//! ([`Stage::Wait`]), each in the order of submission, then cancels, then closes. A
//! receive that is staged before the send that feeds it thus finds its data,
//! instead of arming a poll and being woken by it (measured on the ring: 1.22 to 1.26 times as many
//! messages a second on Unix sockets and through pipes). On TCP, whose peers are elsewhere, receives keep their order: see [`Stage`]. Operations *complete* in any order, also two on one socket:
//! whoever needs an order keeps the second back until the first is done.
//!
//! # Results
//!
//! A completion's result is a count, a descriptor, or a negated errno, and means the same whichever driver it comes from:
//!
//! - Whether a descriptor is `O_NONBLOCK` makes no difference: what would block waits. Only `MSG_DONTWAIT` in the operation
//!   itself is answered with EAGAIN. Flags of descriptors from outside stay as they are.
//! - A receive, a send, a read or write at the cursor is over as soon as it has moved something. A read or write of a
//!   file at an offset is short only at the end of the file, or of the disk.
//! - A connect is over when it is decided, also if the queue of a Unix listener is full. A receive is over when its
//!   socket was shut down for reading.
//! - A poll completes with the events that are there, out of those that were asked for, errors and hang-ups; what can always
//!   be read and written, such as a file, is always ready.
//!
//! # Multishot
//!
//! An operation that completes many times has ended with the completion without `more`, and with nothing else. It
//! can end at any time, without an error and with a good result: with the end of its stream (0), for want of buffers (ENOBUFS), with an
//! error, because it was cancelled, or for no reason that anybody could see.
//!
//! # Cancelling
//!
//! A cancel concerns exactly one key: slot, generation and all. Cancels are never
//! lost, however many there are. The operation completes in any case, with what
//! really happened: ECANCELED, or its result if it was done, or EINTR if it was
//! interrupted half way. What an accept has found before it learns of its cancel is handed out before its end. The answer
//! to the cancel itself stays in the driver, and is
//! one of three: found, not found (done already), too late (under way: a thread is at it). Cancelling what
//! is still staged works, but [`take_back`](Driver::take_back) is cheaper.
//!
//! # What is never an error
//!
//! Of any driver: EINTR ends no wait; ECANCELED can come unasked for; ENOBUFS, EINTR and EAGAIN of an operation are answers for the layer
//! above, because only that knows whether an operation may be repeated. If no driver can be made, the error
//! says for each of them why, and what to do about it: `refusal` asks the system, `examination` tries both without running on them.
//!
//! Of a ring:
//!
//! | the kernel says | to | then the driver |
//! |---|---|---|
//! | EINVAL | set-up | tries the next rung of the ladder; refuses when there is none |
//! | ENOMEM | set-up | waits a little, a few times; then halves the queues; refuses at one entry |
//! | EPERM, EACCES, ENOSYS, EMFILE, ENFILE, … | set-up, or the first enter, which only tries the ring out | refuses; [`Driver::new`] goes on with epoll unless a ring was demanded |
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
//! Of epoll:
//!
//! | the kernel says | to | then the driver |
//! |---|---|---|
//! | EAGAIN | an attempt | waits for the descriptor to become ready |
//! | EOPNOTSUPP | an attempt that is told not to wait | goes another way: see [`epoll`] |
//! | EINPROGRESS | a connect | waits until the socket is writable, and asks once more |
//! | EAGAIN | a connect to a Unix socket | tries again after 1 ms, then 2, up to 16 |
//! | EPERM | watching a descriptor | knows that it is always ready, and that calls may wait for a disk |
//! | EEXIST, ENOENT | watching a descriptor | asks the other way round: its number was used before |
//! | EINTR | waiting | goes on |
//! | ENOSYS | `epoll_pwait2` | waits in whole milliseconds, rounded up |
//! | EAGAIN | starting a thread | makes the call itself, with a warning |
//! | anything else | waiting | fails with it |

mod address;
mod again;
mod at_once;
mod bell;
mod blocking;
mod calls;
mod capabilities;
mod choice;
mod completion;
mod control;
mod counters;
mod epoll;
mod examination;
#[cfg(feature = "fault-injection")]
mod faults;
mod groups;
mod operation;
mod refusal;
mod signal;
pub(crate) mod sim;
mod staging;
mod system;
#[cfg(test)]
pub(crate) mod tests;
mod time;
pub(crate) mod tree;
mod uring;

use std::io;

use crate::random::Random;

pub(crate) use address::RawAddress;
pub(crate) use at_once::AtOnce;
pub(crate) use bell::Bell;
#[cfg(test)]
pub(crate) use blocking::IDLE_MAX;
pub(crate) use blocking::{Queue, Work};
pub(crate) use capabilities::{Capabilities, Config};
pub(crate) use choice::{Choice, seed_of_environment};
pub(crate) use completion::{Completion, INDEX_MAX, Key};
pub(crate) use control::{Answer, Control, Name, OptionName, SocketOption, Status};
pub(crate) use counters::DriverCounters;
pub use examination::Ability;
pub(crate) use examination::{Examination, Found};
#[cfg(feature = "fault-injection")]
pub use faults::Faults;
#[cfg(feature = "fault-injection")]
pub(crate) use faults::Faulty as Outside;
pub(crate) use operation::{Address, CURSOR, Descriptor, Operation, Stage};
pub use refusal::{Cause, Refusal};
pub(crate) use refusal::{Container, Facts, Seccomp};
pub(crate) use signal::SignalWatch;
pub use system::Limit;
pub(crate) use system::{System, field};
use time::time_left;
pub(crate) use time::{TimeSource, Wait};
pub(crate) use uring::Rung;
#[cfg(test)]
pub(crate) use uring::made_up;

pub(crate) use crate::sys::{OwnedDescriptor, affinity, monotonic_nanos, own, set_affinity};

/// What a worker holds: the driver itself, or the fault shim around it.
#[cfg(not(feature = "fault-injection"))]
pub(crate) use Driver as Outside;

/// True in a child of the process that made the drivers: they are not the child's.
#[inline]
pub(crate) fn has_forked() -> bool {
    crate::sys::has_forked()
}

/// The driver on epoll, or why there is none, and what to do about it.
fn new_epoll(config: &Config) -> io::Result<epoll::Epoll> {
    epoll::Epoll::new(config).map_err(|error| {
        let advice = match error.raw_os_error() {
            Some(libc::EMFILE) => {
                "; the process has too many open descriptors: raise RLIMIT_NOFILE (ulimit -n)"
            }
            Some(libc::ENFILE) => {
                "; the system has too many open files: raise the sysctl fs.file-max"
            }
            _ => "",
        };
        let text = format!("cannot set up epoll: {error}{advice}");
        io::Error::new(error.kind(), text)
    })
}

/// The way to the outside.
#[derive(Debug)]
pub(crate) enum Driver {
    Uring(uring::Uring),
    Epoll(epoll::Epoll),
    Sim(sim::Sim),
}

/// The same, whichever driver it is.
macro_rules! whichever {
    ($driver:expr, $name:ident => $call:expr) => {
        match $driver {
            Driver::Uring($name) => $call,
            Driver::Epoll($name) => $call,
            Driver::Sim($name) => $call,
        }
    };
}

impl Driver {
    /// The driver that `config` and the environment choose. If they leave it open, it is io_uring, or, whatever may be the
    /// reason that there can be no ring, epoll: that is said once.
    ///
    /// # Errors
    ///
    /// Why the one that was chosen, or neither, could be made.
    pub(crate) fn new(config: &Config) -> io::Result<Driver> {
        crate::sys::watch_for_forks();
        let choice = config.choice.resolve()?;
        match choice {
            Choice::Epoll => return new_epoll(config).map(Driver::Epoll),
            Choice::Sim => return Ok(Driver::Sim(sim::Sim::new(config))),
            Choice::Auto | Choice::Uring => {}
        }
        let refusal = match uring::Uring::new(config) {
            Ok(uring) => return Ok(Driver::Uring(uring)),
            Err(refusal) if choice == Choice::Uring => return Err(refusal.into()),
            Err(refusal) => refusal,
        };
        let epoll = new_epoll(config)
            .map_err(|error| io::Error::new(error.kind(), format!("{error}. {refusal}")))?;
        choice::tell(&refusal);
        Ok(Driver::Epoll(epoll.instead_of(refusal)))
    }

    /// Which one it is; never [`Choice::Auto`].
    pub(crate) fn choice(&self) -> Choice {
        match self {
            Driver::Uring(_) => Choice::Uring,
            Driver::Epoll(_) => Choice::Epoll,
            Driver::Sim(_) => Choice::Sim,
        }
    }

    /// Why there is no ring, if one was wanted.
    pub(crate) fn refusal(&self) -> Option<&Refusal> {
        match self {
            Driver::Uring(_) | Driver::Sim(_) => None,
            Driver::Epoll(epoll) => epoll.refusal(),
        }
    }

    /// Whether something has completed, as far as can be seen without a system call.
    #[inline]
    pub(crate) fn has_news(&mut self) -> bool {
        match self {
            Driver::Uring(driver) => driver.has_news(),
            Driver::Epoll(_) | Driver::Sim(_) => false,
        }
    }

    pub(crate) fn capabilities(&self) -> &Capabilities {
        whichever!(self, driver => driver.capabilities())
    }

    /// Stages an operation. Its memory belongs to the driver until its last
    /// completion, or until [`take_back`](Driver::take_back) returns true.
    #[inline]
    pub(crate) fn submit(&mut self, key: Key, operation: Operation) {
        whichever!(self, driver => driver.submit(key, operation))
    }

    /// What is worth offering to [`try_at_once`](Driver::try_at_once).
    #[inline]
    pub(crate) fn tries_at_once(&self) -> AtOnce {
        AtOnce {
            transfers: matches!(self, Driver::Epoll(_)),
            cached_reads: !matches!(self, Driver::Sim(_)),
        }
    }

    /// Does what needs no waiting, and of a stream has no other before it, instead of
    /// [`submit`](Driver::submit): the result. `None`: it is to be submitted.
    #[inline]
    pub(crate) fn try_at_once(&mut self, operation: &Operation) -> Option<i32> {
        match self {
            Driver::Uring(uring) => uring.try_at_once(operation),
            Driver::Epoll(epoll) => epoll.try_at_once(operation),
            Driver::Sim(_) => None,
        }
    }

    /// True if the operation was still staged: it will never be submitted and never complete.
    pub(crate) fn take_back(&mut self, key: Key) -> bool {
        whichever!(self, driver => driver.take_back(key))
    }

    /// Stages the cancelling of the operation submitted under exactly this key. The
    /// operation completes all the same, with what really happened to it.
    pub(crate) fn cancel(&mut self, key: Key) {
        whichever!(self, driver => driver.cancel(key))
    }

    /// Stages the closing of a descriptor on which nothing is in flight.
    pub(crate) fn close(&mut self, fd: Descriptor) {
        whichever!(self, driver => driver.close(fd))
    }

    /// Adds what has completed to `completions`, without a system call.
    #[inline]
    pub(crate) fn reap(&mut self, completions: &mut Vec<(Key, Completion)>) {
        whichever!(self, driver => driver.reap(completions))
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
        whichever!(self, driver => driver.enter(wait, completions))
    }

    /// True if [`enter`](Driver::enter) has something to submit.
    pub(crate) fn has_staged(&self) -> bool {
        whichever!(self, driver => driver.has_staged())
    }

    /// How many of the driver's own cancels and closes are in flight.
    pub(crate) fn own_in_flight(&self) -> usize {
        whichever!(self, driver => driver.own_in_flight())
    }

    /// Makes memory known to the kernel, once, and answers its number for operations on *fixed* buffers. Its pages are
    /// locked; it must stay allocated while such operations are in flight.
    ///
    /// # Errors
    ///
    /// ENOMEM or EPERM if so much may not be locked; EBUSY the second time.
    pub(crate) fn register_buffer(&mut self, address: Address, length: usize) -> io::Result<u16> {
        whichever!(self, driver => driver.register_buffer(address, length))
    }

    /// Makes a group of provided buffers with room for `count`, a power of two up to 32768, and
    /// answers its number.
    ///
    /// # Errors
    ///
    /// EINVAL if the kernel knows no such groups, ENOMEM if the memory may not be locked.
    pub(crate) fn add_buffer_group(&mut self, count: u16) -> io::Result<u16> {
        whichever!(self, driver => driver.add_buffer_group(count))
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
        whichever!(self, driver => driver.provide_buffer(group, id, address, length))
    }

    /// How much of a buffer that a completion names was at the kernel's disposal. The kernel may have made it shorter
    /// than what was provided; what a bundle leaves of it is then not filled. `None`: nothing is known of that place any more.
    pub(crate) fn provided_length(&self, group: u16, place: u16, id: u16) -> Option<u32> {
        whichever!(self, driver => driver.provided_length(group, place, id))
    }

    /// Does at once what never waits.
    pub(crate) fn control(&mut self, control: Control) -> io::Result<Answer> {
        whichever!(self, driver => driver.control(control))
    }

    /// Begins to watch for a signal of the process, or of the simulated host.
    ///
    /// # Errors
    ///
    /// EINVAL for one that cannot be caught; if there are too many descriptors.
    pub(crate) fn watch_signal(&mut self, signal: i32) -> io::Result<SignalWatch> {
        match self {
            Driver::Uring(_) | Driver::Epoll(_) => SignalWatch::of_process(signal),
            Driver::Sim(sim) => Ok(sim.watch_signal(signal)),
        }
    }

    /// Hands work that blocks to a thread; at most so many at once as [`Config::pool`] says.
    ///
    /// # Errors
    ///
    /// If no thread can be started, or too much work waits for one (`WouldBlock`); the work is dropped then.
    pub(crate) fn blocking(&self, work: Work) -> io::Result<()> {
        whichever!(self, driver => driver.blocking(work))
    }

    /// What wakes this driver from its sleep in [`enter`](Driver::enter).
    pub(crate) fn bell(&self) -> Bell {
        whichever!(self, driver => driver.bell())
    }

    pub(crate) fn counters(&self) -> DriverCounters {
        whichever!(self, driver => driver.counters())
    }

    /// Makes the next attempt of [`enter`](Driver::enter) for which nothing is planned yet fail with `errno`; 0 lets it
    /// through.
    #[cfg(any(test, feature = "fault-injection"))]
    pub(crate) fn fail_enter(&mut self, errno: i32) {
        whichever!(self, driver => driver.fail_enter(errno));
    }

    /// Work whose moment has come, of a driver without threads: whoever asks does it.
    pub(crate) fn due_work(&mut self) -> Option<Box<dyn FnOnce()>> {
        match self {
            Driver::Uring(_) | Driver::Epoll(_) => None,
            Driver::Sim(sim) => sim.due_work(),
        }
    }

    /// The clock that deadlines are measured against.
    pub(crate) fn time_source(&self) -> TimeSource {
        match self {
            Driver::Uring(_) | Driver::Epoll(_) => TimeSource::System,
            Driver::Sim(sim) => sim.time_source(),
        }
    }

    /// What draws the order of tasks, if it is to be drawn.
    pub(crate) fn order_of_tasks(&self) -> Option<Random> {
        match self {
            Driver::Uring(_) | Driver::Epoll(_) => None,
            Driver::Sim(sim) => sim.order_of_tasks(),
        }
    }

    /// Ends the driver. Nothing may be in flight; what is staged to be closed is closed.
    pub(crate) fn shutdown(self) {
        whichever!(self, driver => driver.shutdown())
    }
}
