//! [`Runtime`]: one core or several, each with a ring and tasks of its own.
//!
//! ```
//! let runtime = krug::Runtime::new()?;
//! let sum = runtime.block_on(async {
//!     let task = krug::spawn(async { 20 });
//!     task.await.unwrap() + 22
//! });
//! assert_eq!(sum, 42);
//! # std::io::Result::Ok(())
//! ```
//!
//! # Cores
//!
//! A runtime has one core, the thread that made it, unless [`Builder::cores`] says more. Nothing is shared between cores: a task, a stream, a
//! timer belongs to the core that made it. What is to happen on another core is sent there as a closure, and its
//! result comes back:
//!
//! ```
//! use krug::runtime::{Runtime, run_on_every};
//! use krug::{CoreHandle, spawn_on};
//!
//! let runtime = Runtime::builder().cores(2).build()?;
//! runtime.block_on(async {
//!     // On one core: the closure is sent, the future it makes stays there, and need not be `Send`.
//!     let other = CoreHandle::of_all_cores()[1];
//!     let task = spawn_on(other, || async { std::rc::Rc::new(42).to_string() });
//!     assert_eq!(task.unwrap().await.unwrap(), "42");
//!     // On all of them: a service in parts.
//!     assert_eq!(run_on_every(|core| async move { core }).await, [0, 1]);
//! });
//! # std::io::Result::Ok(())
//! ```
//!
//! | core | thread | runs | ends |
//! |---|---|---|---|
//! | 0 | the one that made the runtime | in `block_on` | with the runtime |
//! | each other | its own, `krug-core-1` and so on | from `build` on | with the runtime, or when its driver fails: then its tasks are cancelled, its handles err, and the others live on |
//!
//! What a panic of a task leads to is set with [`Builder::panic_policy`]: by default it goes to the joiner, and the core lives on.
//!
//! A clock that is [paused](Builder::start_paused) is that of its core alone.
//!
//! On the driver [`Sim`](Driver::Sim) all cores run on the thread that made the runtime, and only while it is in [`block_on`](Runtime::block_on) or
//! shuts down: one at a time takes a turn, drawn from the [seed](Builder::seed) among those that have something to do. A task that blocks its
//! thread until another core does something waits for ever. Work that blocks and wants to run such a runtime gets the error [`NestedBlockOn`].
//!
//! # What it does
//!
//! [`Metrics`] says what a core has done, and how long that took: [`Runtime::metrics`] of core 0, [`CoreHandle::metrics`] of any. It is always on.
//! [`Dump`] lists tasks and operations at one moment, each with its age and the line that spawned it: [`Runtime::dump`], [`CoreHandle::dump`].
//!
//! A subscriber of `tracing` that wants the level `TRACE` sees a span `task` with the target `krug::task` for each task, with the place that
//! has spawned it, entered in each poll; and events with the target `krug::operation` when an operation begins and when it completes. Where nobody
//! wants that, each costs a look at one number.
//!
//! With the feature `console` the same subscriber is told what [tokio-console](https://docs.rs/tokio-console) reads: tasks with the places that have
//! spawned them, their polls and wakers; streams, listeners, files and timers as resources; and operations in flight as the async operations of
//! those, each with the task that waits for it. Operations that are over at once are none, and a future that waits for what its source
//! receives or accepts ahead polls none. The program sets up [`console-subscriber`](https://docs.rs/console-subscriber) as its subscriber, and is
//! built with `RUSTFLAGS="--cfg console_without_tokio_unstable"`, as that asks for tokio's own instrumentation else. Without a subscriber each
//! of them costs a look at one number, and without the feature nothing.
//!
//! [`Builder::watchdog`] reports tasks that hold their cores.
//! [`dump_on`] shows what all cores are doing whenever the process gets a signal.
//!
//! # Shutdown
//!
//! A server that is to finish what it has begun does so before: see [`shutdown`](crate::shutdown).
//!
//! [`Runtime::shutdown`], and dropping the runtime, end everything in this order:
//!
//! 1. nothing new starts;
//! 2. every task's future is dropped, while the ring lives; joiners see `cancelled`;
//! 3. what was accepted for sending drains, for half of the deadline;
//! 4. everything in flight is cancelled;
//! 5. the runtime waits until the kernel has let go of everything, until the deadline;
//! 6. the ring is closed, and the memory freed.
//!
//! All cores do so at the same time, within the one deadline. A core comes to it when its tasks give way; one with a task that
//! never does is waited for until 100 ms after the deadline, then its thread is left behind and reported.
//!
//! What the kernel still holds at the deadline is leaked and logged, never freed: the
//! kernel may still write to it.
//!
//! # Bounds and defaults
//!
//! | bound | default | set with |
//! |---|---|---|
//! | submission queue | 256 entries; more than that in one turn takes more system calls | [`Builder::entries`] |
//! | completion queue | 4 × the submission queue; what overflows waits in the kernel, nothing is lost | [`Builder::completion_entries`] |
//! | staged operations of one turn | none: as many as the tasks start | |
//! | operations in flight | 2²⁸ a core | |
//! | connections taken ahead of `accept` | 16 beyond those waited for, looked at once a turn: one turn may take all that wait in the kernel | |
//! | connections waiting in the kernel | 1024, at most `somaxconn` | [`TcpSocket::listen`](crate::net::TcpSocket::listen) |
//! | receives, sends in flight | 1 each a stream; others wait in order | |
//! | buffers to receive into | 4096 of 4096 bytes a core, 64 at first; beyond them memory of the stream's own | [`Builder::receive_buffers_max`], [`Builder::receive_buffer_size`] |
//! | received ahead of `recv` | 256 KiB of buffers a TCP stream, kept chunks included, looked at once a completion; on again below a quarter of it | [`Builder::receive_ahead`] |
//! | registered memory | 1024 KiB a core, locked when first used; beyond it the heap | [`Builder::registered_memory`] |
//! | receives in flight on a datagram socket | 1; others wait in order | |
//! | sends in flight on a datagram socket | 32 on UDP, 1 on Unix sockets; others wait in order | |
//! | datagrams received for dropped futures | 1 a socket: the next receive takes it | |
//! | datagrams received ahead | 64 or 256 KiB a socket, looked at once a turn | [`UdpOptions::receive_ahead`](crate::net::UdpOptions::receive_ahead) |
//! | accepted bytes waiting behind a send, of the borrowing traits | 64 KiB; then a write waits | |
//! | bytes received ahead, of the borrowing traits | 16 KiB | |
//! | bytes that `io::copy` reads at a time | 64 KiB | |
//! | buffer of a `BufReader`, of a `BufWriter` | 8 KiB | `with_capacity` |
//! | length of a line | none | [`BufReader::max_length`](crate::io::BufReader::max_length) |
//! | bytes of one operation | 2 GiB − 4 KiB; longer ones are continued or short | |
//! | linger of a closed stream | 5 s | [`Builder::linger`], `set_linger_time` |
//! | shutdown deadline | 5 s, half of it for draining | [`Builder::shutdown_deadline`], [`Runtime::shutdown`] |
//! | polls of tasks in one turn | 256 or 500 µs, whichever comes first; what was ready at the turn's beginning is polled in any case, unless classes of tasks mix | |
//! | shares of the classes of tasks | 16 latency, 4 default, 1 background; from 1 to 100 | [`Builder::class_shares`] |
//! | time that a poll takes for one unit of its class's share | 2 µs | |
//! | budget of one poll | 128 operations of primitives that may be always ready | |
//! | cores | 1 | [`Builder::cores`] |
//! | waiting for a core beyond the shutdown deadline | 100 ms | |
//! | tasks on their way to a core | 4096; beyond them an error, or waiting | [`Builder::spawn_backlog`] |
//! | stealable tasks that are ready on a core | none; beyond 1024 they take a lock | |
//! | stealable tasks polled before the other tasks of a core | 16 | |
//! | control messages between threads | none: they cannot fail | |
//! | kernel threads for requests that block | 128 a core | |
//! | threads for regular files, the kernel's or, on epoll, of those for work that blocks | the kernel's bound: the smaller one of the submission queue and 4 × the processors, a core | [`Builder::file_threads`] |
//! | threads for work that blocks | 64 a core, each for 10 s after its last work; more work waits | [`Builder::blocking_threads`] |
//! | work that waits for such a thread | none; else what comes beyond is refused | [`Builder::blocking_queue`] |
//! | permits of a semaphore | as many as it is made with, at most 2⁶¹ − 1 | [`Semaphore::new`](crate::sync::Semaphore::new) |
//! | readers of an `RwLock` at the same time | 2²⁹ − 1 | [`RwLock::with_max_readers`](crate::sync::RwLock::with_max_readers) |
//!
//! # Errors of the kernel
//!
//! | errno | where | what krug does | test |
//! |---|---|---|---|
//! | `EINTR` | anywhere | submits again | `signals_during_a_wait_disturb_nobody` |
//! | `EAGAIN` | read, write on a descriptor that somebody made non-blocking | waits until it is ready, tries again | `a_call_that_would_block_waits_until_it_can_go_on` |
//! | `EAGAIN`, `EBUSY` | submitting | takes completions in, tries again | `bug_020_a_busy_kernel_is_asked_again` |
//! | `ETIME` | waiting | the deadline of a timer: not an error | `a_deadline_is_never_early_and_not_very_late` |
//! | `ENOBUFS` | receive, send | waits until it is ready, tries again | `an_echo_notices_no_fault` |
//! | `ENOBUFS` | `recv`, no buffer left | makes more, else receives into memory of its own | `running_out_of_buffers_at_any_operation_is_no_error` |
//! | `ENOMEM`, `EPERM` | locking memory for buffers | goes on with plain memory, with one warning | `a_small_limit_of_locked_memory_costs_one_warning` |
//! | `ECANCELED` | asked for by a drop, close or shutdown | ends the operation; nobody sees it | `life_any_close` |
//! | `ECANCELED` | not asked for | submits again where that does no harm, else reports it | `life_completion_unasked_cancel` |
//! | `EMFILE`, `ENFILE`, `ENOMEM` | accept | waits 10 ms, doubled up to 1 s, and tries again, with a warning; connections wait in the kernel | `bug_070_without_descriptors_accept_waits_and_does_not_spin` |
//! | `ECONNABORTED`, `EPROTO` | accept | goes on | `a_connection_that_was_reset_while_it_waited_is_returned_and_says_so` |
//! | `EPIPE` | write | reported; never a signal on sockets | `bug_073_a_peer_that_is_gone_is_an_error_and_no_signal` |
//! | `ECONNRESET` and all others | anywhere | reported, as the standard library would | `an_error_of_a_stream_stays_and_comes_after_the_bytes_before_it` |
//! | any | making a ring | goes on with epoll, with one warning that names the likely cause and what to do; if a ring was demanded ([`Driver::Uring`]) that is the error | `what_cannot_be_mended_names_its_cause_and_remedy` |
#![doc = include_str!("types.md")]

