//! [`Builder`]: the settings of a runtime.

mod starting;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::cores::{Bound, Cores, Plan};
use super::{Others, Runtime};
use crate::buf::ReceiveSettings;
use crate::buf::arena::ARENA_MAX;
use crate::cores::{SPAWN_BACKLOG_DEFAULT, SPAWN_BACKLOG_MAX};
use crate::driver::{Choice, Config};
use crate::observe::Watchdog;
use crate::scheduler::{SHARE_MAX, SHARES_DEFAULT};
use crate::task::{PanicPolicy, PanicResponse};
use crate::worker::{SPIN_DEFAULT, SPIN_MAX, Settings, Worker};

/// How long a closed stream may go on sending, unless set.
pub(super) const LINGER_DEFAULT: Duration = Duration::from_secs(5);
/// How much memory a core registers for buffers, unless set.
pub(crate) const REGISTERED_MEMORY_DEFAULT: usize = 1 << 20;
/// How long dropping a runtime may take, unless set.
pub(super) const SHUTDOWN_DEADLINE_DEFAULT: Duration = Duration::from_secs(5);

/// Which way to the kernel a runtime takes. Programs see no difference but speed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Driver {
    /// What the variable `KRUG_DRIVER` of the environment names: `auto`, `uring`, `epoll` or `sim`. If it names none: io_uring, or, where
    /// the system refuses to make a ring for whatever reason, epoll. One warning then says why, and what to do about it;
    /// [`doctor`](crate::doctor()) says it at any time, and more.
    #[default]
    Auto,
    /// io_uring, or an error.
    Uring,
    /// epoll and non-blocking calls, with threads for what waits for a disk.
    Epoll,
    /// Nothing is real: the runtime is a host of its own in a simulated world, with a loopback network, an empty disk, and a clock that jumps to
    /// what comes next. What happens follows from the [seed](Builder::seed). A program meets nobody else there: for several hosts, and for faults,
    /// see [`sim`](crate::sim). `KRUG_SIM_TRACE=file` writes down what happens. Several such runtimes may live on one thread, and end in any order;
    /// one that is made while another one runs there is used when that rests.
    Sim,
}

impl Driver {
    pub(crate) fn chosen(choice: Choice) -> Driver {
        match choice {
            Choice::Auto => Driver::Auto,
            Choice::Uring => Driver::Uring,
            Choice::Epoll => Driver::Epoll,
            Choice::Sim => Driver::Sim,
        }
    }
}

/// The settings of a [`Runtime`]; the defaults are right for most programs.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until build is called"]
pub struct Builder {
    settings: Settings,
    /// The program has chosen the seed.
    is_seeded: bool,
    cores: Cores,
    is_pinned: bool,
    /// `None`: as long as it pays, where it does.
    spin: Option<Duration>,
    core_thread_name: String,
    shutdown_deadline: Duration,
    panic_policy: PanicPolicy,
    watchdog: Option<Duration>,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder::new()
    }
}

