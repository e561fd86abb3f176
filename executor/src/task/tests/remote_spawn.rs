//! Tasks and letters for a core, from elsewhere.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::Context;
use std::thread;
use std::time::{Duration, Instant};

use super::{Bench, CountingWaker, Drops, wait};
use crate::cores::{CoreId, MailboxLease};
use crate::task::{JoinHandle, spawn_from_afar};

/// On a core that is there.
fn spawn<F>(home: CoreId, future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    spawn_from_afar(home, future).unwrap()
}

#[test]
fn a_task_spawned_from_afar_runs_at_home_and_is_joined_from_afar() {
    let bench = Bench::new();
    let home = bench.lease.id();
    let worker = thread::current().id();
    let joiner = thread::spawn(move || {
        let handle = spawn(home, async { thread::current().id() });
        wait(handle).unwrap()
    });
    while !joiner.is_finished() {
        bench.settle_a_little();
    }
    assert_eq!(joiner.join().unwrap(), worker);
    assert_eq!(bench.scheduler.live_tasks(), 0);
}

#[test]
fn tasks_spawned_from_afar_run_in_their_order() {
    let bench = Bench::new();
    let home = bench.lease.id();
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        for number in 0..10 {
            let send = send.clone();
            drop(spawn(home, async move { send.send(number).unwrap() }));
        }
    })
    .join()
    .unwrap();
    bench.settle();
    assert_eq!(
        receive.into_iter().collect::<Vec<_>>(),
        (0..10).collect::<Vec<_>>()
    );
}

#[test]
fn a_task_spawned_from_afar_and_aborted_before_it_arrived_is_never_polled() {
    let bench = Bench::new();
    let home = bench.lease.id();
    let drops = Drops::default();
    let guard = drops.counter();
    let handle = thread::spawn(move || {
        let handle = spawn(home, async move {
            let _guard = guard;
            unreachable!("it was aborted");
        });
        handle.abort();
        handle
    })
    .join()
    .unwrap();
    bench.settle();
    assert_eq!(drops.count(), 1);
    assert!(bench.block_on(handle).unwrap_err().is_cancelled());
}

/// The handle of a task that is not here yet: it was spawned by another thread, but the handle was faster.
fn handle_before_its_task<T: Send + 'static>(
    bench: &Bench,
    future: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    let home = bench.lease.id();
    thread::spawn(move || spawn(home, future)).join().unwrap()
}

#[test]
fn a_handle_that_is_home_before_its_task_can_abort_it() {
    let bench = Bench::new();
    let drops = Drops::default();
    let guard = drops.counter();
    let handle = handle_before_its_task(&bench, async move {
        let _guard = guard;
        unreachable!("it was aborted");
    });
    {
        let _entered = bench.scheduler.enter();
        handle.abort();
        assert!(!bench.scheduler.has_ready());
    }
    let joined = bench.block_on(handle);
    assert!(joined.unwrap_err().is_cancelled());
    assert_eq!((drops.count(), bench.scheduler.live_tasks()), (1, 0));
}

#[test]
fn a_handle_that_is_home_before_its_task_can_wait_or_go() {
    let bench = Bench::new();
    let drops = Drops::default();
    let guard = drops.counter();
    let gone = handle_before_its_task(&bench, async move { guard });
    let awaited = handle_before_its_task(&bench, async { 7 });
    {
        let _entered = bench.scheduler.enter();
        drop(gone);
    }
    assert_eq!(bench.block_on(awaited).unwrap(), 7);
    assert_eq!((drops.count(), bench.scheduler.live_tasks()), (1, 0));
}

#[test]
fn a_handle_that_waits_at_home_is_told_that_its_task_came_too_late() {
    let bench = Bench::new();
    let _entered = bench.scheduler.enter();
    let mut awaited = handle_before_its_task(&bench, async { 7 });
    let aborted = handle_before_its_task(&bench, async { 7 });
    let (waker, wakes) = CountingWaker::new();
    let polled = Pin::new(&mut awaited).poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    aborted.abort();
    drop(aborted);
    bench.scheduler.abort_all();
    assert_eq!(wakes.count(), 0);
    bench.scheduler.receive();
    assert_eq!(wakes.count(), 1);
    assert!(bench.block_on(awaited).unwrap_err().is_cancelled());
}

#[test]
fn a_core_that_is_gone_hands_the_future_back() {
    let bench = Bench::new();
    let home = bench.lease.id();
    assert!(home.is_alive());
    drop(bench);
    assert!(!home.is_alive());
    let drops = Drops::default();
    let guard = drops.counter();
    let error = spawn_from_afar(home, async move { drop(guard) })
        .map(|_| ())
        .unwrap_err();
    assert_eq!(drops.count(), 0);
    assert!(!error.is_full());
    wait(error.into_inner());
    assert_eq!(drops.count(), 1);
}

