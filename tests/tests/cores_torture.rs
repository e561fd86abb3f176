//! Tasks that are spawned, woken, aborted, joined and dropped across eight cores at random: every one ends, and every output arrives or is
//! dropped once. `KRUG_SEED` repeats what each core does; in a simulation that is everything.

use std::collections::BTreeMap;
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use krug::runtime::Metrics;
use krug::time::sleep;
use krug::{CoreHandle, JoinHandle, spawn_on};
use krug_tests::{Random, iterations, until, with_settings};

krug_tests::on_every_driver!();

const CORES: usize = 8;
const STEPS: usize = 1500;
/// When more wait for somebody to decide about them, each step does.
const KEPT: usize = 64;

/// What all cores know.
#[derive(Default)]
struct Shared {
    /// Futures and closures that exist.
    live: AtomicI64,
    next: AtomicU64,
    /// What is known of the output of each task that has made one.
    outputs: Mutex<BTreeMap<u64, Fate>>,
    handles: Mutex<Vec<Kept>>,
    wakers: Mutex<Vec<Arc<Mutex<Gate>>>>,
}

#[derive(Debug, Default)]
struct Fate {
    made: u32,
    dropped: u32,
}

/// A handle that nobody has yet decided about.
struct Kept {
    id: u64,
    ends_by_itself: bool,
    is_aborted: bool,
    task: JoinHandle<Output>,
}

/// What a task waits for.
#[derive(Default)]
struct Gate {
    is_open: bool,
    waker: Option<Waker>,
}

/// Counts itself among what lives.
struct Live(Arc<Shared>);

