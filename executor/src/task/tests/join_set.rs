//! A set of tasks: who ended first is joined first, and nothing is lost or left.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn, ready};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::thread;

use super::{Bench, CountingWaker, Drops, PanicOnDrop, poll_once, wait};
use crate::task::{JoinSet, spawn, yield_now};
use krug_tests::{Random, iterations};

/// Ready after so many polls that give way.
async fn yields(times: usize) -> usize {
    for _ in 0..times {
        yield_now().await;
    }
    times
}

#[test]
fn tasks_are_joined_in_the_order_in_which_they_end() {
    let bench = Bench::new();
    let order = bench.block_on(async {
        let mut set = JoinSet::new();
        for times in [5, 0, 3, 1] {
            set.spawn(yields(times));
        }
        assert_eq!((set.len(), set.is_empty()), (4, false));
        assert!(set.try_join_next().is_none());
        let mut order = Vec::new();
        while let Some(joined) = set.join_next().await {
            order.push(joined.unwrap());
        }
        assert!(set.is_empty() && set.join_next().await.is_none());
        order
    });
    assert_eq!(order, [0, 1, 3, 5]);
    assert_eq!(bench.scheduler.live_tasks(), 0);
}

#[test]
fn a_dropped_join_next_loses_no_output() {
    let bench = Bench::new();
    bench.block_on(async {
        let mut set = JoinSet::new();
        set.spawn(yields(1));
        {
            let mut joining = pin!(set.join_next());
            let polled = poll_fn(|cx| Poll::Ready(joining.as_mut().poll(cx))).await;
            assert!(polled.is_pending());
            yields(3).await;
        }
        assert_eq!(set.len(), 1);
        assert_eq!(set.try_join_next().unwrap().unwrap(), 1);
    });
}

#[test]
fn a_task_that_ends_wakes_the_newest_joiner_once() {
    let bench = Bench::new();
    let _entered = bench.scheduler.enter();
    let mut set = JoinSet::new();
    for _ in 0..3 {
        set.spawn(yields(1));
    }
    let (first, first_count) = CountingWaker::new();
    let (second, second_count) = CountingWaker::new();
    for waker in [&first, &second, &second] {
        let polled = set.poll_join_next(&mut Context::from_waker(waker));
        assert!(polled.is_pending());
    }
    bench.settle();
    assert_eq!((first_count.count(), second_count.count()), (0, 1));
    for _ in 0..3 {
        let polled = set.poll_join_next(&mut Context::from_waker(&first));
        assert!(matches!(polled, Poll::Ready(Some(Ok(1)))));
    }
}

#[test]
fn dropping_a_set_drops_all_futures() {
    let bench = Bench::new();
    let drops = Drops::default();
    let mut set = JoinSet::new();
    let entered = bench.scheduler.enter();
    for _ in 0..3 {
        let guard = drops.counter();
        set.spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        });
    }
    drop(entered);
    bench.settle();
    drop(set);
    bench.settle();
    assert_eq!((drops.count(), bench.scheduler.live_tasks()), (3, 0));
}

#[test]
fn aborted_tasks_stay_until_they_are_joined() {
    let bench = Bench::new();
    bench.block_on(async {
        let mut set = JoinSet::new();
        set.spawn(ready(1));
        let second = set.spawn(pending());
        yield_now().await;
        set.abort_all();
        assert_eq!(set.join_next().await.unwrap().unwrap(), 1);
        assert!(set.join_next().await.unwrap().unwrap_err().is_cancelled());
        assert!(set.is_empty() && second.is_finished());
        let third = set.spawn(pending());
        third.abort();
        assert!(set.join_next().await.unwrap().unwrap_err().is_cancelled());
    });
}

#[test]
fn a_shutdown_waits_until_all_futures_are_gone_and_is_stopped_by_no_destructor() {
    let bench = Bench::new();
    let drops = Drops::default();
    let seen = drops.clone();
    bench.block_on(async move {
        let mut set = JoinSet::new();
        set.spawn(async { Some(PanicOnDrop("an output")) });
        for _ in 0..4 {
            let guard = drops.counter();
            set.spawn(async move {
                let _guard = guard;
                pending::<()>().await;
                None
            });
        }
        yield_now().await;
        set.shutdown().await;
        assert!(set.is_empty());
        assert_eq!(seen.count(), 4);
    });
}

#[test]
fn detached_tasks_run_on_and_are_not_taken_for_later_ones() {
    let bench = Bench::new();
    let done = Rc::new(Cell::new(0));
    let counted = done.clone();
    bench.block_on(async move {
        let mut set = JoinSet::new();
        for times in [0, 2, 4] {
            let done = counted.clone();
            set.spawn(async move {
                yields(times).await;
                done.set(done.get() + 1);
            });
        }
        yields(1).await;
        set.detach_all();
        assert!(set.is_empty() && set.try_join_next().is_none());
        set.spawn(pending());
        yields(6).await;
        assert!(set.try_join_next().is_none());
        assert_eq!(counted.get(), 3);
    });
    bench.settle();
    assert_eq!(done.get(), 3);
}

