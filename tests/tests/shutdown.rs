//! Ending in good order: who is told, who is waited for, who is cancelled and named.

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use krug::shutdown::{Cancelled, Report, Shutdown};
use krug::task::yield_now;
use krug::time::{self, sleep};
use krug_tests::{poll_once, run, turns};

krug_tests::on_every_driver!();

const SECOND: Duration = Duration::from_secs(1);

/// On the clock of the runtime, which a test may stop.
fn since(begin: time::Instant) -> Duration {
    time::now() - begin
}

/// Notes that it was dropped.
struct Noted(Rc<Cell<bool>>);

impl Drop for Noted {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

#[test]
fn a_shutdown_of_nothing_is_over_at_once() {
    run(|runtime| {
        runtime.block_on(async {
            let shutdown = Shutdown::new();
            let mut ending = pin!(shutdown.shutdown(Duration::MAX));
            let report = poll_once(ending.as_mut()).await;
            assert!(report.is_ready());
            assert!(shutdown.token().is_requested());
        });
    });
}

#[test]
fn who_is_told_finishes_and_is_waited_for() {
    run(|runtime| {
        runtime.block_on(async {
            time::pause();
            let shutdown = Shutdown::new();
            let tasks: Vec<_> = (1..=3)
                .map(|number: u32| {
                    let token = shutdown.token();
                    shutdown.spawn(async move {
                        assert!(!token.is_requested());
                        token.requested().await;
                        // What it has begun takes its time.
                        sleep(number * SECOND).await;
                        number
                    })
                })
                .collect();
            turns(3).await;
            assert_eq!(shutdown.tracked(), 3);
            let begin = time::now();
            let report = shutdown.shutdown(10 * SECOND).await;
            // On a clock that stands still until nothing else can happen.
            assert_eq!(since(begin), 3 * SECOND);
            assert!(report.is_clean());
            assert_eq!(report.finished, 3);
            for (task, number) in tasks.into_iter().zip(1..) {
                assert_eq!(task.await.unwrap(), Ok(number));
            }
            time::resume();
        });
    });
}

#[test]
fn who_is_late_is_cancelled_and_named() {
    run(|runtime| {
        runtime.block_on(async {
            time::pause();
            let shutdown = Shutdown::new();
            let is_dropped = Rc::new(Cell::new(false));
            let noted = Noted(is_dropped.clone());
            let line = line!() + 1;
            let late = shutdown.spawn(async move {
                let _noted = noted;
                pending::<u8>().await
            });
            let named = shutdown.spawn_named("client 7", pending::<()>());
            let early = shutdown.spawn(async { sleep(SECOND).await });
            // It ended before anybody asked.
            shutdown.spawn(async {}).await.unwrap().unwrap();
            let begin = time::now();
            let report = shutdown.shutdown(5 * SECOND).await;
            assert_eq!(since(begin), 5 * SECOND);
            assert!(
                is_dropped.get(),
                "its future is gone before the report is there"
            );
            assert_eq!(late.await.unwrap(), Err(Cancelled));
            assert_eq!(named.await.unwrap(), Err(Cancelled));
            assert_eq!(early.await.unwrap(), Ok(()));
            assert_eq!((report.finished, report.cancelled.len()), (1, 2));
            assert!(!report.is_clean());
            let [first, second] = &report.cancelled[..] else {
                panic!("{report:?}");
            };
            assert_eq!((first.name(), second.name()), (None, Some("client 7")));
            assert_eq!(first.spawned_at().line(), line);
            assert!(first.spawned_at().file().ends_with("shutdown.rs"));
            assert!(second.to_string().starts_with("`client 7`, spawned at "));
            assert!(first.to_string().contains("shutdown.rs:"));
            time::resume();
        });
    });
}

#[test]
fn a_deadline_of_zero_cancels_what_is_left_and_lets_what_is_over_be_over() {
    run(|runtime| {
        runtime.block_on(async {
            let shutdown = Shutdown::new();
            shutdown.spawn(pending::<()>());
            shutdown.spawn(async {}).await.unwrap().unwrap();
            let report = shutdown.shutdown(Duration::ZERO).await;
            assert_eq!(report.cancelled.len(), 1);
            assert_eq!(shutdown.tracked(), 0);
        });
    });
}

#[test]
fn after_the_deadline_nothing_begins_any_more_and_before_it_does() {
    run(|runtime| {
        runtime.block_on(async {
            let shutdown = Shutdown::new();
            shutdown.request();
            assert_eq!(shutdown.spawn(async { 1 }).await.unwrap(), Ok(1));
            let stuck = shutdown.spawn(pending::<()>());
            assert_eq!(shutdown.shutdown(Duration::ZERO).await.cancelled.len(), 1);
            assert_eq!(stuck.await.unwrap(), Err(Cancelled));
            let polled = Rc::new(Cell::new(false));
            let sees = polled.clone();
            let late = shutdown.spawn(async move { sees.set(true) });
            assert_eq!(late.await.unwrap(), Err(Cancelled));
            assert_eq!(shutdown.track(async { 2 }).await, Err(Cancelled));
            assert!(!polled.get());
            // It is no straggler of the first shutdown, nor of the second.
            assert_eq!(shutdown.shutdown(Duration::ZERO).await.cancelled.len(), 1);
        });
    });
}

#[test]
fn a_tracked_future_is_waited_for_until_it_is_ready_or_dropped() {
    run(|runtime| {
        runtime.block_on(async {
            let shutdown = Shutdown::new();
            let never_polled = shutdown.track(pending::<()>());
            let mut half_way = Box::pin(shutdown.track(pending::<()>()));
            assert!(poll_once(half_way.as_mut()).await.is_pending());
            let mut ready = Box::pin(shutdown.track(async { 5 }));
            assert_eq!(shutdown.tracked(), 3);
            let mut ending = pin!(shutdown.shutdown(Duration::MAX));
            assert!(poll_once(ending.as_mut()).await.is_pending());
            drop(never_polled);
            drop(half_way);
            assert!(poll_once(ending.as_mut()).await.is_pending());
            assert_eq!(ready.as_mut().await, Ok(5));
            assert_eq!(ending.await.finished, 3);
        });
    });
}

#[test]
fn a_tracked_future_that_nobody_polls_holds_nothing_up_after_the_deadline() {
    run(|runtime| {
        runtime.block_on(async {
            let shutdown = Shutdown::new();
            let mut stuck = Box::pin(shutdown.track(pending::<()>()));
            assert!(poll_once(stuck.as_mut()).await.is_pending());
            let report = shutdown.shutdown(Duration::ZERO).await;
            assert_eq!(report.cancelled.len(), 1);
            assert_eq!(stuck.as_mut().await, Err(Cancelled));
            assert_eq!(shutdown.tracked(), 0);
        });
    });
}

#[test]
fn a_dropped_shutdown_cancels_nobody_and_may_be_begun_again() {
    run(|runtime| {
        runtime.block_on(async {
            let shutdown = Shutdown::new();
            let token = shutdown.token();
            let (sender, receiver) = krug::sync::oneshot::channel::<u8>();
            let task = shutdown.spawn(receiver);
            {
                let mut ending = pin!(shutdown.shutdown(Duration::MAX));
                assert!(poll_once(ending.as_mut()).await.is_pending());
                turns(2).await;
            }
            assert!(token.is_requested());
            sender.send(3).unwrap();
            assert!(shutdown.shutdown(Duration::MAX).await.is_clean());
            assert_eq!(task.await.unwrap(), Ok(Ok(3)));
        });
    });
}

#[test]
fn the_earlier_of_two_deadlines_counts_for_both() {
    run(|runtime| {
        runtime.block_on(async {
            let shutdown = Shutdown::new();
            shutdown.spawn(pending::<()>());
            let patient = shutdown.clone();
            let patient = krug::spawn(async move { patient.shutdown(Duration::MAX).await });
            turns(3).await;
            let report = shutdown.shutdown(Duration::ZERO).await;
            assert_eq!(patient.await.unwrap(), report);
            assert_eq!(report.cancelled.len(), 1);
        });
    });
}

#[test]
fn a_task_that_panics_or_is_aborted_is_over() {
    run(|runtime| {
        runtime.block_on(async {
            let shutdown = Shutdown::new();
            let panics = shutdown.spawn(async { panic!("on purpose") });
            let aborted = shutdown.spawn(pending::<()>());
            aborted.abort();
            let report = shutdown.shutdown(Duration::MAX).await;
            assert!(report.is_clean());
            assert!(panics.await.unwrap_err().is_panic());
            assert!(aborted.await.unwrap_err().is_cancelled());
        });
    });
}

#[test]
fn a_shutdown_that_a_tracked_task_asks_for_ends_that_task_too() {
    run(|runtime| {
        runtime.block_on(async {
            let shutdown = Shutdown::new();
            let inside = shutdown.clone();
            let task = shutdown.spawn(async move { inside.shutdown(Duration::ZERO).await });
            assert_eq!(task.await.unwrap(), Err::<Report, _>(Cancelled));
        });
    });
}

#[test]
fn everybody_is_told_at_once_and_whoever_comes_later_too() {
    run(|runtime| {
        runtime.block_on(async {
            let shutdown = Shutdown::new();
            let told = Rc::new(RefCell::new(Vec::new()));
            for number in 0..3 {
                let (token, told) = (shutdown.token(), told.clone());
                shutdown.spawn(async move {
                    token.requested().await;
                    told.borrow_mut().push(number);
                });
            }
            turns(3).await;
            assert!(told.borrow().is_empty());
            shutdown.request();
            shutdown.request();
            shutdown.token().requested().await;
            while shutdown.tracked() > 0 {
                yield_now().await;
            }
            told.borrow_mut().sort_unstable();
            assert_eq!(*told.borrow(), [0, 1, 2]);
            assert_eq!(
                shutdown.token().run_until_requested(pending::<()>()).await,
                None
            );
            assert_eq!(
                shutdown.token().run_until_requested(async { 1 }).await,
                Some(1)
            );
        });
    });
}
