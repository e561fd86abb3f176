//! Simulation: whole systems of several hosts in one test, on one thread, in an order and at a pace that a seed decides.
//!
//! The [chapter] takes you from a plain test to a replayed failure in ten minutes. This page says what there is.
//!
//! A [`Sim`] is a world with a clock of its own. Hosts run in it, each with its cores, and run what they run in production:
//! tasks, timers, channels. Nothing of it depends on the machine: with the same seed everything
//! happens again, in the same order, at the same moments, and [`Sim::trace_hash`] shows it.
//!
//! ```
//! use std::time::Duration;
//! use krug::sim::Sim;
//! use krug::time::sleep;
//!
//! let run = |seed| {
//!     let mut sim = Sim::new(seed);
//!     sim.host("clock", || async {
//!         loop {
//!             sleep(Duration::from_secs(1)).await;
//!         }
//!     });
//!     sim.client("patience", async {
//!         sleep(Duration::from_secs(3600)).await; // over at once
//!     });
//!     sim.run().unwrap();
//!     sim.trace_hash()
//! };
//! assert_eq!(run(7), run(7));
//! assert_ne!(run(7), run(8));
//! ```
//!
//! # What is simulated
//!
//! - **Time.** It passes while a core takes a turn, and jumps to what comes next when nobody has anything to do. Use
//!   [`time::now`](crate::time::now); `Instant::now` and `SystemTime::now` follow where a program says
//!   [`interpose!`](crate::interpose).
//! - **Order.** Which core takes a turn and which of its ready tasks is polled first is drawn anew each time.
//! - **Chance.** [`rand`](crate::rand) and the choices of `select!` follow the seed; `HashMap` does
//!   with [`interpose!`](crate::interpose), on a thread of its own ([`check()`] makes one for each seed).
//! - **Work that blocks** ([`spawn_blocking`](crate::spawn_blocking)) is done on the same thread, after a while.
//!
//! Each purpose has a random stream of its own: if one host draws one number more, the others and the order of
//! things stay what they were.
//!
//! - **Network.** TCP, UDP, Unix sockets and pipes. Each host has an address, which [`address_of`] tells; ways between
//!   hosts have latency, loss and bandwidth ([`Sim::net`]), can be cut ([`Sim::partition`]) and held ([`Sim::hold`]).
//! - **Disks.** Each host has one, with an empty directory `/tmp`. A crash keeps what was synced and any part of the rest; disks
//!   can be slow, full, failing and lying ([`Sim::disk`]). [`Sim::host_fs`] shows a test what is there.
//! - **Rings.** Operations complete in any order, are short, interrupted and answered too early or too late, their memory is written
//!   to when nobody expects it, and queues are full ([`Sim::rings`]). Programs notice nothing of it. A piece of memory that is
//!   touched while an operation has it ends the simulation.
//!
//! # What is not
//!
//! Threads of your own, sockets and files of `std` and whatever asks the system by itself are not part of the world. There are no
//! terminals and no special files. Permissions are kept and not enforced.
//!
//! # Tests
//!
//! `#[krug::sim_test]` makes a test of a function that is given a world, and runs it under many seeds; it calls [`check()`], which
//! tells what the environment has to say to that.
//!
//! ```
//! # #[cfg(feature = "macros")]
//! #[krug::sim_test(seeds = 200)]
//! fn nobody_waits_for_ever(sim: &mut krug::sim::Sim) {
//!     sim.client("patience", krug::time::sleep(std::time::Duration::from_secs(3600)));
//!     sim.run().unwrap();
//! }
//! ```
//!
//! # Failures
//!
//! [`run`](Sim::run) ends with an error if
//!
//! - a client, a host, or a check of [`every_event`](Sim::every_event) panics;
//! - nothing can ever happen again although a client has not finished, or it takes longer than [`limit`](Sim::limit) allows: the error
//!   says of each host what it waits for, and since when;
//! - a core takes a million turns in which its tasks only wake each other;
//! - a program ends and leaves tasks, operations, buffers or descriptors behind, unless [that is allowed](Sim::allow_leaks);
//! - memory is touched while an operation has it.
//!
//! [`check()`] says which seed it was; the same seed fails in the same way again. Then it runs the test with less and less going wrong, and says
//! what is enough.
//!
//! # Traces
//!
//! `KRUG_SIM_TRACE=run.txt` has a world written down while it goes on: one line for each operation that begins or is over, each packet that is
//! sent, arrives or is lost, each host that starts, ends or crashes, and each way that is cut or held. A line begins with the number of
//! events so far, as [`Sim::events`] counts them, and with the clock in seconds; `#3` is a descriptor. The last line has the seed, the
//! number of events, and the [fingerprint](Sim::trace_hash). Turns of cores are counted and not written.
//!
//! If the name ends with `.pcapng`, the file holds the packets of TCP and UDP instead, as tshark and Wireshark read them; they are captured when
//! they leave their hosts, from the first of January 2026 on. Headers are made up: a packet has as many bytes as the program has sent
//! at once, up to 32 KiB. What a network loses by its [`loss`](Links::loss) is on its way for longer in the simulation and is not
//! captured a second time; what is sent again because of a partition, a host that is down or a [rule](Sim::rule) is.
//!
//! Each world begins its file anew. Of many seeds, the last one's trace remains, which is the one that has failed; with several tests in one
//! process say which one you want.
//!
//! # A plain program
//!
//! With `KRUG_DRIVER=sim` (or [`Driver::Sim`](crate::runtime::Driver::Sim)) any program runs in a world without a `Sim`: one host, its
//! loopback network, an empty disk with a directory `/tmp`, and a clock that jumps. Its kernel is prompt: nothing goes wrong there that
//! does not in a quiet hour of a real one. `KRUG_DRIVER=sim KRUG_SIM_SEED=17 KRUG_SIM_TRACE=run.txt` says which run it is and writes it down. A server that nobody on its own
//! host talks to waits for ever. Each runtime has a world of its own, with as many cores as it asks for
//! ([`Builder::cores`](crate::runtime::Builder::cores)), and threads that the program starts are not part of it.

