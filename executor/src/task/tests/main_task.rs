//! The main task, and how parking and waking meet.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::Bench;
use crate::cores::Ring;
use crate::task::Waiter;

struct CountingBell(Arc<AtomicUsize>);

impl Ring for CountingBell {
    fn ring(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn with_bell() -> (Bench, Arc<AtomicUsize>) {
    let bench = Bench::new();
    let rings = Arc::default();
    bench
        .lease
        .set_bell(Box::new(CountingBell(Arc::clone(&rings))));
    (bench, rings)
}

#[test]
fn a_main_task_begins_as_notified_and_remembers_a_wake_once() {
    let bench = Bench::new();
    let main = bench.scheduler.main_task();
    assert!(main.take_notified());
    assert!(!main.take_notified());
    let _entered = bench.scheduler.enter();
    main.waker().wake_by_ref();
    main.waker().wake();
    assert!(main.is_notified());
    assert!(main.take_notified());
    assert!(!main.take_notified());
    assert!(!bench.scheduler.has_ready(), "no queue ever sees it");
    assert_eq!(bench.scheduler.live_tasks(), 0, "it is not a task");
}

#[test]
fn a_wake_from_another_thread_is_known_after_receive() {
    let bench = Bench::new();
    let main = bench.scheduler.main_task();
    main.take_notified();
    let waker = main.waker();
    thread::spawn(move || waker.wake()).join().unwrap();
    assert!(bench.lease.has_mail());
    assert_eq!(bench.scheduler.receive(), 1);
    assert!(main.take_notified());
    assert!(!bench.lease.has_mail());
}

#[test]
fn a_waker_that_outlives_its_main_task_wakes_nobody() {
    let (bench, _) = with_bell();
    let waker = bench.scheduler.main_task().waker();
    let late = waker.clone();
    thread::spawn(move || late.wake()).join().unwrap();
    bench.settle();
    {
        let _entered = bench.scheduler.enter();
        waker.wake_by_ref();
    }
    drop(bench);
    waker.wake_by_ref();
    thread::spawn(move || waker.wake()).join().unwrap();
}

#[test]
fn a_main_task_that_outlives_its_scheduler_is_harmless() {
    let bench = Bench::new();
    let main = bench.scheduler.main_task();
    let waker = main.waker();
    bench.scheduler.shut_down();
    assert!(!main.take_notified());
    waker.wake_by_ref();
    drop(main);
    let stillborn = bench.scheduler.main_task();
    assert!(stillborn.take_notified());
    stillborn.waker().wake();
    drop(stillborn);
    drop(bench);
    waker.wake();
}

#[test]
fn a_wake_before_park_keeps_the_worker_awake() {
    let (bench, rings) = with_bell();
    let main = bench.scheduler.main_task();
    main.take_notified();
    let waker = main.waker();
    thread::spawn(move || waker.wake()).join().unwrap();
    assert!(!bench.lease.prepare_park());
    assert_eq!(
        rings.load(Ordering::SeqCst),
        0,
        "an awake core needs no bell"
    );
    bench.scheduler.receive();
    assert!(main.take_notified());
}

#[test]
fn bug_046_only_the_first_wake_of_a_parked_worker_rings_the_bell() {
    let (bench, rings) = with_bell();
    let main = bench.scheduler.main_task();
    main.take_notified();
    let task = bench.spawn(std::future::pending::<()>());
    bench.settle();
    assert!(bench.lease.prepare_park());
    let waker = main.waker();
    thread::spawn(move || {
        waker.wake_by_ref();
        waker.wake_by_ref();
        waker.wake();
        task.abort();
    })
    .join()
    .unwrap();
    assert_eq!(rings.load(Ordering::SeqCst), 1);
    bench.lease.unpark();
    assert_eq!(bench.scheduler.receive(), 2, "one node for each task");
    assert!(main.take_notified());
    bench.settle();
    assert_eq!(bench.scheduler.live_tasks(), 0);
}

#[test]
fn a_worker_that_woke_by_itself_is_not_rung() {
    let (bench, rings) = with_bell();
    let main = bench.scheduler.main_task();
    assert!(bench.lease.prepare_park());
    bench.lease.unpark();
    let waker = main.waker();
    thread::spawn(move || waker.wake()).join().unwrap();
    assert_eq!(rings.load(Ordering::SeqCst), 0);
    assert_eq!(bench.scheduler.receive(), 1);
}

#[test]
fn a_bell_is_not_in_use_once_it_was_removed() {
    struct Slow(Arc<AtomicUsize>);
    impl Ring for Slow {
        fn ring(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(20));
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let bench = Bench::new();
    let inside = Arc::new(AtomicUsize::new(0));
    bench.lease.set_bell(Box::new(Slow(inside.clone())));
    let main = bench.scheduler.main_task();
    assert!(bench.lease.prepare_park());
    let waker = main.waker();
    let ringer = thread::spawn(move || waker.wake());
    while !bench.lease.has_mail() {
        thread::yield_now();
    }
    bench.lease.unpark();
    bench.lease.remove_bell();
    assert_eq!(inside.load(Ordering::SeqCst), 0);
    ringer.join().unwrap();
}

#[test]
fn a_waiter_is_a_task_reference_at_home_and_a_waker_elsewhere() {
    let (home, other) = (Bench::new(), Bench::new());
    let main = home.scheduler.main_task();
    let waker = main.waker();
    let cx = std::task::Context::from_waker(&waker);
    {
        let _entered = home.scheduler.enter();
        let waiter = Waiter::new(&cx);
        assert_eq!(size_of::<Option<Waiter>>(), 2 * size_of::<usize>());
        assert!(format!("{waiter:?}").starts_with("Task"));
        assert!(waiter.is_for(&cx));
        assert!(!waiter.is_for(&std::task::Context::from_waker(std::task::Waker::noop())));
        waiter.wake();
    }
    assert!(main.take_notified());
    let _entered = other.scheduler.enter();
    let waiter = Waiter::new(&cx);
    assert!(format!("{waiter:?}").starts_with("Waker"));
    assert!(waiter.is_for(&cx));
    waiter.wake();
    home.scheduler.receive();
    assert!(main.take_notified());
}

#[test]
fn a_waiter_used_and_dropped_after_its_scheduler_is_harmless() {
    let bench = Bench::new();
    let main = bench.scheduler.main_task();
    let waker = main.waker();
    let waiters: Vec<_> = {
        let _entered = bench.scheduler.enter();
        (0..3)
            .map(|_| Waiter::new(&std::task::Context::from_waker(&waker)))
            .collect()
    };
    drop(main);
    drop(bench);
    let mut waiters = waiters.into_iter();
    waiters.next().unwrap().wake();
    waiters.next().unwrap().wake_quietly();
    drop(waiters);
}
