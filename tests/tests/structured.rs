//! Sets and scopes of tasks, cancellation, task-local values and the policy for panics, with I/O and on whole runtimes.

#[path = "common_proof/mod.rs"]
mod common_proof;

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use common_proof::{in_time, panic_text, tcp_pair};
use krug::io::nop;
use krug::runtime::PanicPolicy;
use krug::task::{CancellationToken, JoinSet, Scope, TryScope, scope, try_scope, yield_now};
use krug::{Runtime, time};
use krug_tests::{Random, driver, iterations, run, with_settings};

krug_tests::on_every_driver!();

/// Counts what is alive.
struct Alive(Rc<Cell<usize>>);

impl Alive {
    fn new(count: &Rc<Cell<usize>>) -> Alive {
        count.set(count.get() + 1);
        Alive(count.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[test]
fn a_set_joins_sleepers_in_the_order_of_their_deadlines() {
    run(|runtime| {
        runtime.block_on(async {
            time::pause();
            let mut set = JoinSet::new();
            for millis in [30, 10, 20] {
                set.spawn(async move {
                    time::sleep(Duration::from_millis(millis)).await;
                    millis
                });
            }
            let mut order = Vec::new();
            while let Some(joined) = set.join_next().await {
                order.push(joined.unwrap());
            }
            assert_eq!(order, [10, 20, 30]);
            time::resume();
        });
    });
}

#[test]
fn a_scope_that_fails_ends_reads_that_wait_and_loses_no_byte() {
    run(|runtime| {
        runtime.block_on(in_time(async {
            let (reader, writer) = tcp_pair().await.unwrap();
            let reader = Rc::new(reader);
            let shared = reader.clone();
            let result = try_scope(async move |scope: &TryScope<&str>| {
                let reader = shared.clone();
                scope.spawn(async move {
                    let _ = reader.read(vec![0; 8]).await;
                    Ok(())
                });
                yield_now().await;
                Err::<(), _>("given up")
            });
            assert_eq!(result.await, Err("given up"));
            assert_eq!(Rc::strong_count(&reader), 1, "the task is gone");
            writer.write_all(b"hello".to_vec()).await.0.unwrap();
            let (read, bytes) = reader.read_exact(vec![0; 5]).await;
            read.unwrap();
            assert_eq!(bytes, b"hello");
        }));
    });
}

/// Every program is sets in scopes in sets, with I/O, whose parts end, fail, are aborted, time out and are dropped. In the end no
/// future is alive, and each scope has left nothing when it was over.
#[test]
fn random_programs_of_sets_and_scopes_leave_nothing() {
    let random = Random::new();
    for _ in 0..iterations(30) {
        let seed = random.number();
        println!("the seed of this program: KRUG_SEED={seed}");
        run(|runtime| {
            let world = Rc::new(World {
                random: Random::of(seed),
                alive: Rc::default(),
            });
            runtime.block_on(in_time(program(world.clone())));
            runtime.block_on(krug_tests::until("all futures are gone", || {
                world.alive.get() == 0
            }));
        });
    }
}

struct World {
    random: Random,
    alive: Rc<Cell<usize>>,
}

impl World {
    async fn pause(&self) {
        match self.random.below(4) {
            0 => nop().await.map(drop).unwrap_or_default(),
            1 => time::sleep(self.random.micros(300)).await,
            2 => yield_now().await,
            _ => {}
        }
    }
}

async fn program(world: Rc<World>) {
    let mut set = JoinSet::new();
    for _ in 0..8 {
        let inner = world.clone();
        let abort = set.spawn(scoped(inner, 2));
        match world.random.below(6) {
            0 => abort.abort(),
            1 => {
                let limit = world.random.micros(400);
                let _ = time::timeout(limit, set.join_next()).await;
            }
            2 => drop(set.try_join_next()),
            _ => world.pause().await,
        }
    }
    match world.random.below(3) {
        0 => drop(set),
        1 => set.shutdown().await,
        _ => {
            while set.join_next().await.is_some() {}
            assert_eq!(world.alive.get(), 0, "a future outlives its scope");
        }
    }
}

type Scoped = std::pin::Pin<Box<dyn Future<Output = Result<(), usize>>>>;

fn scoped(world: Rc<World>, depth: usize) -> Scoped {
    Box::pin(async move {
        let limit = world.random.micros(2000);
        let inner = world.clone();
        let mine: Rc<Cell<usize>> = Rc::default();
        let counted = mine.clone();
        let work = try_scope(async move |scope: &TryScope<usize>| {
            for _ in 0..world.random.below(4) {
                let (alive, of_mine) = (Alive::new(&world.alive), Alive::new(&counted));
                let inside = world.clone();
                scope.spawn(async move {
                    let _alive = (alive, of_mine);
                    inside.pause().await;
                    inside.pause().await;
                    match inside.random.below(8) {
                        0 => Err(depth),
                        1..4 if depth > 0 => scoped(inside.clone(), depth - 1).await,
                        _ => Ok(()),
                    }
                });
                world.pause().await;
            }
            Ok(())
        });
        if inner.random.below(3) == 0 {
            return time::timeout(limit, work).await.unwrap_or(Ok(()));
        }
        let result = work.await;
        assert_eq!(mine.get(), 0, "a scope is over, and its task is alive");
        result
    })
}

krug::task_local! {
    static NAME: &'static str;
}

#[test]
fn a_value_stays_with_its_future_through_io_and_scopes() {
    run(|runtime| {
        runtime.block_on(in_time(async {
            let tasks = ["one", "two"].map(|name| {
                krug::spawn(NAME.scope(name, async move {
                    nop().await.unwrap();
                    let seen: Rc<RefCell<Vec<&str>>> = Rc::default();
                    let written = seen.clone();
                    scope(async move |scope: &Scope| {
                        let mine = NAME.get();
                        scope.spawn(NAME.scope(mine, async move {
                            nop().await.unwrap();
                            written.borrow_mut().push(NAME.get());
                        }));
                    })
                    .await;
                    assert_eq!(*seen.borrow(), [name]);
                    NAME.get()
                }))
            });
            for (task, name) in tasks.into_iter().zip(["one", "two"]) {
                assert_eq!(task.await.unwrap(), name);
            }
        }));
    });
}

#[test]
fn a_panic_is_isolated_and_counted_unless_something_else_is_wished() {
    run(|runtime| {
        let before = runtime.metrics().panics;
        let task = runtime.spawn(async { panic!("isolated") });
        let error = runtime.block_on(task).unwrap_err();
        assert!(error.is_panic());
        assert_eq!(runtime.metrics().panics, before + 1);
        runtime.block_on(async { nop().await.unwrap() });
    });
}

fn runtime_that_ends_by_panics(builder: krug::runtime::Builder) -> Runtime {
    let builder = builder.panic_policy(PanicPolicy::Shutdown);
    builder.build().expect("a runtime")
}

#[test]
fn bug_078_a_runtime_that_a_panic_has_ended_drops_every_future() {
    with_settings(|builder| {
        let runtime = runtime_that_ends_by_panics(builder);
        let alive: Rc<Cell<usize>> = Rc::default();
        for _ in 0..3 {
            let guard = Alive::new(&alive);
            drop(runtime.spawn(async move {
                let _guard = guard;
                time::sleep(Duration::from_secs(3600)).await;
            }));
        }
        drop(runtime.spawn(async {
            nop().await.unwrap();
            panic!("the invariant is broken");
        }));
        for _ in 0..2 {
            let main = Alive::new(&alive);
            let ended = catch_unwind(AssertUnwindSafe(|| {
                runtime.block_on(async move {
                    let _main = main;
                    pending::<()>().await;
                })
            }));
            let said = panic_text(&*ended.unwrap_err());
            for part in [
                "the invariant is broken",
                "structured.rs:",
                "PanicPolicy::Shutdown",
            ] {
                assert!(said.contains(part), "{said}");
            }
        }
        assert_eq!(alive.get(), 3);
        assert!(runtime.shutdown(Duration::from_secs(10)).is_clean());
        assert_eq!(alive.get(), 0);
    });
}

#[test]
fn a_panic_in_the_destructor_of_an_output_ends_a_runtime_too() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("of an output");
        }
    }
    with_settings(|builder| {
        let runtime = runtime_that_ends_by_panics(builder);
        drop(runtime.spawn(async { Panics }));
        let ended = catch_unwind(AssertUnwindSafe(|| runtime.block_on(pending::<()>())));
        assert!(panic_text(&*ended.unwrap_err()).contains("of an output"));
    });
}