#[test]
fn a_task_that_came_too_late_is_cancelled() {
    let bench = Bench::new();
    let home = bench.lease.id();
    let drops = Drops::default();
    let guards = [drops.counter(), drops.counter(), drops.counter()];
    let handles = guards.map(|guard| {
        thread::spawn(move || spawn(home, async move { drop(guard) }))
            .join()
            .unwrap()
    });
    let [awaited, dropped, detached] = handles;
    thread::spawn(move || drop(detached)).join().unwrap();
    let waiting = thread::spawn(move || wait(awaited).unwrap_err().is_cancelled());
    // It was never received: the end of the life finds it in the mailbox.
    drop(bench);
    assert_eq!(drops.count(), 3);
    assert!(waiting.join().unwrap());
    drop(dropped);
}

#[test]
fn a_lease_without_a_scheduler_cancels_what_comes() {
    let lease = MailboxLease::acquire();
    let drops = Drops::default();
    let guard = drops.counter();
    let handle = spawn(lease.id(), async move { drop(guard) });
    drop(lease);
    assert_eq!(drops.count(), 1);
    assert!(wait(handle).unwrap_err().is_cancelled());
}

#[test]
fn spawning_from_afar_during_death_either_fails_or_is_cancelled_or_runs() {
    for _ in 0..50 {
        let bench = Bench::new();
        let home = bench.lease.id();
        let drops = Drops::default();
        let made = Arc::new(AtomicUsize::new(0));
        let (mine, count) = (drops.clone(), made.clone());
        let spawner = thread::spawn(move || {
            let mut handles = Vec::new();
            loop {
                let guard = mine.counter();
                count.fetch_add(1, Ordering::SeqCst);
                match spawn_from_afar(home, async move { drop(guard) }) {
                    Ok(handle) => handles.push(handle),
                    Err(future) => {
                        drop(future);
                        break;
                    }
                }
            }
            for (index, handle) in handles.into_iter().enumerate() {
                match index % 3 {
                    0 => drop(handle),
                    1 => handle.abort(),
                    _ => {
                        let _ = wait(handle);
                    }
                }
            }
        });
        while made.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        bench.scheduler.receive();
        drop(bench);
        spawner.join().unwrap();
        // One of them may have slipped into the next life of the same mailbox, in another
        // test: that worker drops it when it looks.
        let deadline = Instant::now() + Duration::from_secs(20);
        while drops.count() < made.load(Ordering::SeqCst) {
            assert!(Instant::now() < deadline, "a future was never dropped");
            thread::yield_now();
        }
        assert_eq!(drops.count(), made.load(Ordering::SeqCst));
    }
}

#[test]
fn a_letter_is_opened_at_home_in_the_next_turn() {
    let bench = Bench::new();
    let home = bench.lease.id();
    let (send, receive) = mpsc::channel();
    let worker = thread::current().id();
    thread::spawn(move || {
        let open = Box::new(move || send.send(thread::current().id()).unwrap());
        assert!(home.post(open).is_ok());
        assert!(home.post(Box::new(|| panic!("in a letter"))).is_ok());
    })
    .join()
    .unwrap();
    assert_eq!(bench.scheduler.receive(), 2);
    assert_eq!(receive.recv().unwrap(), worker);
}

#[test]
fn a_letter_to_a_core_that_is_gone_comes_back() {
    let bench = Bench::new();
    let home = bench.lease.id();
    drop(bench);
    let opened = Arc::new(AtomicBool::new(false));
    let mine = opened.clone();
    let letter = home
        .post(Box::new(move || mine.store(true, Ordering::SeqCst)))
        .expect_err("nobody is there");
    letter();
    assert!(opened.load(Ordering::SeqCst));
}

#[test]
fn a_letter_that_came_too_late_is_dropped_unopened() {
    let bench = Bench::new();
    let drops = Drops::default();
    let guard = drops.counter();
    let opened = Arc::new(AtomicBool::new(false));
    let mine = opened.clone();
    let letter = Box::new(move || {
        let _guard = guard;
        mine.store(true, Ordering::SeqCst);
    });
    assert!(bench.lease.id().post(letter).is_ok());
    drop(bench);
    assert_eq!(drops.count(), 1);
    assert!(!opened.load(Ordering::SeqCst));
}

#[test]
fn lives_of_one_mailbox_have_different_names() {
    let first = MailboxLease::acquire().id();
    let mut others = Vec::new();
    // Other tests use the pool too: lease until the same mailbox comes again.
    let again = loop {
        let lease = MailboxLease::acquire();
        if std::ptr::eq(lease.id().mailbox(), first.mailbox()) {
            break lease;
        }
        others.push(lease);
        if others.len() > 1000 {
            others.clear();
            thread::sleep(Duration::from_millis(1));
        }
    };
    assert_ne!(first, again.id());
    assert_ne!(first.to_string(), again.id().to_string());
    assert!(!first.is_alive());
    assert!(again.id().is_alive());
    assert!(first.post(Box::new(|| ())).is_err());
}

#[test]
#[should_panic(expected = "a worker has one scheduler")]
fn a_lease_has_one_scheduler() {
    let bench = Bench::new();
    let _ = crate::scheduler::Scheduler::new(&bench.lease, None);
}