#[doc = include_str!("chapter.md")]
pub mod chapter {}

mod check;
mod disk;
mod failure;
mod host;
mod interpose;
mod network;
mod oracle;
mod ring;
mod rule;
mod running;
mod shrink;
mod twice;

pub use check::{check, seed};
pub use disk::{Disks, HostFs, own_fs};
pub use failure::Failure;
#[doc(hidden)]
pub use interpose::{clock_gettime, getrandom};
pub use network::{Links, address_of};
pub use ring::Rings;
pub use rule::{Packet, Protocol, Rule, Verdict};

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use crate::driver::sim::{Agenda, Purpose, World};
use crate::signal::{DefaultAction, SignalKind};
use crate::worker::Remains;
use host::{Host, Make};
use rule::Rules;

/// A world of hosts. See the [module docs](self).
pub struct Sim {
    world: Rc<RefCell<World>>,
    hosts: Vec<Host>,
    /// Perhaps one of them is to be started.
    has_to_start: bool,
    /// What the test itself wants done, and when.
    plans: Agenda<Plan>,
    /// The same, and after how much that has happened.
    plans_by_count: BTreeMap<u64, Vec<Plan>>,
    checks: Vec<Check>,
    /// Memory for those that have something to do, used over and over.
    ready: Vec<(usize, usize)>,
    failure: Option<Failure>,
    rules: Rules,
    /// When the clients are to have finished.
    limit: Option<Duration>,
    /// Programs may leave something behind.
    may_leak: bool,
    /// What a plan does mends something.
    has_mended: bool,
}

/// What is to be done to the world at a moment.
struct Plan {
    action: Box<dyn FnOnce(&mut Sim)>,
    /// The test wants it, so that it counts among what goes wrong.
    is_fault: bool,
}

type Check = Box<dyn FnMut(&Sim)>;

impl Sim {
    /// An empty world, in which everything that is left to chance follows from `seed`. As long as it lives, the clocks of
    /// this thread are the world's, if they can be: see [`interpose!`](crate::interpose).
    pub fn new(seed: u64) -> Sim {
        interpose::show(Duration::ZERO);
        network::forget_all();
        Sim {
            world: Rc::new(RefCell::new(World::new(seed))),
            hosts: Vec::new(),
            has_to_start: false,
            plans: Agenda::new(),
            plans_by_count: BTreeMap::new(),
            checks: Vec::new(),
            ready: Vec::new(),
            failure: None,
            rules: Rules::default(),
            limit: None,
            may_leak: false,
            has_mended: false,
        }
    }