#[test]
fn a_panic_aborts_the_process_if_that_is_wished_and_says_which_task_it_was() {
    const CHILD: &str = "KRUG_TESTS_ABORTS";
    if std::env::var_os(CHILD).is_some() {
        let builder = Runtime::builder().driver(driver());
        let runtime = builder.panic_policy(PanicPolicy::Abort).build().unwrap();
        drop(runtime.spawn(async { panic!("beyond repair") }));
        runtime.block_on(pending::<()>());
    }
    let name = thread::current().name().unwrap().to_owned();
    let child = Command::new("/proc/self/exe")
        .args(["--exact", &name, "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stderr);
    assert_eq!(child.status.signal(), Some(libc::SIGABRT), "{said}");
    for part in ["beyond repair", "structured.rs:", "PanicPolicy is Abort"] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn bug_079_a_set_a_token_and_a_handle_may_be_dropped_by_a_thread_that_ends() {
    thread_local! {
        static KEPT: RefCell<Option<Kept>> = const { RefCell::new(None) };
    }
    type Kept = (JoinSet<u32>, CancellationToken, krug::task::CancelledOwned);
    with_settings(|builder| {
        let builder = builder.clone();
        // A panic in a destructor of a thread-local ends the process.
        let thread = thread::spawn(move || {
            let runtime = builder.build().unwrap();
            let token = CancellationToken::new();
            let mut set = JoinSet::new();
            runtime.block_on(async {
                set.spawn(async { 1 });
                set.spawn(pending());
                let mut waits = Box::pin(token.cancelled());
                assert!(krug_tests::poll_once(waits.as_mut()).await.is_pending());
            });
            KEPT.set(Some((set, token.clone(), token.cancelled_owned())));
        });
        thread.join().unwrap();
    });
}