impl Builder {
    /// The defaults.
    pub fn new() -> Builder {
        let seed = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0);
        let settings = Settings {
            driver: Config {
                seed,
                ..Config::default()
            },
            linger: LINGER_DEFAULT,
            receive: ReceiveSettings::default(),
            registered_memory: REGISTERED_MEMORY_DEFAULT,
            spawn_backlog: SPAWN_BACKLOG_DEFAULT,
            class_shares: SHARES_DEFAULT,
            start_paused: false,
            panics: PanicResponse::Isolate,
            spin: Duration::ZERO,
            board: None,
        };
        Builder {
            settings,
            is_seeded: false,
            cores: Cores::One,
            is_pinned: false,
            spin: None,
            core_thread_name: "krug-core".into(),
            shutdown_deadline: SHUTDOWN_DEADLINE_DEFAULT,
            panic_policy: PanicPolicy::Isolate,
            watchdog: None,
        }
    }

    /// The settings of a simulated core.
    pub(crate) fn of_simulation(mut self, seed: u64) -> Settings {
        self.settings.driver.choice = Choice::Sim;
        self.settings.driver.seed = seed;
        self.settings
    }

    /// Which driver to use, [`Driver::Auto`] unless set.
    pub fn driver(mut self, driver: Driver) -> Builder {
        self.settings.driver.choice = match driver {
            Driver::Auto => Choice::Auto,
            Driver::Uring => Choice::Uring,
            Driver::Epoll => Choice::Epoll,
            Driver::Sim => Choice::Sim,
        };
        self
    }

    /// How many cores the runtime has: [`Cores::One`], the calling thread, unless set. A number means [`Cores::Count`]. All settings
    /// that speak of a core hold for each of them. All cores use the driver that core 0 has got: where [`Driver::Auto`]
    /// falls back on epoll there, it does everywhere. With [`Driver::Sim`] all cores take their turns on the calling thread, in an order that
    /// follows from the [seed](Builder::seed): see the [module's docs](super).
    ///
    /// ```
    /// use krug::runtime::{Builder, Cores};
    ///
    /// let runtime = Builder::new().cores(Cores::All).pin(true).build()?;
    /// let outputs = runtime.run_on_every(|core| async move { core * 2 });
    /// assert_eq!(outputs.len(), runtime.handles().len());
    /// # std::io::Result::Ok(())
    /// ```
    pub fn cores(mut self, cores: impl Into<Cores>) -> Builder {
        self.cores = cores.into();
        self
    }

    /// Whether each core stays on one processor; it does not unless set. One NUMA node is filled before the next, and in a node every
    /// physical core before the second hyperthread of any. More cores than processors begin at the first one again.
    ///
    /// The thread that builds the runtime is core 0, and is bound, too, until the runtime ends. Threads for work that
    /// blocks are not; threads that tasks start themselves inherit the processor of their core.
    pub fn pin(mut self, pin: bool) -> Builder {
        self.is_pinned = pin;
        self
    }

    /// For how long at most, up to 1 ms, a core that has nothing to do looks on for something to come before it sleeps. Zero: it sleeps at once. Unless set:
    /// 100 µs where each core has a processor for itself, which is where they are [pinned](Builder::pin), not more than there are processors, and not bounded by
    /// a quota of a control group; elsewhere zero.
    ///
    /// To wake a core that sleeps takes tens of microseconds, which is most of what a lone request takes, or a message from another core. A core
    /// that looks on uses its processor meanwhile, so it learns how often: if nothing comes it lets one sleep pass before it looks on again, then 3, 7,
    /// up to 255; if something has come it looks on before each. And it learns for how long: at first for 20 µs; a sleep after which that would have
    /// been too short, but not what is set here, doubles it, and a longer sleep halves it, to no less than at first. It sleeps at once after a turn in which more than two
    /// operations have completed. An idle core sleeps. [`Metrics::spinning`](super::Metrics::spinning) says
    /// how long it was. On epoll, where it takes a system call to see whether something has come, and in a simulation a core never looks on.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// // The lowest latency that there is, also for what comes twice in a millisecond; at the cost of the processor.
    /// let runtime = krug::Runtime::builder().pin(true).spin(Duration::from_millis(1)).build()?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn spin(mut self, longest: Duration) -> Builder {
        self.spin = Some(longest.min(SPIN_MAX));
        self
    }

    /// What the threads of cores are called, `krug-core` unless set: a hyphen and the number of the core follow. The
    /// kernel shows the first 15 bytes. The thread of core 0 keeps its name.
    ///
    /// # Panics
    ///
    /// If there is a zero byte in it.
    pub fn core_thread_name(mut self, name: impl Into<String>) -> Builder {
        let name = name.into();
        assert!(!name.contains('\0'), "a zero byte in the name of a thread");
        self.core_thread_name = name;
        self
    }

    /// Entries of the submission queue, 1 to 32768, 256 unless set; the kernel rounds up to a power of two. It bounds
    /// one system call, not the program: when more is submitted in one turn, the turn makes more calls.
    pub fn entries(mut self, entries: u32) -> Builder {
        self.settings.driver.entries = entries.clamp(1, 32768);
        self
    }

    /// Entries of the completion queue, four times those of the submission queue unless set. Nothing is lost when it
    /// overflows, but the kernel allocates.
    pub fn completion_entries(mut self, entries: u32) -> Builder {
        self.settings.driver.completion_entries = Some(entries.clamp(1, 65536));
        self
    }

    /// The seed of the runtime's choices, such as the order in which `select!` looks at its branches.
    /// With [`Driver::Sim`], everything follows from it. Unless set: what the variable `KRUG_SIM_SEED` says; else random.
    pub fn seed(mut self, seed: u64) -> Builder {
        self.settings.driver.seed = seed;
        self.is_seeded = true;
        self
    }

    /// How long a dropped or closed stream may go on sending what was written; 5 s unless set.
    pub fn linger(mut self, linger: Duration) -> Builder {
        self.settings.linger = linger;
        self
    }

    /// How much memory, in bytes, [`buf::alloc`](crate::buf::alloc) carves buffers from that the kernel knows; 1 MiB unless set,
    /// rounded up to a power of two, at most 1 GiB. It is locked when the first buffer is made, and counts against
    /// `RLIMIT_MEMLOCK`. 0: none, all buffers come from the heap.
    pub fn registered_memory(mut self, bytes: usize) -> Builder {
        self.settings.registered_memory = match bytes {
            0 => 0,
            _ => bytes.min(ARENA_MAX).next_power_of_two(),
        };
        self
    }

    /// The size of the buffers into which `recv` receives, in bytes; 4096 unless set, at least 64 and at most 1 MiB, rounded up to a
    /// multiple of 64. A chunk is never longer.
    pub fn receive_buffer_size(mut self, bytes: usize) -> Builder {
        self.settings.receive.buffer_size = bytes.clamp(64, 1 << 20).next_multiple_of(64);
        self
    }

    /// How many buffers `recv` has to receive into; 4096 unless set, at most 32768. It begins with 64 and doubles their number
    /// whenever there are too few. 0: each receive allocates its memory.
    pub fn receive_buffers_max(mut self, count: usize) -> Builder {
        self.settings.receive.buffers_max = count.min(1 << 15);
        self
    }

    /// How much memory of these buffers, in bytes, one stream may fill ahead, 256 KiB unless set. Chunks that are kept count.
    /// At this mark it stops, and goes on at a quarter of it; in between `recv` receives one piece for
    /// each call, into memory of its own.
    pub fn receive_ahead(mut self, bytes: usize) -> Builder {
        self.settings.receive.ahead_max = bytes;
        self
    }

    /// How long dropping the runtime may take; 5 s unless set. See [`Runtime::shutdown`].
    pub fn shutdown_deadline(mut self, deadline: Duration) -> Builder {
        self.shutdown_deadline = deadline;
        self
    }

    /// What a panic of a task leads to, on any core; [`PanicPolicy::Isolate`] unless set.
    ///
    /// ```should_panic
    /// use krug::runtime::{Builder, PanicPolicy};
    ///
    /// let runtime = Builder::new().panic_policy(PanicPolicy::Shutdown).build().unwrap();
    /// runtime.block_on(async {
    ///     // Nobody joins it, and yet it does not go unnoticed.
    ///     drop(krug::spawn(async { panic!("the invariant is broken") }));
    ///     std::future::pending::<()>().await
    /// });
    /// ```
    pub fn panic_policy(mut self, policy: PanicPolicy) -> Builder {
        self.panic_policy = policy;
        self
    }

    /// How many threads may work on regular files for this core, at least 1: the kernel's, or, on epoll, ours. Unless set it is the
    /// kernel's own bound: four times the number of processors, or the entries of the submission queue if those are fewer.
    /// Which operations they do is in the docs of [`fs`](crate::fs).
    pub fn file_threads(mut self, max: u32) -> Builder {
        self.settings.driver.file_threads_max = Some(max.max(1));
        self
    }

    /// How many threads do what would block the core, at least 1, 64 unless set: what is given to
    /// [`spawn_blocking`](crate::spawn_blocking), and what the docs of [`fs`](crate::fs) say; on epoll everything that waits for a
    /// disk. They start when they are needed and end when they have been idle for 10 s; what comes beyond waits its turn.
    pub fn blocking_threads(mut self, max: usize) -> Builder {
        self.settings.driver.pool.threads_max = max.max(1);
        self
    }

    /// How many calls of [`spawn_blocking`](crate::spawn_blocking) may wait for a thread, without a bound unless set. One that comes
    /// beyond is [refused](crate::task::JoinError::is_refused). What the runtime itself gives to threads waits
    /// in any case: whoever has asked for it waits, too.
    pub fn blocking_queue(mut self, max: usize) -> Builder {
        self.settings.driver.pool.queue_max = Some(max);
        self
    }

    /// What these threads are called, `krug-blocking` unless set; the kernel shows the first 15 bytes.
    ///
    /// # Panics
    ///
    /// If there is a zero byte in it.
    pub fn blocking_thread_name(mut self, name: impl Into<String>) -> Builder {
        let name = name.into();
        assert!(!name.contains('\0'), "a zero byte in the name of a thread");
        self.settings.driver.pool.thread_name = name.into();
        self
    }

    /// How many tasks may be on their way to this core, sent by [`spawn_on`](crate::spawn_on) or
    /// [`CoreHandle::spawn`](crate::CoreHandle::spawn) and not taken in yet, at least 1; 4096 unless set. A core takes in all that has come with
    /// each turn. What is sent beyond comes back with an error; [`CoreHandle::call`](crate::CoreHandle::call) waits.
    pub fn spawn_backlog(mut self, tasks: usize) -> Builder {
        let tasks = u32::try_from(tasks).unwrap_or(u32::MAX);
        self.settings.spawn_backlog = tasks.clamp(1, SPAWN_BACKLOG_MAX);
        self
    }

    /// Has a thread watch the cores: a task that is polled for longer than `limit` without giving way, so that nothing else runs on its
    /// core, is reported while it goes on by a warning of `tracing`, which names the core and the line that has spawned the task; once for each
    /// poll that takes so long. So is what is given to `block_on`.
    ///
    /// The thread looks four times in `limit`, at most once in a millisecond; a core does one more store for each poll. Unless set there is no such
    /// thread. In a simulation it is ignored: no time passes there during a poll.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = krug::Runtime::builder().watchdog(Duration::from_millis(100)).build()?;
    /// runtime.block_on(async { /* short polls */ });
    /// # std::io::Result::Ok(())
    /// ```
    pub fn watchdog(mut self, limit: Duration) -> Builder {
        self.watchdog = Some(limit);
        self
    }

    /// How tasks of the three classes share a core while all of them want it; 16, 4 and 1 unless set, each at least 1 and at most 100. What that
    /// means is in the docs of [`task`](crate::task#classes).
    ///
    /// ```
    /// use krug::runtime::Builder;
    ///
    /// // Background work gets a tenth of a core that has more to do than it can.
    /// let runtime = Builder::new().class_shares(60, 30, 10).build()?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn class_shares(mut self, latency: u32, default: u32, background: u32) -> Builder {
        let shares = [latency, default, background];
        self.settings.class_shares = shares.map(|share| share.clamp(1, SHARE_MAX));
        self
    }

    /// Starts with the clock of each core paused, for tests: see [`time::pause`](crate::time::pause).
    pub fn start_paused(mut self, paused: bool) -> Builder {
        self.settings.start_paused = paused;
        self
    }

    /// What goes wrong, and when: for tests.
    #[cfg(feature = "fault-injection")]
    pub fn faults(mut self, faults: crate::driver::Faults) -> Builder {
        self.settings.driver.faults = faults;
        self
    }

    /// Makes the runtime: core 0 on this thread, and a thread for each other core, which runs from now on.
    ///
    /// # Errors
    ///
    /// If the driver that was chosen cannot be made, or, with [`Driver::Auto`], none; the message says why and what to do. That of another core
    /// than 0 names the core; those that were made are ended.
    /// If the system gives no thread for a [watchdog](Builder::watchdog).
    /// `InvalidInput` if `KRUG_DRIVER` names no driver, there is to be no core, or on a processor where this thread may not run.
    pub fn build(&self) -> io::Result<Runtime> {
        let mut settings = self.settings.clone();
        if !self.is_seeded
            && let Some(seed) = crate::driver::seed_of_environment()?
        {
            settings.driver.seed = seed;
        }
        settings.panics = self.panic_response();
        let is_simulated = settings.driver.choice.resolve()? == Choice::Sim;
        let plan = match is_simulated {
            true => Plan::simulated(&self.cores)?,
            false => Plan::of(&self.cores, self.is_pinned)?,
        };
        if is_simulated && plan.places.len() > 1 {
            return self.build_simulated(plan.places.len(), settings);
        }
        let pays = plan.is_a_processor_for_each() && !crate::doctor::has_quota();
        settings.spin = self.spin.unwrap_or(match pays {
            true => SPIN_DEFAULT,
            false => Duration::ZERO,
        });
        let watchdog = self.watchdog.filter(|_| !is_simulated);
        let boards: Vec<_> = match watchdog {
            Some(_) => plan.places.iter().map(|_| Arc::default()).collect(),
            None => Vec::new(),
        };
        settings.board = boards.first().cloned();
        settings.driver.pool.processors = plan.helpers;
        let mut places = plan.places.into_iter();
        let first = places.next().flatten();
        let bound = first.map(|place| Bound::to(&place)).transpose()?;
        let worker = Worker::new(&settings)?;
        settings.driver.choice = worker.core().driver.borrow().choice();
        let watchdog = watchdog
            .map(|limit| Watchdog::start(limit, boards.clone()))
            .transpose()?;
        let others = self.start_others(places, worker.id(), &settings, &boards)?;
        worker.core().scheduler.join_team(others.cores.clone());
        Ok(Runtime {
            worker: Some(worker),
            others: Others::Threads(others.threads),
            cores: others.cores,
            shutdown_deadline: self.shutdown_deadline,
            panics: settings.panics,
            watchdog,
            _bound: bound,
        })
    }
}
