//! The driver of simulated cores: nothing is real, and everything can be repeated.
//!
//! Many cores, of several hosts, run on one thread and share one [`World`]. A core takes its turn when the simulation says
//! so, and does not sleep in `enter`. What it begins there, the world ends at a moment that is drawn from the seed. A
//! runtime that is made outside of a simulation is the only host of a world of its own. If it has one core, the time
//! of its world goes on when that sleeps; of several, each takes its turn when the runtime says so.
//!
//! - `world`: time, chance, and who is there; `place`: where a driver belongs;
//! - `agenda`: what is to happen when; `trace`: the fingerprint of a run;
//! - `progress`: operations from their begin to their end; `attempt`: one try at one; `memory`: what it names by address;
//!   `watch`: whether nobody else touches that;
//! - `ring`: what rings may do at any time and seldom do;
//! - `objects`: what is open: `stream`, `listener`, `datagrams`; `name`: by what it is known;
//! - `sockets`, `naming`, `connecting`, `transfer`, `settings`: the calls;
//! - `disk`, `paths`, `inode`: what is on it, and what would be after a crash; `files`: the calls on it;
//!   `tree`: what threads and tests do to it in one go;
//! - `luck`: what goes wrong, counted, so that less can;
//! - `waiting`: who waits for what;
//! - `network`, `departure`, `delivery`, `multicast`: the ways between hosts, and what becomes of packets;
//! - `record`: what is kept or written down of a run: `telling` for people, `capture` for programs that know networks.

mod agenda;
mod attempt;
mod capture;
mod connecting;
mod datagrams;
mod delivery;
mod departure;
mod disk;
mod errno;
mod files;
mod inode;
mod listener;
mod luck;
mod memory;
mod multicast;
mod name;
mod naming;
mod network;
mod objects;
mod paths;
mod place;
mod progress;
mod record;
mod ring;
mod settings;
mod signals;
mod sockets;
mod stream;
mod telling;
mod trace;
mod transfer;
mod tree;
mod waiting;
mod watch;
mod world;

pub(crate) use crate::sys::interposed;
pub(crate) use agenda::Agenda;
pub(crate) use departure::{Judgement, Leaving};
pub(crate) use disk::Flaws;
pub(crate) use files::Pace;
pub(crate) use luck::{Fault, FaultId, Suffering, suffer};
pub(crate) use name::addresses;
pub(crate) use network::{Conditions, Protocol};
pub(crate) use place::{Here, Place, at, here, world_of_its_own};
pub(crate) use record::Records;
pub(crate) use ring::Habits;
pub(crate) use world::{Purpose, World};

use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use crate::random::Random;

use super::bell::{Bell, Doorbell};
use super::groups::Provided;
use super::staging::{Next, Request, Staging};
use super::{
    Address, Answer, Capabilities, Completion, Config, Control, Descriptor, DriverCounters, Key,
    Operation, SignalWatch, TimeSource, Wait, Work,
};

/// A simulated core's way to the outside.
pub(crate) struct Sim {
    place: Place,
    /// Nobody else lets the time of its world go on.
    is_alone: bool,
    /// That of its world: whoever lets its time go on sleeps for all of its cores.
    doorbell: Arc<Doorbell>,
    capabilities: Capabilities,
    staging: Staging,
    counters: DriverCounters,
}

