//! Wakers: any thread, any time. Bug rows 36 to 39, 45 and 47 without loom.
#![allow(clippy::waker_clone_wake)] // Cloning and waking is what is tested.

use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;

use super::{Bench, CountingWaker, Drops};
use crate::task::{budget, spawn_from_afar, yield_now};

/// Spawns a task that is pending for ever and counts its polls; returns its waker.
fn spawn_counting(bench: &Bench, drops: &Drops) -> (Waker, Arc<AtomicUsize>) {
    let polls = Arc::new(AtomicUsize::new(0));
    let place = Arc::new(Mutex::new(None));
    let (count, waker, guard) = (polls.clone(), place.clone(), drops.counter());
    drop(bench.spawn(poll_fn(move |cx| {
        let _ = &guard;
        count.fetch_add(1, Ordering::SeqCst);
        waker
            .lock()
            .unwrap()
            .get_or_insert_with(|| cx.waker().clone());
        Poll::<()>::Pending
    })));
    bench.settle();
    let waker = place.lock().unwrap().take().unwrap();
    (waker, polls)
}

#[test]
fn many_wakes_before_a_poll_are_one_poll() {
    let bench = Bench::new();
    let (waker, polls) = spawn_counting(&bench, &Drops::default());
    {
        let _entered = bench.scheduler.enter();
        waker.wake_by_ref();
        waker.wake_by_ref();
        waker.clone().wake();
    }
    assert_eq!(bench.settle(), 1);
    let far = waker.clone();
    thread::spawn(move || {
        far.wake_by_ref();
        far.wake();
    })
    .join()
    .unwrap();
    assert_eq!(bench.settle(), 1);
    assert_eq!(polls.load(Ordering::SeqCst), 3);
}

#[test]
fn bug_045_a_wake_while_polling_is_not_lost() {
    let bench = Bench::new();
    let polls = Arc::new(AtomicUsize::new(0));
    let count = polls.clone();
    let handle = bench.spawn(poll_fn(move |cx| {
        let poll = count.fetch_add(1, Ordering::SeqCst);
        let waker = cx.waker().clone();
        match poll {
            0 => waker.wake(),
            1 => thread::spawn(move || waker.wake()).join().unwrap(),
            _ => return Poll::Ready(()),
        }
        Poll::Pending
    }));
    bench.block_on(handle).unwrap();
    assert_eq!(polls.load(Ordering::SeqCst), 3);
}

#[test]
fn a_wake_of_a_finished_task_does_nothing() {
    let bench = Bench::new();
    let place = Arc::new(Mutex::new(None));
    let mine = place.clone();
    bench
        .block_on(bench.spawn(poll_fn(move |cx| {
            *mine.lock().unwrap() = Some(cx.waker().clone());
            Poll::Ready(())
        })))
        .unwrap();
    let waker = place.lock().unwrap().take().unwrap();
    {
        let _entered = bench.scheduler.enter();
        waker.wake_by_ref();
        waker.clone().wake();
    }
    let far = waker.clone();
    thread::spawn(move || far.wake()).join().unwrap();
    assert_eq!(bench.settle(), 0);
    drop(bench);
    waker.wake();
}

#[test]
fn a_dropped_waker_wakes_nobody() {
    let bench = Bench::new();
    let (waker, polls) = spawn_counting(&bench, &Drops::default());
    let far = waker.clone();
    thread::spawn(move || drop(far)).join().unwrap();
    drop(waker);
    assert_eq!(bench.settle(), 0);
    assert_eq!(polls.load(Ordering::SeqCst), 1);
}