mod builder;
mod capabilities;
mod cores;
mod dump;
mod every;
mod handle;
mod metrics;
mod panics;
mod processors;
#[cfg(test)]
mod tables;
mod threads;

use std::cell::RefCell;
use std::io;
use std::time::Duration;

pub use crate::cores::SpawnError;
#[cfg(feature = "fault-injection")]
pub use crate::driver::Faults;
pub use crate::observe::{
    Dump, Histogram, OperationEntry, OperationKind, OperationOwner, OperationState, TaskEntry,
    TaskState,
};
pub use crate::task::PanicPolicy;
pub(crate) use builder::REGISTERED_MEMORY_DEFAULT;
pub use builder::{Builder, Driver};
pub use capabilities::Capabilities;
pub use cores::Cores;
pub use dump::dump_on;
pub use every::run_on_every;
pub use metrics::Metrics;

use crate::context;
use crate::cores::CoreHandle;
use crate::cores::Team;
use crate::driver;
use crate::observe::Watchdog;
use crate::task::{JoinHandle, PanicResponse};
use crate::worker::{Remains, Siblings, Worker};
use cores::Bound;
use threads::CoreThread;

/// One core, or several: each a ring, a scheduler, timers. Core 0 lives on the thread that made the runtime (which is
/// not `Send`), and runs while [`block_on`](Runtime::block_on) does. Each [other one](Builder::cores) is a thread of its own,
/// and runs from the beginning to the shutdown.
///
/// Dropping it shuts it down with the default deadline, see [`Builder::shutdown_deadline`]; that blocks.
pub struct Runtime {
    /// Taken at shutdown.
    worker: Option<Worker>,
    others: Others,
    /// All cores, in their order.
    cores: Team,
    shutdown_deadline: Duration,
    panics: PanicResponse,
    watchdog: Option<Watchdog>,
    /// Dropped last: the thread may run where it could before.
    _bound: Option<Bound>,
}

