//! The driver on epoll: readiness instead of completion, with the same results.
//!
//! It is what runs where io_uring is missing or forbidden, and what io_uring is measured against. So it is written as well as a
//! readiness loop can be: an operation is tried first, with a call that does not wait; only if there is nothing
//! to do yet, its descriptor is watched, once and for good (edge-triggered), and the operation is tried again when an edge comes.
//!
//! - `course`: which way each kind of operation takes;
//! - `begin`: how it begins;
//! - `at_once`: which operations are tried before they are staged;
//! - `attempt`: one try, and how calls are kept from waiting;
//! - `descriptors`: what is known of each descriptor, and the kernel's set that watches them;
//! - `waiting`: the operations that are under way, in their queues;
//! - `turn`: one turn: begin, wait, go on;
//! - `in_pool`, `errands`, `handover`: what only a thread can do, because it waits for a disk;
//! - `groups`: provided buffers.
//!
//! # How calls are kept from waiting
//!
//! Flags of descriptors that came from outside are never changed: others may share them.
//!
//! | descriptor | how |
//! |---|---|
//! | socket | `MSG_DONTWAIT` in each call |
//! | pipe, event descriptor … | `RWF_NOWAIT` in each call; FIFOs, terminals, and pipes before Linux 6.4, do not know it: see the next two rows |
//! | with `O_NONBLOCK`, whoever has set that | nothing to do |
//! | any other | the call is made by a thread of the pool, when the descriptor is ready |
//! | our listeners, a socket of ours while it connects | `O_NONBLOCK`: there is no flag for these calls |
//! | a listener from outside without `O_NONBLOCK` | accepts in the pool, when a connection is there |
//! | file, read at an offset | `RWF_NOWAIT`, which the kernel's cache answers; else the pool |
//! | file, everything else; names of files | the pool |
//!
//! What a thread of the pool has begun it finishes: it cannot be cancelled any more. If somebody else takes the
//! connection or the bytes between the readiness and the call, the thread waits for the next ones; the
//! core does not.

mod at_once;
mod attempt;
mod begin;
mod course;
mod descriptors;
mod errands;
mod handover;
mod in_pool;
#[cfg(test)]
mod tests;
mod turn;
mod waiting;

pub(crate) use errands::Errand;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::again::Again;
use super::bell::{Bell, BellOwner, Wire};
use super::blocking::{BlockingPool, Work};
use super::groups::{Groups, Provided};
use super::staging::Staging;
use super::{
    Address, Answer, Capabilities, Config, Control, Descriptor, DriverCounters, Key, Operation,
    Refusal, Wait, control,
};
use crate::sys;
use descriptors::{Descriptors, Direction, Kind};
use errands::{Return, Returns};
use waiting::Waiting;

/// How many events one look takes in.
const EVENTS_MAX: usize = 256;
/// What the events of the bell carry: no descriptor has this number.
const BELL: u64 = u64::MAX;
/// How long a connect pauses that found the queue of a Unix listener full: the kernel tells nobody when there is room.
const ROOM_PAUSE_FIRST: Duration = Duration::from_millis(1);
const ROOM_PAUSE_MAX: Duration = Duration::from_millis(16);
/// How long a shutdown waits for the driver's own closes of files.
const SHUTDOWN_PATIENCE: Duration = Duration::from_millis(500);

/// One set of watched descriptors, and the operations on them.
pub(crate) struct Epoll {
    /// Before `descriptors`, which has the bell's in its set.
    bell: BellOwner,
    descriptors: Descriptors,
    capabilities: Capabilities,
    staging: Staging,
    waiting: Waiting,
    groups: Groups,
    /// Connects that found the queue of a listener full.
    again: Again,
    /// Descriptors where an operation had more to do than one turn allows.
    unfinished: Vec<(Descriptor, Direction)>,
    counters: DriverCounters,
    /// Closes that nobody waits for and a thread does.
    own_in_flight: usize,
    /// Turns since the last look that went by without one.
    looks_skipped: u32,
    looked_at: Instant,
    /// The last look waited, and nothing has gone by since.
    has_slept: bool,
    /// More was ready than one look takes in.
    many_ready: bool,
    /// How many bells there had been when `enter` was last asked to sleep.
    bells_heard: u64,
    /// Room for what one look finds.
    events: Vec<sys::Event>,
    pool: BlockingPool,
    /// How many calls are with threads, or on their way there or back.
    in_pool: usize,
    /// Calls on files that wait until fewer of them are with threads.
    held: VecDeque<Errand>,
    file_threads_max: usize,
    file_errands: usize,
    returns: Arc<Returns>,
    returned: Vec<Return>,
    /// Provided buffers that threads receive into.
    lent: Vec<(Key, u16)>,
    /// Errors that the next attempts are to meet, the first one first.
    #[cfg(any(test, feature = "fault-injection"))]
    enter_errors: VecDeque<i32>,
    /// As the ring's: a driver belongs to its thread.
    not_send: PhantomData<*const ()>,
    /// Why there is no ring, if one was wanted.
    refusal: Option<Refusal>,
}