impl Live {
    fn new(shared: &Arc<Shared>) -> Live {
        shared.live.fetch_add(1, Ordering::SeqCst);
        Live(shared.clone())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.0.live.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What a task comes to.
struct Output {
    id: u64,
    shared: Arc<Shared>,
}

impl Output {
    fn make(id: u64, shared: &Arc<Shared>) -> Output {
        lock(&shared.outputs).entry(id).or_default().made += 1;
        Output {
            id,
            shared: shared.clone(),
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let mut outputs = lock(&self.shared.outputs);
        outputs.entry(self.id).or_default().dropped += 1;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How a task spends its life.
#[derive(Clone, Copy, Debug)]
enum Life {
    Short,
    Yields(usize),
    Sleeps(Duration),
    /// Until somebody wakes it.
    Waits,
    /// Until it is aborted, or its core ends.
    Forever,
}

impl Life {
    fn draw(random: &Random) -> Life {
        match random.below(10) {
            0..3 => Life::Short,
            3..5 => Life::Yields(random.below(5)),
            5 => Life::Sleeps(random.micros(300)),
            6..9 => Life::Waits,
            _ => Life::Forever,
        }
    }

    async fn live(self, shared: &Arc<Shared>) {
        match self {
            Life::Short => {}
            Life::Yields(times) => {
                for _ in 0..times {
                    krug::task::yield_now().await;
                }
            }
            Life::Sleeps(time) => sleep(time).await,
            Life::Waits => wait(shared).await,
            Life::Forever => pending().await,
        }
    }
}

/// Waits until another core opens the gate, which it finds among all of them.
async fn wait(shared: &Arc<Shared>) {
    let gate = Arc::new(Mutex::new(Gate::default()));
    lock(&shared.wakers).push(gate.clone());
    poll_fn(|cx| {
        let mut gate = lock(&gate);
        gate.waker = Some(cx.waker().clone());
        match gate.is_open {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
}

/// One of them, at random.
fn take<T>(from: &Mutex<Vec<T>>, random: &Random) -> Option<T> {
    let mut from = lock(from);
    let count = from.len();
    (count > 0).then(|| from.swap_remove(random.below(count)))
}

/// Spawns a task on any core.
fn start(shared: &Arc<Shared>, cores: &[CoreHandle], random: &Random) {
    let id = shared.next.fetch_add(1, Ordering::SeqCst);
    let (life, live, there) = (Life::draw(random), Live::new(shared), shared.clone());
    let core = cores[random.below(CORES)];
    let task = match random.below(2) {
        0 => {
            let task = spawn_on(core, move || async move {
                // Not `Send`.
                let live = Rc::new(live);
                life.live(&there).await;
                drop(live);
                Output::make(id, &there)
            });
            task.expect("all cores live")
        }
        _ => {
            let task = core.spawn(async move {
                let _live = live;
                life.live(&there).await;
                Output::make(id, &there)
            });
            task.expect("all cores live")
        }
    };
    let kept = Kept {
        id,
        ends_by_itself: !matches!(life, Life::Waits | Life::Forever),
        is_aborted: false,
        task,
    };
    lock(&shared.handles).push(kept);
}

fn open(gate: &Mutex<Gate>, random: &Random) {
    let waker = {
        let mut gate = lock(gate);
        gate.is_open = true;
        match random.below(2) {
            0 => gate.waker.clone(),
            _ => gate.waker.take(),
        }
    };
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Awaits a task, and demands what it may come to.
async fn join(kept: Kept) {
    let Kept {
        id,
        is_aborted,
        task,
        ..
    } = kept;
    match task.await {
        Ok(output) => assert_eq!(output.id, id),
        Err(error) => assert!(is_aborted && error.is_cancelled(), "{id}: {error}"),
    }
}

/// What one core does.
async fn torture(shared: Arc<Shared>, random: Random) {
    let cores = CoreHandle::of_all_cores();
    for _ in 0..STEPS {
        start(&shared, &cores, &random);
        let opens_one = lock(&shared.wakers).len() > KEPT || random.below(4) == 0;
        if opens_one && let Some(gate) = take(&shared.wakers, &random) {
            open(&gate, &random);
        }
        let has_many = lock(&shared.handles).len() > KEPT;
        let Some(mut kept) = take(&shared.handles, &random) else {
            continue;
        };
        match random.below(if has_many { 4 } else { 6 }) {
            0 if kept.ends_by_itself => join(kept).await,
            0 | 1 => {
                kept.task.abort();
                kept.is_aborted = true;
                join(kept).await;
            }
            // Detached: it goes on.
            2 => drop(kept),
            3 => {
                kept.task.abort();
                drop(kept);
            }
            // Somebody else shall decide, and perhaps a first poll has left a waker of this core there.
            4 => {
                let mut task = std::pin::pin!(join(kept));
                if krug_tests::poll_once(task.as_mut()).await.is_pending() {
                    krug::task::yield_now().await;
                }
            }
            _ => lock(&shared.handles).push(kept),
        }
    }
}

#[test]
fn tasks_across_eight_cores_all_end_and_every_output_arrives_or_is_dropped_once() {
    for _ in 0..iterations(5) {
        let random = Random::new();
        with_settings(|builder| {
            let builder = builder.seed(random.number());
            let runtime = builder.cores(CORES).build().unwrap();
            let shared = Arc::new(Shared::default());
            let seeds: Vec<u64> = (0..CORES).map(|_| random.number()).collect();
            let there = shared.clone();
            runtime.run_on_every(move |core| torture(there, Random::of(seeds[core])));
            runtime.block_on(end_all(&shared, &random));
            let left: Vec<Metrics> = runtime.run_on_every(|_| async {
                let here = CoreHandle::current();
                here.metrics().await.unwrap()
            });
            println!(
                "{} tasks, {} left for the end",
                lock(&shared.outputs).len(),
                shared.live.load(Ordering::SeqCst)
            );
            let report = runtime.shutdown(Duration::from_secs(10));
            assert!(report.is_clean(), "{report:?} after {left:?}");
            assert_eq!(shared.live.load(Ordering::SeqCst), 0);
            let outputs = lock(&shared.outputs);
            assert!(outputs.len() > CORES * STEPS / 4, "{}", outputs.len());
            for (id, fate) in outputs.iter() {
                assert_eq!((fate.made, fate.dropped), (1, 1), "{id}");
            }
        });
    }
}

/// Opens all gates, and joins or aborts all tasks that are left; those that nobody has a handle of and that wait for ever end with
/// the runtime.
async fn end_all(shared: &Arc<Shared>, random: &Random) {
    while let Some(mut kept) = take(&shared.handles, random) {
        kept.task.abort();
        kept.is_aborted = true;
        join(kept).await;
    }
    let all_gates_are_open = || {
        while let Some(gate) = take(&shared.wakers, random) {
            open(&gate, random);
        }
        lock(&shared.wakers).is_empty()
    };
    until("nobody waits any more", all_gates_are_open).await;
}