#[test]
fn panics_are_joined_like_outputs() {
    let bench = Bench::new();
    bench.block_on(async {
        let mut set: JoinSet<()> = JoinSet::new();
        set.spawn(async { panic!("in the set") });
        let error = set.join_next().await.unwrap().unwrap_err();
        assert!(error.is_panic() && error.to_string().contains("in the set"));
        assert!(error.to_string().contains("join_set.rs"), "{error}");
    });
}

#[test]
fn a_set_may_be_joined_on_another_thread_and_after_the_end_of_its_core() {
    let bench = Bench::new();
    let mut set = JoinSet::new();
    let entered = bench.scheduler.enter();
    for times in [2, 0, 1] {
        set.spawn(yields(times));
    }
    set.spawn(pending());
    drop(entered);
    let joiner = thread::spawn(move || {
        let mut ends = Vec::new();
        while let Some(joined) = wait(set.join_next()) {
            ends.push(joined.ok());
        }
        ends
    });
    bench.settle();
    drop(bench);
    assert_eq!(joiner.join().unwrap(), [Some(0), Some(1), Some(2), None]);
}

#[test]
fn a_task_spawned_while_the_runtime_ends_is_cancelled_in_its_set() {
    let bench = Bench::new();
    let _entered = bench.scheduler.enter();
    bench.scheduler.abort_all();
    let mut set = JoinSet::new();
    set.spawn(ready(1));
    assert!(set.try_join_next().unwrap().unwrap_err().is_cancelled());
}

#[test]
fn joining_gives_way_to_others() {
    let bench = Bench::new();
    let turns = Rc::new(Cell::new(0));
    let seen = turns.clone();
    let joined = bench.spawn(async move {
        let mut set = JoinSet::new();
        for _ in 0..1000 {
            set.spawn(ready(()));
        }
        yields(2).await;
        drop(spawn(async move {
            loop {
                seen.set(seen.get() + 1);
                yield_now().await;
            }
        }));
        while set.join_next().await.is_some() {}
        turns.get()
    });
    let entered = bench.scheduler.enter();
    let mut joined = joined;
    for _ in 0..100 {
        bench.settle_a_little();
        if let Poll::Ready(turns) = poll_once(&mut joined) {
            assert!(turns.unwrap() > 2, "it has kept its core for itself");
            drop(entered);
            return;
        }
    }
    panic!("it never ends");
}

/// Everything that can happen to a set, in any order: every output is joined once, or its task was cancelled or detached, and no
/// future outlives its set.
#[test]
fn random_programs_lose_no_output() {
    let random = Random::new();
    for _ in 0..iterations(300) {
        random_program(&Random::of(random.number()));
    }
}

fn random_program(random: &Random) {
    let bench = Bench::new();
    let drops = Drops::default();
    let ended = Rc::new(RefCell::new(Vec::new()));
    let mut spawned = 0;
    let mut set = JoinSet::new();
    let mut seen = Vec::new();
    let mut aborts = Vec::new();
    let mut is_any_lost = false;
    for _ in 0..60 {
        let _entered = bench.scheduler.enter();
        match random.below(10) {
            0..4 => {
                let (number, times) = (spawned, random.below(6));
                let (guard, ended) = (drops.counter(), ended.clone());
                spawned += 1;
                aborts.push(set.spawn(async move {
                    let _guard = guard;
                    yields(times).await;
                    ended.borrow_mut().push(number);
                    number
                }));
            }
            4 if spawned > 0 => aborts[random.below(spawned)].abort(),
            5 if random.below(8) == 0 => {
                is_any_lost = true;
                set.detach_all();
            }
            6 if random.below(8) == 0 => set.abort_all(),
            7 => {
                let mut joining = pin!(set.join_next());
                let polled = joining
                    .as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()));
                if let Poll::Ready(Some(Ok(number))) = polled {
                    seen.push(number);
                }
            }
            8 => seen.extend(set.try_join_next().and_then(Result::ok)),
            _ => bench.settle_a_little(),
        }
    }
    if random.below(2) == 0 {
        bench.block_on(async {
            while let Some(joined) = set.join_next().await {
                seen.extend(joined.ok());
            }
        });
        if !is_any_lost {
            assert_eq!(*ended.borrow(), seen, "not what has ended, in its order");
        }
    }
    drop(set);
    bench.settle();
    assert!(seen.iter().all(|number| ended.borrow().contains(number)));
    assert_eq!(drops.count(), spawned, "futures are left");
    assert_eq!(bench.scheduler.live_tasks(), 0);
}

#[test]
fn a_set_that_is_never_polled_holds_nothing_back() {
    let bench = Bench::new();
    let mut set = JoinSet::new();
    let entered = bench.scheduler.enter();
    for _ in 0..100 {
        set.spawn(ready(()));
    }
    drop(entered);
    bench.settle();
    assert_eq!((set.len(), bench.scheduler.live_tasks()), (100, 0));
    let mut set = Pin::new(&mut set);
    while set.try_join_next().is_some() {}
    assert!(set.is_empty());
}