impl Epoll {
    pub(crate) fn new(config: &Config) -> io::Result<Epoll> {
        let descriptors = Descriptors::new()?;
        let event = sys::event_descriptor()?;
        let bell = BellOwner::new(Wire {
            message: None,
            event,
        });
        // An edge for each ring: nobody has to read the count.
        let events = libc::EPOLLIN | libc::EPOLLET;
        sys::watch(descriptors.set(), libc::EPOLL_CTL_ADD, event, events, BELL)?;
        let returns = Arc::new(Returns::new(bell.bell()));
        let mut capabilities = capabilities(config);
        (config.restrict)(&mut capabilities);
        Ok(Epoll {
            bell,
            descriptors,
            capabilities,
            staging: Staging::new(),
            waiting: Waiting::default(),
            groups: Groups::default(),
            again: Again::new(ROOM_PAUSE_FIRST, ROOM_PAUSE_MAX),
            unfinished: Vec::new(),
            counters: DriverCounters::default(),
            own_in_flight: 0,
            looks_skipped: 0,
            looked_at: Instant::now(),
            has_slept: false,
            many_ready: false,
            bells_heard: 0,
            events: vec![sys::Event { events: 0, u64: 0 }; EVENTS_MAX],
            pool: BlockingPool::new(&config.pool),
            in_pool: 0,
            held: VecDeque::new(),
            file_threads_max: file_threads_max(config),
            file_errands: 0,
            returns,
            returned: Vec::new(),
            lent: Vec::new(),
            #[cfg(any(test, feature = "fault-injection"))]
            enter_errors: VecDeque::new(),
            not_send: PhantomData,
            refusal: None,
        })
    }

    /// Remembers why there is no ring.
    pub(crate) fn instead_of(self, refusal: Refusal) -> Epoll {
        let refusal = Some(refusal);
        Epoll { refusal, ..self }
    }

    pub(crate) fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    pub(crate) fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    #[inline]
    pub(crate) fn submit(&mut self, key: Key, operation: Operation) {
        self.staging.submit(key, operation);
    }

    pub(crate) fn take_back(&mut self, key: Key) -> bool {
        self.staging.take_back(key)
    }

    pub(crate) fn cancel(&mut self, key: Key) {
        self.staging.cancel(key);
    }

    pub(crate) fn close(&mut self, fd: Descriptor) {
        self.staging.close(fd);
    }

    pub(crate) fn has_staged(&self) -> bool {
        !self.staging.is_empty()
    }

    pub(crate) fn own_in_flight(&self) -> usize {
        self.own_in_flight
    }

    pub(crate) fn register_buffer(&mut self, _: Address, _: usize) -> io::Result<u16> {
        // There is nothing to register it with: reads and writes name it by its address.
        Ok(0)
    }

    pub(crate) fn add_buffer_group(&mut self, _: u16) -> io::Result<u16> {
        Ok(self.groups.add())
    }

    #[inline]
    pub(crate) fn provide_buffer(
        &mut self,
        group: u16,
        id: u16,
        address: Address,
        length: u32,
    ) -> u16 {
        let buffer = Provided {
            id,
            address,
            length,
        };
        self.groups.provide(group, buffer)
    }

    pub(crate) fn provided_length(&self, group: u16, place: u16, id: u16) -> Option<u32> {
        self.groups.length(group, place, id)
    }

    pub(crate) fn control(&mut self, control: Control) -> io::Result<Answer> {
        if let Control::Forget { fd } = control {
            self.descriptors.forget(fd);
        }
        let answer = control::perform(control)?;
        match answer {
            Answer::Pair(pair) => pair
                .into_iter()
                .for_each(|fd| self.descriptors.fresh(fd, Kind::Unknown)),
            Answer::Descriptor(fd) => self.descriptors.fresh(fd, Kind::Unknown),
            _ => {}
        }
        Ok(answer)
    }

    pub(crate) fn blocking(&self, work: Work) -> io::Result<()> {
        self.pool.run(work).map_err(|(_, error)| error)
    }

    pub(crate) fn bell(&self) -> Bell {
        self.bell.bell()
    }

    pub(crate) fn counters(&self) -> DriverCounters {
        self.counters.clone()
    }

    /// Makes the next attempt of `enter` for which nothing is planned yet meet `errno`; 0 lets it through.
    #[cfg(any(test, feature = "fault-injection"))]
    pub(crate) fn fail_enter(&mut self, errno: i32) {
        self.enter_errors.push_back(errno);
    }

    pub(crate) fn shutdown(mut self) {
        let deadline = Instant::now() + SHUTDOWN_PATIENCE;
        // Of operations that somebody gave up on: their owners are gone.
        let mut strays = Vec::new();
        while self.has_staged() || self.own_in_flight > 0 {
            let entered = self.enter(Wait::Until(Some(deadline)), &mut strays);
            if entered.is_err() || Instant::now() >= deadline {
                break;
            }
        }
    }
}

impl fmt::Debug for Epoll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Epoll")
            .field("set", &self.descriptors.set())
            .field("bell", &self.bell)
            .field("staging", &self.staging)
            .field("queued", &self.waiting.queued())
            .field("in_pool", &self.in_pool)
            .field("unfinished", &self.unfinished)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

/// How many threads work on files at a time: as a ring's kernel threads, whose bound the same setting says.
fn file_threads_max(config: &Config) -> usize {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let usual = config.entries.min(4 * processors as u32);
    config.file_threads_max.unwrap_or(usual).max(1) as usize
}

/// Everything but what only a ring can have.
fn capabilities(config: &Config) -> Capabilities {
    Capabilities {
        rung: None,
        entries: config.entries,
        completion_entries: config.completion_entries.unwrap_or(config.entries),
        accept_multishot: true,
        socket: true,
        bind_listen: true,
        pipe: true,
        shutdown: true,
        truncate: true,
        rename: true,
        remove: true,
        make_directory: true,
        hard_link: true,
        symbolic_link: true,
        provided_buffers: true,
        receive_multishot: true,
        receive_bundle: false,
        message_ring: false,
        no_iowait: true,
    }
}