/// All cores of a runtime but the first one.
enum Others {
    Threads(Vec<CoreThread>),
    /// On the thread of the first one.
    Simulated(RefCell<Siblings>),
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let id = self.worker.as_ref().map(Worker::id);
        f.debug_struct("Runtime")
            .field("core", &id)
            .finish_non_exhaustive()
    }
}

impl Runtime {
    /// A runtime with the defaults.
    ///
    /// # Errors
    ///
    /// If the system gives neither a ring nor an epoll set, most likely for want of descriptors; the message says why, and what to
    /// do. `InvalidInput` if `KRUG_DRIVER` names no driver.
    pub fn new() -> io::Result<Runtime> {
        Builder::new().build()
    }

    /// A runtime to be, with its settings.
    pub fn builder() -> Builder {
        Builder::new()
    }

    fn worker(&self) -> &Worker {
        self.worker
            .as_ref()
            .expect("taken only by shutdown, which consumes the runtime")
    }

    /// Runs `future` on this thread until it is ready, and with it all tasks of core 0.
    /// Tasks that are left go on in the next call.
    ///
    /// # Panics
    ///
    /// If this thread is running a runtime already: await the future there, or
    /// [`spawn`](crate::spawn) it. [`try_block_on`](Runtime::try_block_on) gives an error instead.
    /// A panic of `future` comes through; the runtime can be used afterwards. With [`PanicPolicy::Shutdown`]
    /// also the first panic of a task does, on whichever core, and nothing runs afterwards.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        match self.try_block_on(future) {
            Ok(output) => output,
            Err(error) => panic!("{error}"),
        }
    }

    /// As [`block_on`](Runtime::block_on), but inside a runtime it is an error.
    ///
    /// # Errors
    ///
    /// If this thread is running a runtime already; `future` is dropped then.
    #[track_caller]
    pub fn try_block_on<F: Future>(&self, future: F) -> Result<F::Output, NestedBlockOn> {
        if context::current_id().is_some() {
            return Err(NestedBlockOn(()));
        }
        match &self.panics {
            PanicResponse::Shutdown(first) => {
                let ended = self.run(panics::unless_paniced(first, future))?;
                if ended.is_err()
                    && let Others::Simulated(siblings) = &self.others
                {
                    siblings.borrow_mut().end_others(first.deadline());
                }
                Ok(panics::or_panic(ended))
            }
            PanicResponse::Isolate | PanicResponse::Abort => self.run(future),
        }
    }

    #[track_caller]
    fn run<F: Future>(&self, future: F) -> Result<F::Output, NestedBlockOn> {
        let Others::Simulated(siblings) = &self.others else {
            return Ok(self.worker().block_on(future));
        };
        // Work that blocks is outside of its core, and yet within its turn.
        let mut siblings = siblings.try_borrow_mut().map_err(|_| NestedBlockOn(()))?;
        Ok(siblings.block_on(self.worker(), future))
    }

    /// Spawns a task on core 0; it runs during [`block_on`](Runtime::block_on). Dropping the handle detaches the task.
    #[track_caller]
    pub fn spawn<F: Future + 'static>(&self, future: F) -> JoinHandle<F::Output> {
        let worker = self.worker();
        if context::current_id() != Some(worker.id()) {
            worker.look_at_clock();
        }
        worker.core().scheduler.spawn(future)
    }

    /// A handle with which other threads can spawn on core 0.
    pub fn handle(&self) -> CoreHandle {
        CoreHandle::new(self.worker().id())
    }

    /// A handle for each core, in their order.
    pub fn handles(&self) -> Vec<CoreHandle> {
        self.cores.iter().copied().map(CoreHandle::new).collect()
    }

    /// The handle of the core of this number; `None` if there are not so many.
    pub fn core(&self, number: usize) -> Option<CoreHandle> {
        self.cores.get(number).copied().map(CoreHandle::new)
    }

    /// [Runs](run_on_every) what `make` makes on every core, and blocks until it is done everywhere. Called as `block_on` is.
    ///
    /// # Panics
    ///
    /// As [`block_on`](Runtime::block_on) and [`run_on_every`].
    #[track_caller]
    pub fn run_on_every<M, F>(&self, make: M) -> Vec<F::Output>
    where
        M: FnOnce(usize) -> F + Clone + Send + 'static,
        F: Future<Output: Send> + 'static,
    {
        self.block_on(run_on_every(make))
    }

    /// Which driver it runs on; never [`Driver::Auto`].
    pub fn driver(&self) -> Driver {
        Driver::chosen(self.worker().core().driver.borrow().choice())
    }

    /// Why this runtime runs on epoll although a ring would have been preferred: what the system answered, the likely cause, and
    /// what to do about it. `None` if nobody asked for a ring, or there is one. [`doctor`](crate::doctor()) says more.
    pub fn fallback_reason(&self) -> Option<String> {
        let driver = self.worker().core().driver.borrow();
        driver.refusal().map(ToString::to_string)
    }

    /// What core 0 has done since it was made. Other cores are asked by [`CoreHandle::metrics`].
    pub fn metrics(&self) -> Metrics {
        Metrics::of(self.worker())
    }

    /// What core 0 has at this moment. Other cores are asked by [`CoreHandle::dump`].
    pub fn dump(&self) -> Dump {
        dump::of(self.worker())
    }

    /// What its driver can do, on this kernel.
    pub fn capabilities(&self) -> Capabilities {
        Capabilities::of(self.worker().core().driver.borrow().capabilities())
    }

    /// Ends the runtime within `deadline`, as the [module's docs](self) say, and tells what could not be
    /// ended. Blocks. All cores end at the same time. One with a task that never gives way is waited for until 100 ms after the
    /// deadline; then its thread is left behind, and ends when it can.
    pub fn shutdown(mut self, deadline: Duration) -> ShutdownReport {
        self.end(deadline)
    }

    fn end(&mut self, deadline: Duration) -> ShutdownReport {
        let others = std::mem::replace(&mut self.others, Others::Threads(Vec::new()));
        let Some(worker) = self.worker.take() else {
            return ShutdownReport::default();
        };
        if driver::has_forked() {
            // The threads are the parent's, and whatever a lock of theirs says was true at the moment of the fork.
            std::mem::forget(others);
            std::mem::forget(self.watchdog.take());
            worker.shutdown(deadline);
            return ShutdownReport::default();
        }
        let others = match others {
            Others::Threads(threads) => threads,
            Others::Simulated(siblings) => {
                return ShutdownReport::of(siblings.into_inner().shutdown(worker, deadline));
            }
        };
        for other in &others {
            other.ask_to_end(deadline);
        }
        let mut report = ShutdownReport::of(worker.shutdown(deadline));
        for other in others {
            report.add(other.end());
        }
        report
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if self.worker.is_some() {
            self.end(self.shutdown_deadline);
        }
    }
}