/// References made there and dropped here bring the home's count to zero while the task lives.
#[test]
fn a_task_survives_when_its_home_drops_what_others_made() {
    let bench = Bench::new();
    let drops = Drops::default();
    let (waker, polls) = spawn_counting(&bench, &drops);
    let (waker, clones) = thread::spawn(move || {
        let clones = std::array::from_fn::<_, 10, _>(|_| waker.clone());
        (waker, clones)
    })
    .join()
    .unwrap();
    {
        let _entered = bench.scheduler.enter();
        drop(clones);
        waker.wake();
    }
    assert_eq!(bench.settle(), 1);
    assert_eq!(polls.load(Ordering::SeqCst), 2);
    assert_eq!(drops.count(), 0);
    drop(bench);
    assert_eq!(drops.count(), 1);
}

#[test]
fn a_finished_task_is_merged_while_its_home_lives_on() {
    let bench = Bench::new();
    let place = Arc::new(Mutex::new(None));
    let mine = place.clone();
    drop(bench.spawn(poll_fn(move |cx| {
        let waker = cx.waker().clone();
        // Made elsewhere: the home's own count goes to zero when the task ends.
        let clones = thread::spawn(move || (waker.clone(), waker.clone(), waker));
        *mine.lock().unwrap() = Some(clones.join().unwrap());
        Poll::Ready(())
    })));
    bench.settle();
    let (first, second, third) = place.lock().unwrap().take().unwrap();
    let _entered = bench.scheduler.enter();
    // Here, on the home, and there: both see that the home has given up.
    drop(first.clone());
    drop(first);
    second.wake_by_ref();
    thread::spawn(move || drop(second)).join().unwrap();
    third.wake();
    bench.settle();
}

fn worry(waker: &Waker, seed: usize) {
    // Every order of the four operations, over and over.
    match seed % 5 {
        0 => waker.wake_by_ref(),
        1 => waker.clone().wake(),
        2 => drop(waker.clone()),
        3 => {
            let clone = waker.clone();
            clone.wake_by_ref();
            waker.clone_from_and_drop(&clone);
        }
        _ => thread::yield_now(),
    }
}

trait CloneFromAndDrop {
    fn clone_from_and_drop(&self, other: &Waker);
}

impl CloneFromAndDrop for Waker {
    fn clone_from_and_drop(&self, other: &Waker) {
        let mut copy = self.clone();
        copy.clone_from(other);
    }
}

#[test]
fn bug_036_eight_threads_use_wakers_while_the_worker_runs_dies_and_is_gone() {
    for _ in 0..20 {
        let bench = Bench::new();
        let drops = Drops::default();
        let wakers: Vec<_> = (0..3).map(|_| spawn_counting(&bench, &drops).0).collect();
        let (gone, start) = (Arc::new(AtomicBool::new(false)), Arc::new(Barrier::new(9)));
        let threads: Vec<_> = (0..8)
            .map(|number| {
                let (wakers, gone, start) = (wakers.clone(), gone.clone(), start.clone());
                thread::spawn(move || {
                    start.wait();
                    let mut after = 0;
                    let mut seed = number;
                    while after < 50 {
                        seed += 1;
                        worry(&wakers[seed % wakers.len()], seed / 3);
                        after += usize::from(gone.load(Ordering::SeqCst));
                    }
                })
            })
            .collect();
        start.wait();
        for turn in 0..100 {
            let _entered = bench.scheduler.enter();
            worry(&wakers[turn % wakers.len()], turn);
            bench.scheduler.receive();
            bench.scheduler.run(crate::scheduler::TurnBudget {
                polls_max: 10,
                until: None,
            });
        }
        assert_eq!(drops.count(), 0);
        drop(bench);
        assert_eq!(
            drops.count(),
            3,
            "futures are dropped at home, when it ends"
        );
        gone.store(true, Ordering::SeqCst);
        // A new life, perhaps of the same mailbox, must not mind.
        let next = Bench::new();
        let _entered = next.scheduler.enter();
        for (turn, waker) in wakers.iter().cycle().take(100).enumerate() {
            worry(waker, turn);
            next.scheduler.receive();
        }
        for thread in threads {
            thread.join().unwrap();
        }
        drop(wakers);
    }
}

