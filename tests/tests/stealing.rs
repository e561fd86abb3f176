//! Stealable tasks: each runs to its end, on one core at a time, wherever there is time for it.

#[path = "common_proof/mod.rs"]
mod common_proof;

use std::collections::HashSet;
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use common_proof::{panic_text, run_outside};
use krug::cores::{StealableHandle, mpsc, oneshot};
use krug::runtime::{Builder, Driver, PanicPolicy, run_on_every};
use krug::task::yield_now;
use krug::{CoreHandle, Runtime, spawn_stealable};
use krug_tests::{Random, block_until, iterations, needs_a_kernel, turns, until, with_settings};

krug_tests::on_every_driver!();

const DEADLINE: Duration = Duration::from_secs(10);

/// Runs `test` with a runtime of `count` cores, and demands that all of them end cleanly.
fn with_cores(count: usize, test: impl Fn(&Runtime)) {
    with_settings(|builder| {
        let runtime = builder.cores(count).build().unwrap();
        test(&runtime);
        assert!(runtime.shutdown(DEADLINE).is_clean());
    });
}

fn panics<R>(f: impl FnOnce() -> R) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f))
        .err()
        .expect("it must panic");
    panic_text(&*payload)
}

/// Counts itself as long as it lives.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Counted {
        count.fetch_add(1, Ordering::Relaxed);
        Counted(count.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A future that gives way so many times, and panics if two threads are in it.
async fn exclusive(rounds: usize) {
    let is_inside = AtomicBool::new(false);
    for _ in 0..rounds {
        let mut has_given_way = false;
        poll_fn(|cx| {
            assert!(!is_inside.swap(true, Ordering::Relaxed), "two are in it");
            thread::yield_now();
            is_inside.store(false, Ordering::Relaxed);
            if has_given_way {
                return Poll::Ready(());
            }
            has_given_way = true;
            // Twice, so that one wake finds it running or queued.
            cx.waker().wake_by_ref();
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

#[test]
fn none_is_lost_or_run_twice_or_by_two_cores_at_once() {
    with_cores(3, |runtime| {
        let count = iterations(3000);
        let ends = Arc::new(AtomicUsize::new(0));
        let sums = runtime.run_on_every({
            let ends = ends.clone();
            move |core| async move {
                let tasks = (0..count).map(|number| {
                    let ends = ends.clone();
                    spawn_stealable(async move {
                        exclusive(number % 4).await;
                        ends.fetch_add(1, Ordering::Relaxed);
                        number + core
                    })
                });
                let tasks: Vec<_> = tasks.collect();
                let mut sum = 0;
                for task in tasks {
                    sum += task.await.unwrap();
                }
                sum
            }
        });
        let expected = |core| (0..count).map(|number| number + core).sum();
        assert_eq!(sums, [expected(0), expected(1), expected(2)]);
        assert_eq!(ends.load(Ordering::Relaxed), 3 * count);
    });
}

#[test]
fn an_idle_core_takes_over_from_one_that_is_busy() {
    needs_a_kernel!("a core stays with one task until others have run elsewhere");
    with_cores(2, |runtime| {
        let done = Arc::new(AtomicUsize::new(0));
        let elsewhere = runtime.block_on(async {
            let home = CoreHandle::current();
            let tasks = (0..2000).map(|_| {
                let done = done.clone();
                spawn_stealable(async move {
                    yield_now().await;
                    done.fetch_add(1, Ordering::Relaxed);
                    CoreHandle::current() != home
                })
            });
            let tasks: Vec<_> = tasks.collect();
            // This core gives no way until all are done.
            block_until("the other core has done all", || {
                done.load(Ordering::Relaxed) == 2000
            });
            let mut elsewhere = 0;
            for task in tasks {
                elsewhere += usize::from(task.await.unwrap());
            }
            elsewhere
        });
        assert_eq!(elsewhere, 2000);
        runtime.block_on(until("what ended elsewhere is forgotten here", || {
            runtime.metrics().tasks == 0
        }));
    });
}

#[test]
fn tasks_that_are_woken_on_a_busy_core_are_taken_over() {
    needs_a_kernel!("a core stays with one task until others have run elsewhere");
    with_cores(2, |runtime| {
        let (started, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        runtime.block_on(async {
            let (senders, receivers): (Vec<_>, Vec<_>) =
                (0..100).map(|_| oneshot::channel()).unzip();
            for receiver in receivers {
                let (started, done) = (started.clone(), done.clone());
                drop(spawn_stealable(async move {
                    started.fetch_add(1, Ordering::Relaxed);
                    receiver.await.unwrap();
                    done.fetch_add(1, Ordering::Relaxed);
                }));
            }
            until("all wait", || started.load(Ordering::Relaxed) == 100).await;
            turns(10).await;
            senders
                .into_iter()
                .for_each(|sender| sender.send(()).unwrap());
            block_until("the other core has done all", || {
                done.load(Ordering::Relaxed) == 100
            });
        });
    });
}

#[test]
fn all_cores_take_their_part() {
    with_cores(3, |runtime| {
        // One is never enough: which cores come first is open.
        let seen = Arc::new(Mutex::new(HashSet::new()));
        runtime.block_on(async {
            while seen.lock().unwrap().len() < 3 {
                let tasks = (0..100).map(|_| {
                    let seen = seen.clone();
                    spawn_stealable(async move {
                        yield_now().await;
                        seen.lock().unwrap().insert(CoreHandle::current());
                    })
                });
                for task in tasks.collect::<Vec<_>>() {
                    task.await.unwrap();
                }
            }
        });
        let seen = seen.lock().unwrap();
        assert!(runtime.handles().iter().all(|core| seen.contains(core)));
    });
}

#[test]
fn on_one_core_it_is_like_spawn() {
    krug_tests::run(|runtime| {
        let order = Arc::new(Mutex::new(Vec::new()));
        runtime.block_on(async {
            let tasks = (0..5).map(|number| {
                let order = order.clone();
                spawn_stealable(async move {
                    yield_now().await;
                    krug::time::sleep(Duration::from_millis(1)).await;
                    order.lock().unwrap().push(number);
                    number
                })
            });
            let tasks: Vec<_> = tasks.collect();
            let metrics = CoreHandle::current().metrics().await.unwrap();
            // The sixth is the one that looks.
            assert_eq!(metrics.tasks, 6, "the runtime's own is not counted");
            for (number, task) in tasks.into_iter().enumerate() {
                assert_eq!(task.await.unwrap(), number);
            }
        });
        order.lock().unwrap().sort_unstable();
        assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
    });
}

#[test]
fn what_is_aborted_is_dropped_before_its_joiner_learns_of_it() {
    with_cores(2, |runtime| {
        let alive = Arc::new(AtomicUsize::new(0));
        runtime.block_on(async {
            // Before its first poll, while it waits, and when it is done.
            let counted = Counted::new(&alive);
            let unpolled = spawn_stealable(async move {
                let _counted = counted;
                pending::<()>().await;
            });
            unpolled.abort();
            assert!(unpolled.await.unwrap_err().is_cancelled());
            assert_eq!(alive.load(Ordering::Relaxed), 0);

            let waits = Arc::new(AtomicBool::new(false));
            let (counted, tells) = (Counted::new(&alive), waits.clone());
            let waiting = spawn_stealable(async move {
                let _counted = counted;
                tells.store(true, Ordering::Relaxed);
                pending::<()>().await;
            });
            until("it waits", || waits.load(Ordering::Relaxed)).await;
            assert!(!waiting.is_finished());
            waiting.abort();
            waiting.abort();
            assert!(waiting.await.unwrap_err().is_cancelled());
            assert_eq!(alive.load(Ordering::Relaxed), 0);

            let done = spawn_stealable(async { 7 });
            until("it is done", || done.is_finished()).await;
            done.abort();
            assert_eq!(done.await.unwrap(), 7);
        });
    });
}

#[test]
fn what_aborts_itself_ends_with_the_poll() {
    with_cores(2, |runtime| {
        let abort_itself = |is_ready: bool| async move {
            let (sender, receiver) = oneshot::channel::<Arc<StealableHandle<u8>>>();
            let handle = Arc::new(spawn_stealable(async move {
                receiver.await.unwrap().abort();
                if !is_ready {
                    pending::<()>().await;
                }
                7
            }));
            assert!(sender.send(handle.clone()).is_ok());
            until("it has ended", || handle.is_finished()).await;
            // The task had the other one.
            Arc::try_unwrap(handle).unwrap().await
        };
        runtime.block_on(async {
            assert_eq!(abort_itself(true).await.unwrap(), 7);
            assert!(abort_itself(false).await.unwrap_err().is_cancelled());
        });
    });
}

#[test]
fn a_detached_task_runs_on_and_its_output_is_dropped() {
    with_cores(2, |runtime| {
        let alive = Arc::new(AtomicUsize::new(0));
        let runs = Arc::new(AtomicUsize::new(0));
        runtime.block_on(async {
            for rounds in 0..50 {
                let (runs, output) = (runs.clone(), Counted::new(&alive));
                let handle = spawn_stealable(async move {
                    exclusive(rounds % 3).await;
                    runs.fetch_add(1, Ordering::Relaxed);
                    output
                });
                turns(rounds % 2).await;
                drop(handle);
            }
            until("all have run", || runs.load(Ordering::Relaxed) == 50).await;
            until("no output is left", || alive.load(Ordering::Relaxed) == 0).await;
        });
    });
}

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        panic!("in a destructor");
    }
}

#[test]
fn a_panic_goes_to_the_joiner_and_counts_where_it_happened() {
    with_cores(2, |runtime| {
        runtime.block_on(async {
            let paniced = spawn_stealable(async { panic!("in a poll") }).await;
            let paniced = paniced.unwrap_err().into_panic();
            assert_eq!(panic_text(&*paniced), "in a poll");

            let in_destructor = spawn_stealable(async {
                let held = PanicsWhenDropped;
                pending::<()>().await;
                drop(held);
            });
            turns(3).await;
            in_destructor.abort();
            match in_destructor.await.unwrap_err() {
                error if error.is_cancelled() => {
                    // It was dropped before its first poll, so nothing was there to panic.
                }
                error => assert_eq!(panic_text(&*error.into_panic()), "in a destructor"),
            }
            assert_eq!(spawn_stealable(async { 7 }).await.unwrap(), 7);
        });
        let panics = runtime.run_on_every(|_| async {
            let metrics = CoreHandle::current().metrics().await;
            metrics.unwrap().panics
        });
        assert!((1..=2).contains(&panics.iter().sum::<u64>()), "{panics:?}");
    });
}

#[test]
fn a_panic_ends_the_runtime_if_its_policy_says_so() {
    with_settings(|builder| {
        let builder = builder.cores(2).panic_policy(PanicPolicy::Shutdown);
        let runtime = builder.build().unwrap();
        let message = panics(|| {
            runtime.block_on(async {
                drop(spawn_stealable(async { panic!("the invariant is broken") }));
                pending::<()>().await;
            });
        });
        assert!(message.contains("the invariant is broken"), "{message}");
        runtime.shutdown(DEADLINE);
    });
}

#[test]
fn the_end_of_the_runtime_cancels_all_and_leaves_nothing() {
    with_settings(|builder| {
        let alive = Arc::new(AtomicUsize::new(0));
        let wakers = Arc::new(Mutex::new(Vec::<Waker>::new()));
        let runtime = builder.cores(3).build().unwrap();
        let handles = runtime.run_on_every({
            let (alive, wakers) = (alive.clone(), wakers.clone());
            move |_| async move {
                let tasks = (0..60).map(|number| {
                    let (counted, wakers) = (Counted::new(&alive), wakers.clone());
                    spawn_stealable(async move {
                        let _counted = counted;
                        poll_fn(|cx| {
                            wakers.lock().unwrap().push(cx.waker().clone());
                            Poll::Ready(())
                        })
                        .await;
                        match number % 3 {
                            0 => pending().await,
                            1 => loop {
                                yield_now().await;
                            },
                            _ => krug::time::sleep(Duration::from_secs(3600)).await,
                        }
                    })
                });
                let tasks: Vec<_> = tasks.collect();
                until("all have begun", || {
                    wakers.lock().unwrap().len() >= tasks.len()
                })
                .await;
                tasks
            }
        });
        assert!(runtime.shutdown(DEADLINE).is_clean());
        assert_eq!(alive.load(Ordering::Relaxed), 0, "every future is dropped");
        for handle in handles.into_iter().flatten() {
            assert!(handle.is_finished());
            assert!(run_outside(handle).unwrap_err().is_cancelled());
        }
        // Each is of no use any more, and does no harm.
        for waker in wakers.lock().unwrap().drain(..) {
            waker.wake();
        }
    });
}

#[test]
fn what_is_spawned_when_the_runtime_ends_is_cancelled() {
    struct SpawnsWhenDropped(Arc<Mutex<Option<StealableHandle<()>>>>);

    impl Drop for SpawnsWhenDropped {
        fn drop(&mut self) {
            *self.0.lock().unwrap() = Some(spawn_stealable(pending()));
        }
    }

    with_settings(|builder| {
        let late = Arc::new(Mutex::new(None));
        let runtime = builder.cores(2).build().unwrap();
        runtime.block_on(async {
            let spawns = SpawnsWhenDropped(late.clone());
            drop(spawn_stealable(async move {
                let _spawns = spawns;
                pending::<()>().await;
            }));
            turns(3).await;
        });
        assert!(runtime.shutdown(DEADLINE).is_clean());
        let late = late.lock().unwrap().take().expect("it was dropped");
        assert!(run_outside(late).unwrap_err().is_cancelled());
    });
}

#[test]
fn a_thread_that_runs_no_core_may_wake_await_and_abort() {
    with_cores(2, |runtime| {
        for _ in 0..iterations(200) {
            let (sender, receiver) = oneshot::channel();
            let other = runtime.core(1).unwrap();
            let spawned = other.call(|| async move {
                let answering = spawn_stealable(async move { receiver.await.unwrap() + 1 });
                let waiting = spawn_stealable(pending::<()>());
                (answering, waiting)
            });
            let (answering, waiting) = runtime.block_on(spawned).unwrap();
            // From here on this thread runs no core.
            sender.send(41).unwrap();
            waiting.abort();
            // What is waiting on core 0 needs that one to run.
            let ended = runtime.block_on(async {
                let answer = answering.await.unwrap();
                (answer, waiting.await.unwrap_err().is_cancelled())
            });
            assert_eq!(ended, (42, true));
        }
    });
}

#[test]
fn outside_a_runtime_it_says_what_to_do() {
    let message = panics(|| spawn_stealable(async {}));
    assert!(message.contains("needs a runtime"), "{message}");
}

/// What a task of the random program does next.
#[derive(Clone, Copy)]
enum Step {
    GiveWay,
    Sleep(Duration),
    Send,
    Spawn,
    SpawnAndJoin,
    SpawnAndAbort,
}

impl Step {
    fn draw(random: &Random) -> Step {
        match random.below(12) {
            0..4 => Step::GiveWay,
            4..6 => Step::Sleep(random.micros(50)),
            6..9 => Step::Send,
            9 => Step::Spawn,
            10 => Step::SpawnAndJoin,
            _ => Step::SpawnAndAbort,
        }
    }
}

/// What all tasks of the random program share.
#[derive(Clone)]
struct Shared {
    alive: Arc<AtomicUsize>,
    sent: Arc<AtomicUsize>,
    sender: mpsc::Sender<u64>,
}

/// Boxed, because it spawns itself.
fn random_task(
    seed: u64,
    depth: usize,
    shared: Shared,
) -> std::pin::Pin<Box<dyn Future<Output = u64> + Send>> {
    let counted = Counted::new(&shared.alive);
    Box::pin(async move {
        let _counted = counted;
        for round in 0..Random::of(seed).below(12) {
            let random = Random::of(seed ^ (round as u64 * 0x9e37));
            let child = random.number();
            let spawn = || spawn_stealable(random_task(child, depth - 1, shared.clone()));
            match Step::draw(&random) {
                Step::Sleep(time) => krug::time::sleep(time).await,
                Step::Send => {
                    shared.sender.send(seed).await.unwrap();
                    shared.sent.fetch_add(1, Ordering::Relaxed);
                }
                Step::Spawn if depth > 0 => drop(spawn()),
                Step::SpawnAndJoin if depth > 0 => assert_eq!(spawn().await.unwrap(), child),
                Step::SpawnAndAbort if depth > 0 => {
                    let task = spawn();
                    yield_now().await;
                    task.abort();
                    match task.await {
                        Ok(output) => assert_eq!(output, child),
                        Err(error) => assert!(error.is_cancelled()),
                    }
                }
                _ => yield_now().await,
            }
        }
        seed
    })
}

#[test]
fn a_random_program_loses_nothing() {
    let random = Random::new();
    for _ in 0..iterations(20) {
        let (seed, is_cut_short) = (random.number(), random.below(2) == 0);
        with_settings(|builder| {
            let runtime = builder.cores(3).seed(seed).build().unwrap();
            let alive = Arc::new(AtomicUsize::new(0));
            let (sender, mut receiver) = mpsc::channel(4);
            let shared = Shared {
                alive: alive.clone(),
                sent: Arc::default(),
                sender,
            };
            runtime.block_on(async {
                let sent = shared.sent.clone();
                let began = run_on_every(move |core| {
                    let shared = shared.clone();
                    async move {
                        for number in 0..20 {
                            let seed = seed ^ (core * 100 + number) as u64;
                            drop(spawn_stealable(random_task(seed, 3, shared.clone())));
                        }
                    }
                });
                began.await;
                if is_cut_short {
                    return turns(seed as usize % 20).await;
                }
                let mut received = 0;
                while receiver.recv().await.is_some() {
                    received += 1;
                }
                assert_eq!(received, sent.load(Ordering::Relaxed));
            });
            assert!(runtime.shutdown(DEADLINE).is_clean());
            assert_eq!(alive.load(Ordering::Relaxed), 0, "every future is dropped");
        });
    }
}

/// Which core ran which task, in order.
fn trace_of(seed: u64) -> Vec<(usize, usize)> {
    let builder = Builder::new().driver(Driver::Sim).cores(3).seed(seed);
    let runtime = builder.build().unwrap();
    let trace = Arc::new(Mutex::new(Vec::new()));
    runtime.block_on(async {
        let tasks = (0..60).map(|number| {
            let trace = trace.clone();
            spawn_stealable(async move {
                yield_now().await;
                let cores = CoreHandle::of_all_cores();
                let here = CoreHandle::current();
                let core = cores.iter().position(|core| *core == here).unwrap();
                trace.lock().unwrap().push((core, number));
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
    });
    let trace = trace.lock().unwrap().clone();
    assert_eq!(trace.len(), 60);
    trace
}

#[test]
fn in_a_simulation_the_seed_says_who_runs_what_and_when() {
    let traces: Vec<_> = (0..8).map(trace_of).collect();
    for (seed, trace) in traces.iter().enumerate() {
        assert_eq!(*trace, trace_of(seed as u64));
    }
    let different: HashSet<_> = traces.iter().collect();
    assert!(different.len() > 4, "orders are drawn");
    let cores: HashSet<_> = traces.iter().flatten().map(|(core, _)| core).collect();
    assert_eq!(cores.len(), 3, "all cores take their part");
}
