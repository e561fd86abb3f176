use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn, ready};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use futures_core::Stream;
use krug_tests::needs_a_kernel;

use super::*;
use crate::context;
use crate::runtime::Runtime;
use crate::task::{spawn, yield_now};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

fn block_on<F: Future>(future: F) -> F::Output {
    Runtime::new().expect("a runtime").block_on(future)
}

fn block_on_paused<F: Future>(future: F) -> F::Output {
    let runtime = Runtime::builder().start_paused(true).build();
    runtime.expect("a runtime").block_on(future)
}

/// How many timers the current core has.
fn timers() -> usize {
    context::with(|core| core.wheel.borrow().len()).expect("in a runtime")
}

async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx))).await
}

#[derive(Default)]
struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn sleeps_are_never_early() {
    block_on(async {
        let tasks: Vec<_> = (0..200_u32)
            .map(|i| {
                spawn(async move {
                    let deadline = now() + i * 7 * Duration::from_micros(1);
                    sleep_until(deadline).await;
                    assert!(now() >= deadline);
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("not early");
        }
    });
}

#[test]
fn a_timer_of_an_idle_core_is_not_a_millisecond_late() {
    let best = block_on(async {
        let mut best = HOUR;
        // The very first one counts as well; the machine may be busy with other things, too.
        for _ in 0..50 {
            let deadline = Instant::now() + 2 * MS;
            sleep_until(deadline).await;
            best = best.min(deadline.elapsed());
        }
        best
    });
    assert!(best < MS, "at best {best:?} late");
}

#[test]
fn sleeps_end_in_the_order_of_their_deadlines() {
    let order = Rc::new(RefCell::new(Vec::new()));
    let list = order.clone();
    block_on_paused(async move {
        let start = now();
        let tasks: Vec<_> = [5, 1, 3, 1, 4, 2]
            .into_iter()
            .enumerate()
            .map(|(i, ms)| {
                let list = list.clone();
                spawn(async move {
                    sleep_until(start + ms * MS).await;
                    list.borrow_mut().push((ms, i));
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("a sleep");
        }
    });
    assert_eq!(
        *order.borrow(),
        [(1, 1), (1, 3), (2, 5), (3, 2), (4, 4), (5, 0)]
    );
}

#[test]
fn the_deadline_is_fixed_when_the_sleep_is_made_also_outside_a_runtime() {
    let made = Instant::now();
    let mut sleeping = sleep(30 * MS);
    assert!(sleeping.deadline() >= made + 30 * MS);
    thread::sleep(40 * MS);
    assert!(sleeping.is_elapsed());
    block_on(async {
        assert!(
            poll_once(&mut sleeping).await.is_ready(),
            "the time has passed already"
        );
    });
    let mut limited = Box::pin(timeout(30 * MS, pending::<()>()));
    thread::sleep(40 * MS);
    block_on(async {
        assert_eq!(poll_once(&mut limited).await, Poll::Ready(Err(Elapsed(()))));
    });
}

#[test]
fn the_longest_duration_does_not_overflow() {
    block_on_paused(async {
        let mut forever = sleep(Duration::MAX);
        assert!(forever.deadline() > now() + Duration::from_secs(90 * 365 * 86_400));
        assert!(poll_once(&mut forever).await.is_pending());
        assert_eq!(timeout(Duration::MAX, ready(1)).await, Ok(1));
        let mut ticks = interval(Duration::MAX);
        ticks.tick().await;
        assert!(poll_once(&mut Box::pin(ticks.tick())).await.is_pending());
        assert_eq!(timers(), 2);
    });
}

#[test]
fn a_timer_enters_the_wheel_at_its_first_pending_poll_and_leaves_when_dropped() {
    block_on(async {
        let mut sleeping = sleep(HOUR);
        assert_eq!(timers(), 0);
        for _ in 0..3 {
            assert!(poll_once(&mut sleeping).await.is_pending());
            assert_eq!(timers(), 1);
        }
        drop(sleeping);
        assert_eq!(timers(), 0);

        let mut limited = Box::pin(timeout(HOUR, pending::<()>()));
        assert!(poll_once(&mut limited).await.is_pending());
        assert_eq!(timers(), 1, "one entry for one timeout");
        drop(limited);
        assert_eq!(timers(), 0);
        assert_eq!(timeout(HOUR, ready(5)).await, Ok(5));
        assert_eq!(timers(), 0);
    });
}

#[test]
fn reset_moves_the_deadline_and_revives_a_sleep_that_has_resolved() {
    block_on_paused(async {
        let start = now();
        let mut sleeping = sleep(HOUR);
        assert!(poll_once(&mut sleeping).await.is_pending());
        sleeping.reset(start + MS);
        assert_eq!(timers(), 0);
        (&mut sleeping).await;
        assert_eq!(now(), start + MS);
        assert!(
            poll_once(&mut sleeping).await.is_ready(),
            "it stays resolved"
        );
        sleeping.reset(start + 3 * MS);
        sleeping.await;
        assert_eq!(now(), start + 3 * MS);
    });
}

#[test]
fn only_the_waker_of_the_last_poll_is_woken() {
    let (first, last) = (Arc::new(Counter::default()), Arc::new(Counter::default()));
    block_on_paused(async {
        let mut sleeping = sleep(MS);
        for counter in [&first, &last, &last] {
            let waker = Waker::from(counter.clone());
            let polled = Pin::new(&mut sleeping).poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending());
        }
        sleep(2 * MS).await;
        let polled = Pin::new(&mut sleeping).poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_ready());
    });
    let wakes = [first, last].map(|counter| counter.0.load(Ordering::SeqCst));
    assert_eq!(wakes, [0, 1]);
}

#[test]
fn a_timeout_asks_its_future_first() {
    block_on_paused(async {
        assert_eq!(timeout(Duration::ZERO, ready(1)).await, Ok(1));
        assert_eq!(timeout_at(now(), ready(1)).await, Ok(1));
        let start = now();
        assert_eq!(
            timeout(2 * MS, sleep(2 * MS)).await,
            Ok(()),
            "both at once: the output wins"
        );
        assert_eq!(now(), start + 2 * MS);
        assert_eq!(timeout(2 * MS, sleep(3 * MS)).await, Err(Elapsed(())));
        assert_eq!(now(), start + 4 * MS);
        assert_eq!(timers(), 0);
        let nested = timeout(2 * MS, timeout(HOUR, timeout(HOUR, pending::<()>()))).await;
        assert_eq!(nested, Err(Elapsed(())));
    });
}

#[test]
fn elapsed_converts_into_an_io_error() {
    let error = std::io::Error::from(Elapsed(()));
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    assert_eq!(error.to_string(), "the time is over");
}

#[test]
fn a_future_that_uses_up_every_budget_does_not_outlive_its_time() {
    let result = block_on_paused(async {
        let busy = async {
            let (sender, mut receiver) = crate::sync::mpsc::unbounded();
            // Ten times as many turns as fit into its time.
            for turn in 0..100_000_u64 {
                sender.send(turn).expect("open");
                receiver.recv().await;
                // Nobody is idle, so the clock is moved by hand.
                context::with(|core| core.clock.advance_to(core.clock.now() + MS / 1000));
            }
        };
        timeout(10 * MS, busy).await
    });
    assert_eq!(result, Err(Elapsed(())));
}

#[test]
fn a_loop_of_timeouts_that_are_over_lets_others_run() {
    block_on(async {
        let turns = Rc::new(Cell::new(0));
        let count = turns.clone();
        let others = spawn(async move {
            for _ in 0..10 {
                count.set(count.get() + 1);
                yield_now().await;
            }
        });
        let looping = spawn(async move {
            for _ in 0..100_000 {
                let _ = timeout(Duration::ZERO, pending::<()>()).await;
            }
            assert_eq!(turns.get(), 10);
        });
        others.await.expect("it runs");
        looping.await.expect("the others ran meanwhile");
    });
}

#[test]
fn nested_timeouts_keep_their_future_once() {
    let future = async {
        let large = [1_u8; 1000];
        yield_now().await;
        large.len()
    };
    let alone = size_of_val(&future);
    let nested = timeout(HOUR, timeout(HOUR, timeout(HOUR, future)));
    assert!(
        size_of_val(&nested) < alone + 3 * 96,
        "{} {alone}",
        size_of_val(&nested)
    );
    assert_eq!(block_on(nested), Ok(Ok(Ok(1000))));
}

#[test]
fn an_interval_ticks_at_once_and_then_every_period() {
    block_on_paused(async {
        let start = now();
        let mut ticks = interval(10 * MS);
        assert_eq!(ticks.period(), 10 * MS);
        for i in 0..5 {
            assert_eq!(ticks.tick().await, start + i * 10 * MS);
            assert_eq!(now(), start + i * 10 * MS);
        }
        sleep(3 * MS).await;
        ticks.reset();
        assert_eq!(ticks.tick().await, start + 53 * MS);

        let mut later = interval_at(start + 100 * MS, MS);
        assert!(poll_once(&mut Box::pin(later.tick())).await.is_pending());
        assert_eq!(
            later.tick().await,
            start + 100 * MS,
            "a dropped tick is not lost"
        );
        assert_eq!(later.tick().await, start + 101 * MS);
    });
}

#[test]
fn missed_ticks_are_made_up_for_delayed_or_skipped() {
    let ticks_after_a_break = |behavior| {
        block_on_paused(async move {
            let start = now();
            let mut ticks = interval(10 * MS);
            ticks.set_missed_tick_behavior(behavior);
            ticks.tick().await;
            ticks.tick().await;
            advance(25 * MS).await; // it is 35 ms now, as in the table of the docs
            let mut came = Vec::new();
            for _ in 0..5 {
                ticks.tick().await;
                came.push((now() - start).as_millis());
            }
            came
        })
    };
    assert_eq!(
        ticks_after_a_break(MissedTickBehavior::Burst),
        [35, 35, 40, 50, 60]
    );
    assert_eq!(
        ticks_after_a_break(MissedTickBehavior::Delay),
        [35, 45, 55, 65, 75]
    );
    assert_eq!(
        ticks_after_a_break(MissedTickBehavior::Skip),
        [35, 40, 50, 60, 70]
    );
}

#[test]
fn a_tick_a_little_late_does_not_shift_the_plan() {
    for behavior in [
        MissedTickBehavior::Burst,
        MissedTickBehavior::Delay,
        MissedTickBehavior::Skip,
    ] {
        let due = Instant::now();
        assert_eq!(behavior.next(due, 10 * MS, due + 4 * MS), due + 10 * MS);
        assert_eq!(behavior.next(due, MS, due + MS / 2), due + MS);
    }
    let due = Instant::now();
    let late = MissedTickBehavior::Delay.next(due, MS, due + MS);
    assert_eq!(late, due + 2 * MS);
    let skipped = MissedTickBehavior::Skip.next(due, MS, due + HOUR);
    assert_eq!(skipped, due + HOUR + MS, "strictly after now");
    let exactly = MissedTickBehavior::Skip.next(due, MS, due + MS);
    assert_eq!(
        exactly,
        due + 2 * MS,
        "also when the next one is due right now"
    );
    let delayed = MissedTickBehavior::Delay.next(due, 10 * MS, due + 7 * MS);
    assert_eq!(
        delayed,
        due + 17 * MS,
        "late before the whole period is over"
    );
    let century = MissedTickBehavior::Skip.next(due, Duration::MAX, due + HOUR);
    assert!(century > due + 10_000 * HOUR);
}

#[test]
#[should_panic(expected = "a period above zero")]
fn an_interval_without_a_period_is_refused() {
    let _ = interval(Duration::ZERO);
}

#[test]
fn an_interval_is_a_stream() {
    block_on_paused(async {
        let start = now();
        let mut ticks = pin!(interval(MS));
        for i in 0..3 {
            let tick = poll_fn(|cx| ticks.as_mut().poll_next(cx)).await;
            assert_eq!(tick, Some(start + i * MS));
        }
    });
}

#[test]
fn a_paused_clock_jumps_over_hours_and_stands_still_otherwise() {
    needs_a_kernel!("it compares with the system's clock");
    let began = Instant::now();
    block_on(async {
        pause();
        let start = now();
        thread::sleep(2 * MS);
        assert_eq!(now(), start);
        sleep(24 * HOUR).await;
        assert_eq!(now(), start + 24 * HOUR);
        resume();
        let resumed = now();
        assert!(resumed >= start + 24 * HOUR);
        let slept = Instant::now();
        sleep(2 * MS).await;
        assert!(
            slept.elapsed() >= 2 * MS,
            "it runs again, ahead of the system's"
        );
        assert!(now() >= resumed + 2 * MS);
    });
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn advance_fires_what_is_due_and_lets_its_tasks_run() {
    let story = async || {
        let fired = Rc::new(Cell::new(0));
        let spawn_sleeper = |duration| {
            let fired = fired.clone();
            spawn(async move {
                sleep(duration).await;
                fired.set(fired.get() + 1);
            })
        };
        let _early = spawn_sleeper(MS);
        let _same = spawn_sleeper(HOUR);
        let late = spawn_sleeper(HOUR + MS);
        yield_now().await;
        let start = now();
        advance(HOUR).await;
        assert_eq!((now(), fired.get()), (start + HOUR, 2));
        assert!(!late.is_finished());
        advance(MS).await;
        assert_eq!(fired.get(), 3);
    };
    block_on_paused(story());
    // A spawned task stands in the queue with the others.
    block_on_paused(async { spawn(story()).await }).expect("the same story");
}

#[test]
#[should_panic(expected = "call time::pause() first")]
fn a_running_clock_cannot_be_advanced() {
    block_on(advance(MS));
}

#[test]
#[should_panic(expected = "inside a krug runtime")]
fn the_clock_is_that_of_a_core() {
    pause();
}

#[test]
#[should_panic(expected = "await it inside `block_on` or a task")]
fn a_sleep_polled_outside_a_runtime_panics_and_says_what_to_do() {
    let mut sleeping = sleep(MS);
    let _ = Pin::new(&mut sleeping).poll(&mut Context::from_waker(Waker::noop()));
}

#[test]
fn timers_are_send_and_sync() {
    fn check<T: Send + Sync>(_: &T) {}
    check(&sleep(MS));
    check(&interval(MS));
    check(&timeout(MS, ready(1)));
}

#[test]
fn a_sleep_that_moves_to_another_core_ends_there_and_leaves_nothing_behind() {
    let (send_sleep, receive_sleep) = mpsc::channel::<Sleep>();
    let other = thread::spawn(move || {
        block_on(async move {
            let mut sleeping = receive_sleep.recv().expect("a sleep");
            assert!(poll_once(&mut sleeping).await.is_pending());
            assert_eq!(timers(), 1);
            let deadline = sleeping.deadline();
            sleeping.await;
            assert!(now() >= deadline);
        });
    });
    block_on(async move {
        let mut sleeping = sleep(30 * MS);
        assert!(poll_once(&mut sleeping).await.is_pending());
        assert_eq!(timers(), 1);
        send_sleep.send(sleeping).expect("it is awaited");
        until_no_timer_is_left().await;
    });
    other.join().expect("it ended");
}

#[test]
fn a_sleep_dropped_on_another_thread_is_removed_at_home() {
    block_on(async {
        let mut sleeping = sleep(HOUR);
        assert!(poll_once(&mut sleeping).await.is_pending());
        thread::spawn(move || drop(sleeping))
            .join()
            .expect("dropped");
        until_no_timer_is_left().await;
    });
}

/// Letters arrive with the next turns.
async fn until_no_timer_is_left() {
    let begin = Instant::now();
    while timers() > 0 {
        assert!(
            begin.elapsed() < Duration::from_secs(5),
            "the timer is still there"
        );
        yield_now().await;
    }
}

#[test]
fn a_sleep_outlives_the_runtime_it_waited_in() {
    needs_a_kernel!("it compares with the system's clock");
    let wait = |time| {
        let mut sleeping = sleep(time);
        let is_pending = block_on(async { poll_once(&mut sleeping).await.is_pending() });
        is_pending.then_some(sleeping)
    };
    // A busy machine may take longer than that to come to the first poll.
    let mut times = (0..12).map(|doublings| (5 << doublings) * MS);
    let mut sleeping = times.find_map(wait).expect("some time is long enough");
    block_on(async {
        assert_eq!(timers(), 0);
        (&mut sleeping).await;
    });
    assert!(sleeping.is_elapsed());
    let mut other = sleep(HOUR);
    block_on(async { assert!(poll_once(&mut other).await.is_pending()) });
    drop(other);
}

#[test]
fn one_long_sleep_does_not_wake_an_idle_core() {
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let sleeping = spawn(sleep(HOUR));
        yield_now().await;
        let turns = || context::with(|core| core.counters.turns.get()).expect("in a runtime");
        let before = turns();
        sleep(50 * MS).await;
        let spent = turns() - before;
        assert!(spent <= 10, "{spent} turns in 50 ms of idleness");
        sleeping.abort();
    });
}

#[test]
fn many_timers_at_once_all_fire() {
    block_on_paused(async {
        let start = now();
        let tasks: Vec<_> = (0..5000_u32)
            .map(|i| spawn(sleep_until(start + (i % 7) * MS)))
            .collect();
        for task in tasks {
            task.await.expect("a sleep");
        }
        assert_eq!(timers(), 0);
        assert_eq!(now(), start + 6 * MS);
    });
}
