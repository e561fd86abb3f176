//! Scopes: when one is over, none of its tasks is alive, whatever has ended it.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::{Bench, DropCounter, Drops, PanicOnDrop, poll_once};
use crate::task::{Scope, TryScope, scope, spawn, try_scope, yield_now};
use krug_tests::{Random, iterations};

async fn yields(times: usize) {
    for _ in 0..times {
        yield_now().await;
    }
}

async fn waits_with(guard: DropCounter) {
    let _guard = guard;
    pending::<()>().await;
}

/// Runs `future` in a task, as `block_on` comes only after all that is ready, and says what it paniced with.
fn panics(bench: &Bench, future: impl Future<Output = ()> + 'static) -> String {
    let error = bench.block_on(bench.spawn(future)).unwrap_err();
    assert!(error.is_panic(), "{error}");
    error.to_string()
}

#[test]
fn a_scope_waits_for_all_its_tasks_and_gives_the_value_of_its_body() {
    let bench = Bench::new();
    let ended = Rc::new(Cell::new(0));
    let seen = ended.clone();
    let value = bench.block_on(async move {
        let value = scope(async |scope| {
            for times in [3, 0, 5] {
                let ended = ended.clone();
                scope.spawn(async move {
                    yields(times).await;
                    ended.set(ended.get() + 1);
                });
            }
            7
        });
        let value = value.await;
        assert_eq!(seen.get(), 3);
        value
    });
    assert_eq!(value, 7);
    assert_eq!(bench.scheduler.live_tasks(), 0);
}

#[test]
fn a_task_may_spawn_others_beside_it_while_the_scope_waits() {
    let bench = Bench::new();
    let ended = Rc::new(Cell::new(0));
    let seen = ended.clone();
    bench.block_on(async {
        scope(async move |scope: &Scope| {
            let inner = scope.clone();
            scope.spawn(async move {
                yields(2).await;
                for _ in 0..3 {
                    let ended = ended.clone();
                    inner.spawn(async move {
                        yields(2).await;
                        ended.set(ended.get() + 1);
                    });
                }
            });
        })
        .await;
    });
    assert_eq!(seen.get(), 3);
}

#[test]
fn the_first_error_of_a_task_ends_the_body_and_all_others() {
    let bench = Bench::new();
    let drops = Drops::default();
    let seen = drops.clone();
    // A task, and not `block_on`, which would come only after all that is ready.
    let task = bench.spawn(async move {
        let body = drops.counter();
        let result = try_scope(async |scope: &TryScope<u32>| {
            let _body = body;
            for _ in 0..3 {
                let guard = drops.counter();
                scope.spawn(async move {
                    waits_with(guard).await;
                    Ok(())
                });
            }
            scope.spawn(async {
                yields(2).await;
                Err(1)
            });
            scope.spawn(async {
                yields(9).await;
                Err(2)
            });
            pending::<Result<(), u32>>().await
        });
        (result.await, seen.count())
    });
    assert_eq!(bench.block_on(task).unwrap(), (Err(1), 4));
}

#[test]
fn an_error_of_the_body_ends_all_tasks() {
    let bench = Bench::new();
    let drops = Drops::default();
    let seen = drops.clone();
    let task = bench.spawn(async move {
        let result = try_scope(async |scope: &TryScope<u32>| {
            let guard = drops.counter();
            scope.spawn(async move {
                waits_with(guard).await;
                Ok(())
            });
            yield_now().await;
            Err::<(), u32>(5)
        });
        (result.await, seen.count())
    });
    assert_eq!(bench.block_on(task).unwrap(), (Err(5), 1));
}

#[test]
fn an_error_after_the_body_has_returned_is_the_result() {
    let bench = Bench::new();
    let result = bench.block_on(try_scope(async |scope: &TryScope<u32>| {
        scope.spawn(async {
            yields(3).await;
            Err(5)
        });
        scope.spawn(async {
            pending::<()>().await;
            Ok(())
        });
        Ok(PanicOnDrop("a value that nobody gets"))
    }));
    assert!(matches!(result, Err(5)));
    assert_eq!(bench.scheduler.live_tasks(), 0);
}