impl Sim {
    /// A core of the world that [`at`] names; else the only core of a new one.
    pub(crate) fn new(config: &Config) -> Sim {
        let hosted = place::take_next();
        let is_alone = hosted.is_none();
        let place = hosted.unwrap_or_else(|| Place::alone(config.seed));
        let doorbell = place.world.borrow().doorbell();
        Sim {
            place,
            is_alone,
            doorbell,
            capabilities: capabilities(config),
            staging: Staging::new(),
            counters: DriverCounters::default(),
        }
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

    pub(crate) fn reap(&mut self, completions: &mut Vec<(Key, Completion)>) {
        let first = completions.len();
        let mut world = self.place.world.borrow_mut();
        world.take_completed(self.place.core, completions);
        for (key, completion) in &completions[first..] {
            self.counters.completions += 1;
            let is_true = self.staging.complete(*key, completion.more);
            assert!(
                is_true,
                "{key:?} is not in flight, and completes with {completion:?}"
            );
        }
    }

    /// Begins what is staged. Among others it does not sleep: the simulation gives a core its turn when there is a reason.
    pub(crate) fn enter(
        &mut self,
        wait: Wait,
        completions: &mut Vec<(Key, Completion)>,
    ) -> io::Result<()> {
        self.counters.enters += 1;
        self.place.world.borrow_mut().take_turn(self.place.core);
        self.place.world.borrow_mut().close_all_dropped();
        self.begin_staged();
        if self.place.world.borrow().is_dead(self.place.core) {
            self.let_go_of_all(completions);
            return Ok(());
        }
        let before = completions.len();
        if self.is_alone {
            self.let_time_pass(Wait::No);
        }
        self.reap(completions);
        if self.is_alone && completions.len() == before {
            self.let_time_pass(wait);
            self.reap(completions);
        }
        Ok(())
    }

    /// The host has crashed. There is no kernel any more that could touch the memory of an operation.
    fn let_go_of_all(&mut self, completions: &mut Vec<(Key, Completion)>) {
        for key in self.staging.all_under_way() {
            self.staging.complete(key, false);
            self.counters.completions += 1;
            // Nobody tries it again, as after a cancel that was not asked for.
            completions.push((key, Completion::last(-libc::EIO)));
        }
    }

    /// As much as fits into the queue of the core; the rest has its turn later.
    fn begin_staged(&mut self) {
        let most = self.place.world.borrow().cores[self.place.core]
            .queue
            .entries;
        let before = self.counters.submitted;
        for _ in 0..most {
            let Some(next) = self.staging.next() else {
                break;
            };
            self.counters.submitted += 1;
            let mut world = self.place.world.borrow_mut();
            match next {
                Next::Operation(key, operation) => {
                    world.record_begin(self.place.core, key, operation);
                    world.begin(self.place.core, key, operation);
                }
                Next::Request(Request::Cancel(key)) => {
                    self.counters.cancels += 1;
                    // It is answered, as each entry of a ring.
                    self.counters.completions += 1;
                    let is_found = world.cancel(self.place.core, key);
                    self.counters.cancels_too_late += u64::from(!is_found);
                    world.record_cancel(self.place.core, key, is_found);
                }
                Next::Request(Request::Close(fd)) => world.close_unheard(self.place.core, fd),
            }
        }
        let batch = self.counters.submitted - before;
        if batch > 0 {
            self.counters.batches.record(batch);
        }
        let has_backlog = !self.staging.is_empty();
        self.place.world.borrow_mut().cores[self.place.core].has_backlog = has_backlog;
    }

    /// Lets things happen until there is news, the bell has rung, or the moment has come.
    fn let_time_pass(&mut self, wait: Wait) {
        loop {
            let mut world = self.place.world.borrow_mut();
            while world.happen() {}
            let Wait::Until(deadline) = wait else {
                return;
            };
            let deadline = deadline.map(|deadline| world.moment(deadline));
            let is_over = deadline.is_some_and(|deadline| deadline <= world.elapsed());
            if world.has_news(self.place.core) || is_over {
                return;
            }
            let next = [world.next_event(), deadline].into_iter().flatten().min();
            drop(world);
            if self.doorbell.take() {
                self.counters.bells += 1;
                return;
            }
            match next {
                Some(next) => self.place.world.borrow_mut().advance_to(next),
                // Only another thread can bring something.
                None => {
                    self.doorbell.wait();
                    self.counters.bells += 1;
                    return;
                }
            }
        }
    }

    pub(crate) fn has_staged(&self) -> bool {
        !self.staging.is_empty()
    }

    pub(crate) fn own_in_flight(&self) -> usize {
        0
    }

    pub(crate) fn register_buffer(&mut self, _: Address, _: usize) -> io::Result<u16> {
        Ok(0)
    }

    pub(crate) fn add_buffer_group(&mut self, _: u16) -> io::Result<u16> {
        Ok(self.place.world.borrow_mut().cores[self.place.core]
            .groups
            .add())
    }

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
        let mut world = self.place.world.borrow_mut();
        world.cores[self.place.core].groups.provide(group, buffer)
    }

    pub(crate) fn provided_length(&self, group: u16, place: u16, id: u16) -> Option<u32> {
        let world = self.place.world.borrow();
        world.cores[self.place.core].groups.length(group, place, id)
    }

    pub(crate) fn control(&mut self, control: Control) -> io::Result<Answer> {
        let mut world = self.place.world.borrow_mut();
        let answer = world.control(self.place.core, control);
        answer.map_err(io::Error::from_raw_os_error)
    }

    pub(crate) fn watch_signal(&mut self, signal: i32) -> SignalWatch {
        self.place
            .world
            .borrow_mut()
            .watch_signal(self.place.core, signal)
    }

    /// Work is done on the thread of the simulation, at a moment of its own.
    pub(crate) fn blocking(&self, work: Work) -> io::Result<()> {
        self.place.world.borrow_mut().work(self.place.core, work);
        Ok(())
    }