    /// What everything follows from.
    pub fn seed(&self) -> u64 {
        self.world.borrow().seed()
    }

    /// Adds a host with one core, and starts it when the simulation goes on. `main` makes what it runs, now and after each
    /// [`bounce`](Sim::bounce). The simulation does not wait for its end; if it returns, the host ends like a program: tasks
    /// that are left are dropped.
    ///
    /// # Panics
    ///
    /// If there is a host of this name already.
    pub fn host<F>(&mut self, name: &str, mut main: impl FnMut() -> F + 'static)
    where
        F: Future<Output = ()> + 'static,
    {
        self.host_with_cores(name, 1, move |_| main());
    }

    /// As [`host`](Sim::host), with several cores. `main` makes what each of them runs; it is given the core's number,
    /// from 0. Each core ends when its own returns, and can be sent nothing more then; the host has ended when all have.
    /// They find each other with [`CoreHandle::of_all_cores`](crate::CoreHandle::of_all_cores), from the first call of `main` on.
    ///
    /// # Panics
    ///
    /// If there is a host of this name already, or `cores` is 0.
    pub fn host_with_cores<F>(
        &mut self,
        name: &str,
        cores: usize,
        mut main: impl FnMut(usize) -> F + 'static,
    ) where
        F: Future<Output = ()> + 'static,
    {
        let make: Make = Box::new(move |core| Box::pin(main(core)));
        self.add_host(name, cores, make, false);
    }

    /// Adds a host that runs `main`. The simulation runs until every client has returned.
    ///
    /// # Panics
    ///
    /// If there is a host of this name already.
    pub fn client(&mut self, name: &str, main: impl Future<Output = ()> + 'static) {
        let mut main = Some(main);
        let name_for_panic = name.to_owned();
        let make: Make = Box::new(move |_| {
            let main = main.take();
            let main = main.unwrap_or_else(|| {
                panic!("the client `{name_for_panic}` cannot be started again: what it ran is gone")
            });
            Box::pin(main) as Pin<Box<dyn Future<Output = ()>>>
        });
        self.add_host(name, 1, make, true);
    }

    fn add_host(&mut self, name: &str, cores: usize, make: Make, is_client: bool) {
        assert!(cores > 0, "the host `{name}` needs a core");
        let is_taken = self.hosts.iter().any(|host| host.name == name);
        assert!(!is_taken, "there are two hosts of the name `{name}`");
        let number = self.world.borrow_mut().add_host(name) as u64;
        network::publish(name);
        let entropy = self.world.borrow().stream(Purpose::Application, number);
        let seeds = self.world.borrow().stream(Purpose::Seeds, number);
        let host = Host {
            name: name.to_owned(),
            cores,
            make,
            is_client,
            is_to_start: true,
            has_returned: false,
            running: Vec::new(),
            remains: Remains::default(),
            date_shift: 0,
            seeds,
            entropy: Rc::new(entropy),
        };
        self.hosts.push(host);
        self.has_to_start = true;
    }

    /// Calls `action` when the world's clock shows `moment`; at once, when the simulation goes on, if it is past that.
    pub fn at(&mut self, moment: Duration, action: impl FnOnce(&mut Sim) + 'static) {
        self.plan(moment, true, action);
    }

    fn plan(&mut self, moment: Duration, is_fault: bool, action: impl FnOnce(&mut Sim) + 'static) {
        let action = Box::new(action);
        self.plans.plan(moment, Plan { action, is_fault });
    }

    /// Calls `action` as soon as [`events`](Sim::events) is at least `count`: to do something between any one thing that happens and
    /// the next.
    pub fn at_event(&mut self, count: u64, action: impl FnOnce(&mut Sim) + 'static) {
        let plan = Plan {
            action: Box::new(action),
            is_fault: true,
        };
        self.plans_by_count.entry(count).or_default().push(plan);
    }

    /// Calls `check` after everything that happens: each turn of a core, each completion. What it panics with ends the
    /// simulation.
    pub fn every_event(&mut self, check: impl FnMut(&Sim) + 'static) {
        self.checks.push(Box::new(check));
    }

    /// How far the world's clock is from its beginning.
    pub fn elapsed(&self) -> Duration {
        self.world.borrow().elapsed()
    }

    /// A fingerprint of all that has happened so far. Two runs with the same one went the same way.
    pub fn trace_hash(&self) -> u64 {
        self.world.borrow().trace().hash()
    }

    /// How much has happened so far: turns of cores, completions, starts and ends of hosts.
    pub fn events(&self) -> u64 {
        self.world.borrow().trace().count()
    }

    /// How many completions of operations are among the [`events`](Sim::events).
    pub fn completions(&self) -> u64 {
        self.world.borrow().trace().completions()
    }

    /// Whether the host has been started, and has neither ended nor crashed.
    ///
    /// # Panics
    ///
    /// If there is no host of this name.
    pub fn is_running(&self, host: &str) -> bool {
        self.hosts[self.find(host)].is_running()
    }

    /// Stops a host at once, as if its power had failed: what it runs is dropped, and nothing that happens while it is
    /// dropped can be seen from outside. Does nothing if it does not run.
    ///
    /// # Panics
    ///
    /// If there is no host of this name, or it is called by a host.
    pub fn crash(&mut self, host: &str) {
        let index = self.find(host);
        self.crash_host(index);
    }

    /// Crashes a host if it runs, and starts it anew.
    ///
    /// # Panics
    ///
    /// As [`crash`](Sim::crash). A client cannot be started again.
    pub fn bounce(&mut self, host: &str) {
        let index = self.find(host);
        self.crash_host(index);
        self.hosts[index].is_to_start = true;
        self.has_mended = true;
        self.has_to_start = true;
    }

    /// Sends a signal to the program of a host: each of its [listeners](crate::signal) hears it. If the program has never listened for
    /// this signal since it was started, it does what it does by itself: nothing, or the host ends as by a [`crash`](Sim::crash), which
    /// is harder than what becomes of a process that is killed: what was not synced may be lost with it. What would stop a process does
    /// nothing. Nor does anything happen if the host does not run.
    ///
    /// ```
    /// use std::time::Duration;
    /// use krug::signal::{SignalKind, unix};
    ///
    /// let mut sim = krug::sim::Sim::new(1);
    /// sim.client("server", async {
    ///     let mut terminate = unix(SignalKind::terminate()).unwrap();
    ///     terminate.recv().await.unwrap();
    /// });
    /// sim.at(Duration::from_secs(5), |sim| sim.signal("server", SignalKind::terminate()));
    /// sim.run().unwrap();
    /// assert!(sim.elapsed() >= Duration::from_secs(5));
    /// ```
    ///
    /// # Panics
    ///
    /// If there is no host of this name, or it is called by a host.
    pub fn signal(&mut self, host: &str, kind: SignalKind) {
        let index = self.find(host);
        if !self.hosts[index].is_running() {
            return;
        }
        let is_heard = self.world.borrow_mut().signal(index, kind.as_raw_value());
        if !is_heard && kind.default_action() == DefaultAction::End {
            self.crash_host(index);
        }
    }

    /// The date of a host jumps ahead, as if somebody had set its clock. Its programs see it in `SystemTime` where the program says
    /// [`interpose!`](crate::interpose); `Instant` and [`time::now`](crate::time::now) never jump.
    ///
    /// # Panics
    ///
    /// If there is no host of this name.
    pub fn jump_ahead(&mut self, host: &str, by: Duration) {
        let host = self.find(host);
        let by = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        let shift = &mut self.hosts[host].date_shift;
        *shift = shift.saturating_add(by);
    }

    /// As [`jump_ahead`](Sim::jump_ahead), back; not beyond 1970.
    ///
    /// # Panics
    ///
    /// If there is no host of this name.
    pub fn jump_back(&mut self, host: &str, by: Duration) {
        let host = self.find(host);
        let by = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        let shift = &mut self.hosts[host].date_shift;
        *shift = shift.saturating_sub(by);
    }

    fn find(&self, name: &str) -> usize {
        let found = self.hosts.iter().position(|host| host.name == name);
        found.unwrap_or_else(|| panic!("there is no host of the name `{name}`"))
    }
}

impl std::fmt::Debug for Sim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hosts: Vec<&str> = self.hosts.iter().map(|host| &*host.name).collect();
        f.debug_struct("Sim")
            .field("seed", &self.seed())
            .field("elapsed", &self.elapsed())
            .field("hosts", &hosts)
            .finish_non_exhaustive()
    }
}
