//! [`Metrics`]: what a runtime has done.

use std::fmt;
use std::time::Duration;

use crate::buf::pool;
use crate::context;
use crate::inflight::{self, Slots};
use crate::observe::{Histogram, OperationKind};
use crate::source::{self, Sources};
use crate::worker::Worker;

/// What one core has done since it was made, and what is alive there now. Counting is always on: it costs a few instructions for each
/// operation, and one look at the clock in a turn before the core sleeps. Displayed, it is a table.
///
/// ```
/// use krug::runtime::OperationKind;
///
/// let runtime = krug::Runtime::new()?;
/// runtime.block_on(krug::io::nop())?;
/// let metrics = runtime.metrics();
/// assert_eq!(metrics.latency(OperationKind::Nop).count(), 1);
/// println!("{metrics}");
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Turns of the loop.
    pub turns: u64,
    /// Polls of tasks, and of the futures given to `block_on`.
    pub polls: u64,
    /// Times a task was made ready: by a wake, or to be aborted.
    pub wakes: u64,
    /// Wakes that came from other threads, those of the futures given to `block_on` among them.
    pub wakes_from_afar: u64,
    /// Messages of other threads: wakes, new tasks, and whatever else concerns this core.
    pub messages: u64,
    /// How long it has worked, from the moment at which a turn looks at the clock to the moment at which it may sleep. One in 16 of the turns
    /// that end with sleep looks at the clock a second time; the others are taken to have worked as long as that one.
    pub busy: Duration,
    /// How long it was allowed to sleep. What the kernel does in the same system call, such as sending, is in it. The time outside of
    /// `block_on` is neither.
    pub parked: Duration,
    /// How long it has looked on for work before it slept; see [`Builder::spin`](super::Builder::spin). This is neither of the two.
    pub spinning: Duration,
    /// How often it has looked on.
    pub spins: u64,
    /// How often something came meanwhile.
    pub spins_caught: u64,
    /// System calls that submitted or waited (`io_uring_enter`).
    pub enters: u64,
    /// System calls that were made because they were expected to need no waiting: a read of a file that the kernel may have in its cache; without a
    /// ring whatever descriptor might be ready.
    pub attempts: u64,
    /// Operations started.
    pub operations: u64,
    /// Entries that the kernel took, the runtime's own (cancels, closes) among them.
    pub submitted: u64,
    /// How many of them went to the kernel together.
    pub batches: Histogram,
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
    /// In nanoseconds, for each kind of which there was one; see [`latency`](Metrics::latency).
    latencies: Vec<(OperationKind, Histogram)>,
}

impl Metrics {
    /// How long operations of this kind have taken, in nanoseconds: from the turn that started one to the turn that saw its end, by what the
    /// clock showed in those. One that needed no waiting took 0. Operations that were cancelled are not counted, nor those with many
    /// results.
    pub fn latency(&self, kind: OperationKind) -> Histogram {
        let found = self.latencies.iter().find(|(found, _)| *found == kind);
        found
            .map(|(_, histogram)| histogram.clone())
            .unwrap_or_default()
    }

    /// The same for every kind of which there was an operation.
    pub fn latencies(&self) -> impl Iterator<Item = (OperationKind, &Histogram)> {
        self.latencies
            .iter()
            .map(|(kind, histogram)| (*kind, histogram))
    }

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
        let (wakes, wakes_from_afar) = core.scheduler.wakes();
        Some(Metrics {
            turns: core.counters.turns.get(),
            polls: core.counters.polls.get(),
            wakes,
            wakes_from_afar,
            messages: core.counters.messages.get(),
            busy: core.times.busy(),
            parked: core.times.parked(),
            spinning: core.times.spun(),
            spins: core.counters.spins.get(),
            spins_caught: core.counters.spins_caught.get(),
            enters: driver.enters,
            attempts: driver.attempts,
            operations: core.counters.operations.get(),
            submitted: driver.submitted,
            batches: driver.batches.histogram(),
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
            latencies: core.latencies.histograms(),
        })
    }

    /// What is one number each, with its name.
    fn numbers(&self) -> [(&'static str, u64); 23] {
        [
            ("turns", self.turns),
            ("polls", self.polls),
            ("wakes", self.wakes),
            ("wakes from afar", self.wakes_from_afar),
            ("messages", self.messages),
            ("spins", self.spins),
            ("spins caught", self.spins_caught),
            ("enters", self.enters),
            ("attempts", self.attempts),
            ("operations", self.operations),
            ("submitted", self.submitted),
            ("completions", self.completions),
            ("overflows", self.overflows),
            ("cancels", self.cancels),
            ("stale completions", self.stale_completions),
            ("adopted", self.adopted),
            ("lingered out", self.lingered_out),
            ("buffer starvations", self.buffer_starvations),
            ("buffers leased", self.buffers_leased as u64),
            ("tasks alive", self.tasks as u64),
            ("operations alive", self.operations_alive as u64),
            ("sources alive", self.sources as u64),
            ("timers alive", self.timers as u64),
        ]
    }
}

/// Three tables: numbers, the sizes of batches, and how long operations took.
impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, number) in self.numbers() {
            writeln!(f, "{name:<20}{number:>14}")?;
        }
        for (name, time) in [
            ("busy", self.busy),
            ("parked", self.parked),
            ("spinning", self.spinning),
        ] {
            // A debugged duration minds no width.
            writeln!(f, "{name:<20}{:>14}", format!("{time:.1?}"))?;
        }
        let head = ["", "count", "p50", "p99", "p99.9", "max"];
        let row = |cells: [String; 6]| {
            let [name, numbers @ ..] = cells;
            let numbers = numbers.map(|number| format!("{number:>10}"));
            format!("{name:<14}{}", numbers.concat())
        };
        writeln!(f, "\n{}", row(head.map(str::to_owned)))?;
        let cells = |name: String, histogram: &Histogram, unit: &dyn Fn(u64) -> String| {
            let at = |share| unit(histogram.quantile(share));
            let count = histogram.count().to_string();
            [name, count, at(0.5), at(0.99), at(0.999), at(1.0)]
        };
        let batches = cells("batch".to_owned(), &self.batches, &|size| size.to_string());
        write!(f, "{}", row(batches))?;
        for (kind, latency) in self.latencies() {
            let time = |nanos| format!("{:.1?}", Duration::from_nanos(nanos));
            write!(f, "\n{}", row(cells(kind.to_string(), latency, &time)))?;
        }
        Ok(())
    }
}