    /// Work whose moment has come, to be done as if by a thread of this host.
    pub(crate) fn due_work(&mut self) -> Option<Box<dyn FnOnce()>> {
        let mut world = self.place.world.borrow_mut();
        let work = world.take_work(self.place.core)?;
        let host = world.cores[self.place.core].host;
        let here = Here::new(Rc::clone(&self.place.world), host);
        Some(Box::new(move || here.doing(|| work.run())))
    }

    pub(crate) fn bell(&self) -> Bell {
        Bell::Doorbell(Arc::clone(&self.doorbell))
    }

    pub(crate) fn counters(&self) -> DriverCounters {
        self.counters.clone()
    }

    pub(crate) fn time_source(&self) -> TimeSource {
        TimeSource::World(self.place.world.borrow().clock())
    }

    pub(crate) fn order_of_tasks(&self) -> Option<Random> {
        let world = self.place.world.borrow();
        let order = world.stream(Purpose::Tasks, self.place.core as u64);
        (!world.is_prompt).then_some(order)
    }

    #[cfg(any(test, feature = "fault-injection"))]
    pub(crate) fn fail_enter(&mut self, _: i32) {
        // It makes no system call that could fail.
    }

    pub(crate) fn shutdown(mut self) {
        // Of operations that somebody gave up on: their owners are gone.
        let mut strays = Vec::new();
        loop {
            let _ = self.enter(Wait::No, &mut strays);
            if !self.has_staged() {
                return;
            }
        }
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        if self.is_alone {
            self.place.end_world();
        }
    }
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim")
            .field("core", &self.place.core)
            .field("staging", &self.staging)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

fn capabilities(config: &Config) -> Capabilities {
    let mut capabilities = Capabilities {
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
    };
    (config.restrict)(&mut capabilities);
    capabilities
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::tests::{Rig, key};
    use crate::driver::{Choice, own};
    use std::time::Duration;

    fn rig() -> Rig {
        Rig::new(Config {
            choice: Choice::Sim,
            ..Config::default()
        })
    }

    fn socket(rig: &mut Rig) -> Descriptor {
        let socket = Operation::Socket {
            domain: libc::AF_INET,
            kind: libc::SOCK_STREAM,
            protocol: 0,
        };
        rig.run(socket).result
    }

    #[test]
    fn a_descriptor_that_is_dropped_is_closed() {
        let mut rig = rig();
        let fd = socket(&mut rig);
        let listen = Operation::Listen { fd, backlog: 1 };
        assert_eq!(rig.run(listen).result, 0);
        drop(own(fd));
        assert_eq!(rig.run(listen).result, -libc::EBADF);
    }

    #[test]
    fn a_descriptor_that_outlives_its_world_closes_nothing_in_the_next() {
        let mut before = rig();
        let outliving = before.pair();
        drop(before);
        drop(outliving);
        let mut rig = rig();
        let [one, other] = rig.pair();
        rig.write_from_outside(&one, b"x");
        assert_eq!(rig.read_from_outside(&other), b"x");
    }

    #[test]
    fn a_descriptor_that_is_dropped_is_closed_in_its_own_world() {
        let (mut one, mut other) = (rig(), rig());
        let fds = [socket(&mut one), socket(&mut other)];
        let listen = fds.map(|fd| Operation::Listen { fd, backlog: 1 });
        drop(own(fds[1]));
        assert_eq!(one.run(listen[0]).result, 0);
        assert_eq!(other.run(listen[1]).result, -libc::EBADF);
    }

    #[test]
    fn a_core_that_is_alone_sleeps_until_its_deadline_on_the_clock_of_its_world() {
        let mut rig = rig();
        let clock = rig.driver.time_source();
        let deadline = clock.now() + Duration::from_secs(3600);
        let wait = Wait::Until(Some(deadline));
        rig.driver.enter(wait, &mut rig.completed).unwrap();
        assert!(clock.now() >= deadline);
        assert_eq!(rig.completed, []);
    }

    #[test]
    fn a_bell_from_another_thread_ends_a_sleep_without_deadline() {
        let mut rig = rig();
        let bell = rig.driver.bell();
        let ringer = std::thread::spawn(move || bell.ring());
        let wait = Wait::Until(None);
        rig.driver.enter(wait, &mut rig.completed).unwrap();
        ringer.join().unwrap();
        assert_eq!(rig.driver.counters().bells, 1);
    }

    #[test]
    fn an_operation_that_waits_is_cancelled_and_one_that_is_over_is_not() {
        let mut rig = rig();
        let fd = socket(&mut rig);
        assert_eq!(rig.run(Operation::Listen { fd, backlog: 1 }).result, 0);
        rig.completed.clear();
        let accept = Operation::AcceptMultishot { fd, flags: 0 };
        rig.driver.submit(key(0, 1), accept);
        rig.driver.submit(key(1, 1), Operation::Nop);
        rig.flush();
        rig.driver.cancel(key(0, 1));
        rig.driver.cancel(key(1, 1));
        rig.complete(2);
        assert_eq!(rig.result(key(0, 1)), -libc::ECANCELED);
        assert_eq!(rig.result(key(1, 1)), 0);
        assert_eq!(rig.driver.counters().cancels_too_late, 1);
    }

    /// The two ends of a pipe: for reading, for writing.
    fn pipe(rig: &mut Rig) -> [Descriptor; 2] {
        let mut ends = [0; 2];
        let descriptors = Address::of_mut(ends.as_mut_ptr());
        let flags = 0;
        assert_eq!(rig.run(Operation::Pipe { descriptors, flags }).result, 0);
        ends
    }

    fn write(fd: Descriptor, bytes: &[u8]) -> Operation {
        Operation::Write {
            fd,
            address: Address::of(bytes.as_ptr()),
            length: bytes.len() as u32,
            offset: crate::driver::CURSOR,
        }
    }

    fn read(fd: Descriptor, buffer: &mut [u8]) -> Operation {
        Operation::Read {
            fd,
            address: Address::of_mut(buffer.as_mut_ptr()),
            length: buffer.len() as u32,
            offset: crate::driver::CURSOR,
        }
    }

    fn with_habits(rig: &mut Rig, change: impl FnOnce(&mut Habits)) {
        let crate::driver::Driver::Sim(sim) = &rig.driver else {
            panic!("{:?}", rig.driver);
        };
        let mut world = sim.place.world.borrow_mut();
        let mut habits = Habits {
            short: 0.0,
            interrupted: 0.0,
            unready: 0.0,
            late_memory: 0.0,
            ..Habits::default()
        };
        change(&mut habits);
        world.set_habits(0, habits);
    }

    #[test]
    #[should_panic = "the memory of an operation changed while it was in flight"]
    fn memory_that_is_written_to_while_a_read_waits_is_noticed() {
        let mut rig = rig();
        with_habits(&mut rig, |_| {});
        let [reader, writer] = pipe(&mut rig);
        let mut buffer = [0; 8];
        rig.driver.submit(key(0, 1), read(reader, &mut buffer));
        rig.flush();
        memory::store(Address::of_mut(&raw mut buffer[3]), &[7]);
        rig.run(write(writer, b"bytes"));
    }

    #[test]
    #[should_panic = "the memory of an operation changed while it was in flight"]
    fn memory_that_is_written_to_while_a_write_waits_is_noticed() {
        let mut rig = rig();
        with_habits(&mut rig, |_| {});
        let [reader, writer] = pipe(&mut rig);
        let full = vec![1; stream::PIPE_CAPACITY];
        assert_eq!(rig.run(write(writer, &full)).result, full.len() as i32);
        let mut bytes = *b"more";
        rig.driver.submit(key(0, 1), write(writer, &bytes));
        rig.flush();
        memory::store(Address::of_mut(&raw mut bytes[0]), &[7]);
        rig.run(read(reader, &mut vec![0; full.len()]));
    }

    #[test]
    #[should_panic = "the memory of an operation changed while it was in flight"]
    fn memory_that_is_written_to_before_the_bytes_are_there_is_noticed() {
        let mut rig = rig();
        with_habits(&mut rig, |habits| habits.late_memory = 1.0);
        let [reader, writer] = pipe(&mut rig);
        rig.run(write(writer, b"bytes"));
        let mut buffer = [0; 8];
        rig.driver.submit(key(0, 1), read(reader, &mut buffer));
        rig.driver.submit(key(1, 1), Operation::Nop);
        begin(&mut rig);
        assert_ne!(&buffer[..5], b"bytes");
        memory::store(Address::of_mut(&raw mut buffer[0]), b"b");
        rig.complete(4);
    }

    /// Begins what is staged, and lets no time pass.
    fn begin(rig: &mut Rig) {
        let crate::driver::Driver::Sim(sim) = &mut rig.driver else {
            panic!("{:?}", rig.driver);
        };
        sim.begin_staged();
    }

    #[test]
    fn behind_what_was_received_there_may_be_anything() {
        let mut rig = rig();
        for is_late in [false, true] {
            let share = f64::from(u8::from(is_late));
            with_habits(&mut rig, |habits| habits.late_memory = share);
            let [reader, writer] = pipe(&mut rig);
            rig.run(write(writer, b"bytes"));
            let mut buffer = [0; 4096];
            assert_eq!(rig.run(read(reader, &mut buffer)).result, 5);
            assert_eq!(&buffer[..5], b"bytes");
            assert!(buffer[5..].iter().any(|byte| *byte != 0));
        }
    }
}