#[test]
fn bug_039_two_wakers_and_a_poller_strand_nothing() {
    let bench = Bench::new();
    let flags: Arc<[AtomicUsize; 2]> = Arc::default();
    let place = Arc::new(Mutex::new(None));
    const ROUNDS: usize = 2000;
    let (seen, mine) = (flags.clone(), place.clone());
    let handle = bench.spawn(poll_fn(move |cx| {
        mine.lock()
            .unwrap()
            .get_or_insert_with(|| cx.waker().clone());
        let done = seen
            .iter()
            .all(|flag| flag.load(Ordering::Relaxed) == ROUNDS);
        if done { Poll::Ready(()) } else { Poll::Pending }
    }));
    bench.settle();
    let waker = place.lock().unwrap().clone().unwrap();
    let threads = [0, 1].map(|index| {
        let (flags, waker) = (flags.clone(), waker.clone());
        thread::spawn(move || {
            for _ in 0..ROUNDS {
                flags[index].fetch_add(1, Ordering::Relaxed);
                waker.wake_by_ref();
            }
        })
    });
    bench.block_on(handle).unwrap();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn bug_047_a_task_may_be_woken_at_home_by_what_is_dropped_elsewhere() {
    let (first, second) = (Bench::new(), Bench::new());
    let drops = Drops::default();
    let (waker, polls) = spawn_counting(&first, &drops);
    // A waker of one core in a task of the other: on this one thread, but not at home.
    drop(second.spawn(async move {
        let _waker = waker.clone();
        yield_now().await;
        waker.wake_by_ref();
        pending::<()>().await;
    }));
    second.settle();
    assert_eq!(polls.load(Ordering::SeqCst), 1);
    assert_eq!(first.settle(), 1);
    drop(first);
    drop(second);
    assert_eq!(drops.count(), 1);
}

#[test]
fn tasks_of_two_cores_wake_each_other_while_both_end() {
    for _ in 0..50 {
        let (send, receive) = std::sync::mpsc::channel();
        let other = thread::spawn(move || {
            let bench = Bench::new();
            send.send(bench.lease.id()).unwrap();
            for _ in 0..20 {
                bench.settle_a_little();
            }
        });
        let bench = Bench::new();
        let there = receive.recv().unwrap();
        let drops = Drops::default();
        let mut made = 0;
        let (waker, _) = spawn_counting(&bench, &drops);
        for _ in 0..10 {
            let guard = drops.counter();
            let waker = waker.clone();
            made += 1;
            let far = spawn_from_afar(there, async move {
                let _guard = guard;
                loop {
                    waker.wake_by_ref();
                    yield_now().await;
                }
            });
            if let Ok(handle) = far {
                drop(bench.spawn(handle));
            }
            bench.settle_a_little();
        }
        drop(bench);
        other.join().unwrap();
        drop(waker);
        assert_eq!(drops.count(), made + 1);
    }
}

/// A combinator that polls its parts with a waker of its own sees each of our futures use it.
#[test]
fn bug_044_every_future_wakes_the_waker_it_was_polled_with() {
    fn wakes(
        bench: &Bench,
        mut future: impl Future + Unpin,
        between: impl FnOnce(&Bench),
    ) -> usize {
        let (waker, wakes) = CountingWaker::new();
        let polled = Pin::new(&mut future).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        between(bench);
        wakes.count()
    }
    let bench = Bench::new();
    let _entered = bench.scheduler.enter();
    assert_eq!(wakes(&bench, yield_now(), |_| ()), 1);
    let handle = bench.spawn(async {});
    assert_eq!(
        wakes(&bench, handle, |bench| assert_eq!(bench.settle(), 1)),
        1
    );
    let all = budget::scope(|| {
        let exhausted = poll_fn(|cx| {
            let units = (0..1000).take_while(|_| budget::consume(cx).is_ready());
            assert_eq!(units.count(), budget::PER_POLL as usize);
            Poll::<()>::Pending
        });
        wakes(&bench, exhausted, |_| ())
    });
    assert_eq!(all, 1);
}