#[test]
fn a_panic_of_a_task_comes_through_when_no_task_is_left() {
    let bench = Bench::new();
    let drops = Drops::default();
    let seen = drops.clone();
    let said = panics(&bench, async move {
        let body = Box::pin(scope(async |scope: &Scope| {
            let guard = drops.counter();
            scope.spawn(waits_with(guard));
            scope.spawn(async { panic!("of a child") });
            pending::<()>().await;
        }));
        let mut body = body;
        let caught =
            poll_fn(
                move |cx| match catch_unwind(AssertUnwindSafe(|| body.as_mut().poll(cx))) {
                    Ok(Poll::Pending) => Poll::Pending,
                    Ok(Poll::Ready(())) => unreachable!("it panics"),
                    Err(payload) => Poll::Ready(payload),
                },
            );
        let payload = caught.await;
        assert_eq!(seen.count(), 1, "a task is left");
        std::panic::resume_unwind(payload);
    });
    assert!(said.contains("of a child"), "{said}");
}

#[test]
fn a_panic_of_the_body_or_of_its_destructor_comes_through_when_no_task_is_left() {
    let bench = Bench::new();
    let drops = Drops::default();
    let counted = drops.clone();
    let said = panics(&bench, async move {
        scope(async |scope: &Scope| {
            scope.spawn(waits_with(counted.counter()));
            yield_now().await;
            panic!("of the body");
        })
        .await
    });
    assert!(said.contains("of the body"), "{said}");
    assert_eq!((drops.count(), bench.scheduler.live_tasks()), (1, 0));
    let result = bench.block_on(try_scope(async |scope: &TryScope<u32>| {
        scope.spawn(async { Err(3) });
        let _guard = PanicOnDrop("of the destructor of the body");
        pending::<Result<(), u32>>().await
    }));
    assert_eq!(result, Err(3), "the first failure counts");
}

#[test]
fn an_aborted_task_is_no_failure() {
    let bench = Bench::new();
    let value = bench.block_on(scope(async |scope: &Scope| {
        let task = scope.spawn(pending::<()>());
        yield_now().await;
        task.abort();
        7
    }));
    assert_eq!(value, 7);
}

#[test]
fn a_scope_that_is_dropped_aborts_its_tasks_and_spawns_nothing_any_more() {
    let bench = Bench::new();
    let drops = Drops::default();
    let kept = Rc::new(RefCell::new(None));
    let (keep, counted) = (kept.clone(), drops.clone());
    let mut scoped = Box::pin(scope(async move |scope: &Scope| {
        *keep.borrow_mut() = Some(scope.clone());
        scope.spawn(waits_with(counted.counter()));
        pending::<()>().await;
    }));
    let entered = bench.scheduler.enter();
    assert!(poll_once(&mut scoped).is_pending());
    bench.settle();
    drop(scoped);
    bench.settle();
    assert_eq!((drops.count(), bench.scheduler.live_tasks()), (1, 0));
    let scope: Scope = kept.take().unwrap();
    let late = scope.spawn(waits_with(drops.counter()));
    assert!(late.is_finished());
    assert_eq!((drops.count(), bench.scheduler.live_tasks()), (2, 0));
    drop(entered);
}

#[test]
fn a_scope_in_a_task_that_is_aborted_goes_with_it() {
    let bench = Bench::new();
    let drops = Drops::default();
    let counted = drops.clone();
    let task = bench.spawn(async move {
        scope(async |outer: &Scope| {
            let counted = counted.clone();
            outer.spawn(async move {
                scope(async |inner: &Scope| {
                    inner.spawn(waits_with(counted.counter()));
                    pending::<()>().await;
                })
                .await;
            });
        })
        .await;
    });
    bench.settle();
    task.abort();
    bench.settle();
    assert_eq!((drops.count(), bench.scheduler.live_tasks()), (1, 0));
}

#[test]
fn a_scope_in_a_runtime_that_ends_leaves_nothing() {
    let bench = Bench::new();
    let drops = Drops::default();
    let counted = drops.clone();
    drop(bench.spawn(async move {
        scope(async |scope: &Scope| {
            let (inner, counted) = (scope.clone(), counted.clone());
            let guard = counted.counter();
            scope.spawn(async move {
                let _late = SpawnsInDrop(inner, Some(counted.counter()));
                waits_with(guard).await;
            });
        })
        .await;
    }));
    bench.settle();
    drop(bench);
    assert_eq!(drops.count(), 2);
}

