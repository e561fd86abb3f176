//! [`Metrics`]: what a runtime has done.

use crate::buf::pool;
use crate::context;
use crate::inflight::{self, Slots};
use crate::source::{self, Sources};
use crate::worker::Worker;

/// Counts since the runtime was made, and what is alive now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Turns of the loop.
    pub turns: u64,
    /// Polls of tasks, and of the futures given to `block_on`.
    pub polls: u64,
    /// System calls that submitted or waited (`io_uring_enter`).
    pub enters: u64,
    /// Operations started.
    pub operations: u64,
    /// Entries that the kernel took, the runtime's own (cancels, closes) among them.
    pub submitted: u64,
    /// Completions that the kernel gave.
    pub completions: u64,
    /// Times the completion queue had overflowed into the kernel's memory.
    pub overflows: u64,
    /// Cancels that were sent.
    pub cancels: u64,
    /// Completions that belonged to nothing in flight. Always 0, or something is wrong.
    pub stale_completions: u64,
    /// Reads whose futures were dropped and whose results the stream kept.
    pub adopted: u64,
    /// Streams whose linger time ended before everything was sent.
    pub lingered_out: u64,
    /// Times the kernel found no buffer to receive into.
    pub buffer_starvations: u64,
    /// Buffers that exist for `recv`.
    pub buffers_total: usize,
    /// Buffers that were filled and have not come back: they wait in a stream, or are chunks.
    pub buffers_leased: usize,
    /// Tasks that have not ended.
    pub tasks: usize,
    /// Times a task has paniced: in a poll, or in the destructor of its future or output. See [`PanicPolicy`](super::PanicPolicy).
    pub panics: u64,
    /// Operations in flight, or ended and not yet looked at.
    pub operations_alive: usize,
    /// Sockets, listeners and pipes that are open, or still closing.
    pub sources: usize,
    /// Timers that are set.
    pub timers: usize,
}

impl Metrics {
    pub(super) fn of(worker: &Worker) -> Metrics {
        let _inside = worker.enter();
        Metrics::of_this_core().expect("the core was entered")
    }

    /// Of the core that this thread is running, if it does.
    pub(super) fn of_this_core() -> Option<Metrics> {
        let core = context::current()?;
        let driver = core.driver.borrow().counters();
        let (starvations, total, leased) =
            pool::with(|pool| (pool.starvations(), pool.total(), pool.leased()))?;
        Some(Metrics {
            turns: core.counters.turns.get(),
            polls: core.counters.polls.get(),
            enters: driver.enters,
            operations: core.counters.operations.get(),
            submitted: driver.submitted,
            completions: driver.completions,
            overflows: driver.overflows,
            cancels: driver.cancels,
            stale_completions: core.counters.stale.get() + driver.stale_completions,
            adopted: core.counters.adopted.get(),
            lingered_out: core.counters.lingered_out.get(),
            buffer_starvations: starvations,
            buffers_total: total,
            buffers_leased: leased,
            tasks: core.scheduler.live_tasks(),
            panics: core.scheduler.panics().count(),
            operations_alive: inflight::with(Slots::in_use)?,
            sources: source::with(Sources::len)?,
            timers: core.wheel.borrow().len(),
        })
    }
}