/// What [`Runtime::shutdown`] could not end in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Tasks whose future could not be dropped.
    pub tasks: usize,
    /// Operations that the kernel still held: leaked with their memory.
    pub operations: usize,
    /// Cores with a task that did not give way until the deadline: their threads are left behind, and what they have is not counted.
    pub cores_stuck: usize,
    /// Cores that had ended before, because their driver or the thread itself had failed; a message of the panic hook said why.
    pub cores_failed: usize,
}

impl ShutdownReport {
    /// True if everything was ended.
    pub fn is_clean(&self) -> bool {
        *self == ShutdownReport::default()
    }

    fn of(remains: Remains) -> ShutdownReport {
        ShutdownReport {
            tasks: remains.tasks,
            operations: remains.operations,
            ..ShutdownReport::default()
        }
    }

    fn add(&mut self, other: ShutdownReport) {
        self.tasks += other.tasks;
        self.operations += other.operations;
        self.cores_stuck += other.cores_stuck;
        self.cores_failed += other.cores_failed;
    }
}

/// The error of [`Runtime::try_block_on`] inside a runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NestedBlockOn(());

impl std::fmt::Display for NestedBlockOn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(
            "block_on was called on a thread that is running a krug runtime already: \
             await the future, or spawn it as a task",
        )
    }
}

impl std::error::Error for NestedBlockOn {}