#[test]
fn a_scope_may_be_dropped_by_its_own_task() {
    let bench = Bench::new();
    let drops = Drops::default();
    let kept = Rc::new(RefCell::new(None::<Pin<Box<dyn Future<Output = ()>>>>));
    let (taken, counted) = (kept.clone(), drops.clone());
    let scoped = scope(async move |outer: &Scope| {
        outer.spawn(waits_with(counted.counter()));
        let guard = counted.counter();
        outer.spawn(async move {
            let _guard = guard;
            scope(async |inner: &Scope| {
                inner.spawn(waits_with(counted.counter()));
                inner.spawn(async move { drop(taken.take()) });
            })
            .await;
        });
        pending::<()>().await;
    });
    *kept.borrow_mut() = Some(Box::pin(scoped));
    let entered = bench.scheduler.enter();
    let mut scoped = kept.take().unwrap();
    assert!(poll_once(&mut scoped).is_pending());
    *kept.borrow_mut() = Some(scoped);
    bench.settle();
    assert_eq!((drops.count(), bench.scheduler.live_tasks()), (3, 0));
    drop(entered);
}

/// Spawns into its scope when it is dropped.
struct SpawnsInDrop(Scope, Option<DropCounter>);

impl Drop for SpawnsInDrop {
    fn drop(&mut self) {
        if let Some(guard) = self.1.take() {
            self.0.spawn(waits_with(guard));
        }
    }
}

/// Scopes in scopes, whose tasks end, fail, panic, abort each other and are dropped, in any order. None outlives its scope.
#[test]
fn random_scopes_leave_no_task_alive() {
    let random = Random::new();
    for _ in 0..iterations(200) {
        let seed = random.number();
        println!("seed of the program: {seed}");
        random_program(Rc::new(Random::of(seed)));
    }
}

fn random_program(random: Rc<Random>) {
    let bench = Bench::new();
    let drops = Drops::default();
    let alive = Rc::new(Cell::new(0));
    let made = Rc::new(Cell::new(0));
    let world = Rc::new(World {
        random: random.clone(),
        drops: drops.clone(),
        alive: alive.clone(),
        made: made.clone(),
    });
    let task = bench.spawn(async move {
        let mut running = Box::pin(nested(world.clone(), 3));
        let mut patience = world.random.below(40);
        poll_fn(|cx| {
            patience = patience.saturating_sub(1);
            let polled = catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(cx)));
            let is_over = !matches!(polled, Ok(Poll::Pending));
            if is_over {
                // Whatever has ended it: nobody of it is alive.
                assert_eq!(world.alive.get(), 0, "a task outlives its scope");
            }
            match is_over || patience == 0 {
                true => Poll::Ready(()),
                false => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
            }
        })
        .await;
    });
    if random.below(4) == 0 {
        bench.settle_a_little();
        task.abort();
    }
    let _ = bench
        .block_on(task)
        .map_err(|error| assert!(error.is_cancelled(), "{error}"));
    bench.settle();
    assert_eq!(bench.scheduler.live_tasks(), 0);
    assert_eq!((drops.count(), alive.get()), (made.get(), 0));
}

struct World {
    random: Rc<Random>,
    drops: Drops,
    alive: Rc<Cell<usize>>,
    made: Rc<Cell<usize>>,
}

struct Alive(
    Rc<World>,
    #[expect(dead_code, reason = "counts its drop")] DropCounter,
);

impl Alive {
    fn new(world: &Rc<World>) -> Alive {
        world.alive.set(world.alive.get() + 1);
        world.made.set(world.made.get() + 1);
        Alive(world.clone(), world.drops.counter())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.alive.set(self.0.alive.get() - 1);
    }
}

fn nested(world: Rc<World>, depth: usize) -> Pin<Box<dyn Future<Output = Result<(), usize>>>> {
    Box::pin(async move {
        try_scope(async |scope: &TryScope<usize>| {
            let mut aborts = Vec::new();
            for _ in 0..world.random.below(5) {
                let alive = Alive::new(&world);
                let world = world.clone();
                aborts.push(scope.spawn(async move {
                    let _alive = alive;
                    yields(world.random.below(4)).await;
                    match world.random.below(12) {
                        0 => Err(depth),
                        1 => panic!("at random"),
                        2 => pending().await,
                        3..7 if depth > 0 => nested(world.clone(), depth - 1).await,
                        _ => Ok(()),
                    }
                }));
            }
            yields(world.random.below(6)).await;
            // What waits for ever has to be ended by somebody.
            aborts.iter().for_each(super::super::AbortHandle::abort);
            match world.random.below(8) {
                0 => Err(depth),
                1 => panic!("of a body"),
                _ => Ok(()),
            }
        })
        .await
    })
}

#[test]
fn a_scope_needs_a_poll_and_no_task_to_be_over() {
    let bench = Bench::new();
    let _entered = bench.scheduler.enter();
    let mut scoped = Box::pin(scope(async |_: &Scope| ready(7).await));
    assert_eq!(
        scoped
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop())),
        Poll::Ready(7)
    );
    drop(spawn(ready(())));
}
