//! The scheduler's policy, without any I/O.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::{Scheduler, TurnBudget, Until};
use crate::cores::{CoreId, MailboxLease};
use crate::task::{JoinHandle, budget, spawn, yield_now};

const NO_LIMIT: TurnBudget = TurnBudget {
    polls_max: usize::MAX,
    until: None,
};

const ONLY_WHAT_IS_DUE: TurnBudget = TurnBudget {
    polls_max: 0,
    until: None,
};

/// A worker without I/O: when nothing is ready and nothing comes, the test has hung.
pub(crate) struct Bench {
    pub(crate) lease: MailboxLease,
    pub(crate) scheduler: Rc<Scheduler>,
}

impl Bench {
    pub(crate) fn new() -> Bench {
        let lease = MailboxLease::acquire();
        let scheduler = Scheduler::new(&lease, None);
        Bench { lease, scheduler }
    }

    #[track_caller]
    pub(crate) fn spawn<F: Future + 'static>(&self, future: F) -> JoinHandle<F::Output> {
        self.scheduler.spawn(future)
    }

    /// Runs until nothing is ready. Returns the number of polls.
    pub(crate) fn settle(&self) -> usize {
        let mut polls = 0;
        loop {
            let received = self.scheduler.receive();
            let polled = self.scheduler.run(NO_LIMIT);
            polls += polled;
            if received + polled == 0 {
                return polls;
            }
        }
    }

    /// One turn, and a chance for other threads.
    pub(crate) fn settle_a_little(&self) {
        self.scheduler.receive();
        self.scheduler.run(ONLY_WHAT_IS_DUE);
        std::thread::yield_now();
    }

    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        let _entered = self.scheduler.enter();
        let main = self.scheduler.main_task();
        let waker = main.waker();
        let mut future = pin!(future);
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if main.take_notified() {
                let polled =
                    budget::scope(|| future.as_mut().poll(&mut Context::from_waker(&waker)));
                if let Poll::Ready(output) = polled {
                    return output;
                }
            }
            let received = self.scheduler.receive();
            if received + self.scheduler.run(NO_LIMIT) == 0 && !main.is_notified() {
                assert!(Instant::now() < deadline, "nobody wakes the main task");
                std::thread::yield_now();
            }
        }
    }
}

type Log = Rc<RefCell<Vec<u32>>>;

async fn write(log: Log, number: u32) {
    log.borrow_mut().push(number);
}

#[test]
fn tasks_run_in_the_order_in_which_they_were_spawned() {
    let bench = Bench::new();
    let log = Log::default();
    for number in 0..5 {
        drop(bench.spawn(write(log.clone(), number)));
    }
    assert_eq!(bench.settle(), 5);
    assert_eq!(*log.borrow(), [0, 1, 2, 3, 4]);
}

#[test]
fn a_task_that_yields_runs_after_all_others_that_are_ready() {
    let bench = Bench::new();
    let log = Log::default();
    let mine = log.clone();
    drop(bench.spawn(async move {
        mine.borrow_mut().push(0);
        yield_now().await;
        mine.borrow_mut().push(9);
    }));
    drop(bench.spawn(write(log.clone(), 1)));
    drop(bench.spawn(write(log.clone(), 2)));
    bench.settle();
    assert_eq!(*log.borrow(), [0, 1, 2, 9]);
}

/// A task that is polled whenever it is woken, and does `act` each time.
fn spawn_actor(
    bench: &Bench,
    mut act: impl FnMut() + 'static,
) -> Rc<RefCell<Option<std::task::Waker>>> {
    let waker = Rc::new(RefCell::new(None));
    let place = waker.clone();
    let mut first = true;
    drop(bench.spawn(poll_fn(move |cx| {
        if std::mem::take(&mut first) {
            *place.borrow_mut() = Some(cx.waker().clone());
        } else {
            act();
        }
        Poll::<()>::Pending
    })));
    waker
}

fn wake(place: &Rc<RefCell<Option<std::task::Waker>>>) {
    place.borrow().as_ref().unwrap().wake_by_ref();
}

#[test]
fn a_task_woken_by_a_task_runs_before_the_queue() {
    let bench = Bench::new();
    let log = Log::default();
    let (at_woken, at_waiting) = (log.clone(), log.clone());
    let woken = spawn_actor(&bench, move || at_woken.borrow_mut().push(1));
    let waiting = spawn_actor(&bench, move || at_waiting.borrow_mut().push(2));
    bench.settle();
    let (at_waker, to_wake) = (log.clone(), woken.clone());
    drop(bench.spawn(async move {
        at_waker.borrow_mut().push(0);
        wake(&to_wake);
    }));
    let _entered = bench.scheduler.enter();
    wake(&waiting);
    bench.settle();
    assert_eq!(*log.borrow(), [0, 1, 2]);
}

#[test]
fn a_task_that_joins_a_batch_runs_once_for_all_that_were_ready() {
    let bench = Bench::new();
    let polls = Rc::new(Cell::new(0));
    let count = polls.clone();
    let mut parent = Box::pin(async {
        let handles: Vec<_> = (0..20).map(|_| spawn(async {})).collect();
        for handle in handles {
            handle.await.unwrap();
        }
    });
    drop(bench.spawn(poll_fn(move |cx| {
        count.set(count.get() + 1);
        parent.as_mut().poll(cx)
    })));
    bench.settle();
    assert_eq!(polls.get(), 2);
}

#[test]
fn two_tasks_that_wake_each_other_leave_the_queue_its_turn() {
    let bench = Bench::new();
    let polls_between = Rc::new(Cell::new(0));
    let longest = Rc::new(Cell::new(0));
    let partner = Rc::new(RefCell::new(None::<Rc<RefCell<Option<std::task::Waker>>>>));
    let (to_partner, count) = (partner.clone(), polls_between.clone());
    let first = spawn_actor(&bench, move || {
        count.set(count.get() + 1);
        wake(to_partner.borrow().as_ref().unwrap());
    });
    let (to_first, count) = (first.clone(), polls_between.clone());
    let second = spawn_actor(&bench, move || {
        count.set(count.get() + 1);
        wake(&to_first);
    });
    *partner.borrow_mut() = Some(second);
    let (count, record) = (polls_between, longest.clone());
    drop(bench.spawn(async move {
        for _ in 0..10 {
            record.set(record.get().max(count.replace(0)));
            yield_now().await;
        }
    }));
    bench.scheduler.run(ONLY_WHAT_IS_DUE);
    let _entered = bench.scheduler.enter();
    wake(&first);
    let turn = TurnBudget {
        polls_max: 100,
        until: None,
    };
    assert_eq!(bench.scheduler.run(turn), 100);
    assert!(longest.get() > 0, "the two never ran");
    assert!(
        longest.get() <= i32::from(super::LIFO_STREAK) + 1,
        "the queue waited for {} polls",
        longest.get()
    );
}

#[test]
fn a_turn_polls_what_was_due_and_then_stops_at_its_count() {
    let bench = Bench::new();
    let polls = Rc::new(Cell::new(0));
    for _ in 0..3 {
        let polls = polls.clone();
        drop(bench.spawn(async move {
            for _ in 0..1000 {
                polls.set(polls.get() + 1);
                yield_now().await;
            }
        }));
    }
    assert_eq!(bench.scheduler.run(ONLY_WHAT_IS_DUE), 3);
    let turn = TurnBudget {
        polls_max: 10,
        until: None,
    };
    assert_eq!(bench.scheduler.run(turn), 10);
    assert_eq!(polls.get(), 13);
    assert!(bench.scheduler.has_ready());
}

fn clock() -> u64 {
    crate::driver::monotonic_nanos()
}

#[test]
fn a_turn_stops_when_its_time_is_over() {
    let bench = Bench::new();
    let begin = Instant::now();
    drop(bench.spawn(async move {
        while begin.elapsed() < Duration::from_secs(20) {
            yield_now().await;
        }
    }));
    // Long enough for a second poll also on an emulated processor.
    let turn = TurnBudget {
        polls_max: usize::MAX,
        until: Some(Until {
            nanos: clock() + 100_000_000,
            clock,
        }),
    };
    assert!(bench.scheduler.run(turn) > 1);
    assert!(
        bench.scheduler.has_ready(),
        "it ran until the task had ended"
    );
}

#[test]
fn a_poll_may_consume_its_budget_and_no_more() {
    let bench = Bench::new();
    let polls = Rc::new(Cell::new(0));
    let units = Rc::new(Cell::new(0));
    let (at_polls, at_units) = (polls.clone(), units.clone());
    let handle = bench.spawn(poll_fn(move |cx| {
        at_polls.set(at_polls.get() + 1);
        while at_units.get() < 3 * budget::PER_POLL {
            if budget::consume(cx).is_pending() {
                return Poll::Pending;
            }
            at_units.set(at_units.get() + 1);
        }
        Poll::Ready(())
    }));
    assert_eq!(bench.scheduler.run(ONLY_WHAT_IS_DUE), 1);
    assert_eq!(units.get(), budget::PER_POLL);
    bench.block_on(handle).unwrap();
    assert_eq!(polls.get(), 3);
}

#[test]
fn outside_a_task_the_budget_has_no_end() {
    let mut cx = Context::from_waker(std::task::Waker::noop());
    for _ in 0..10 * budget::PER_POLL {
        assert!(budget::consume(&mut cx).is_ready());
    }
}

#[test]
#[should_panic(expected = "needs a runtime")]
fn spawn_outside_a_runtime_says_what_to_do() {
    drop(spawn(async {}));
}

fn current_id() -> Option<CoreId> {
    crate::task::with_scheduler(Scheduler::id)
}

#[test]
fn entering_another_scheduler_and_leaving_it_restores_the_first() {
    let (outer, inner) = (Bench::new(), Bench::new());
    let outer_guard = outer.scheduler.enter();
    let inner_guard = inner.scheduler.enter();
    assert_eq!(current_id().unwrap(), inner.lease.id());
    drop(inner_guard);
    assert_eq!(current_id().unwrap(), outer.lease.id());
    drop(outer_guard);
    assert!(current_id().is_none());
}

#[test]
fn guards_dropped_in_the_wrong_order_leave_nothing_dangling() {
    // In a thread of its own: it stays entered for ever.
    let thread = std::thread::spawn(|| {
        let (outer, inner) = (Bench::new(), Bench::new());
        let id = outer.lease.id();
        let outer_guard = outer.scheduler.enter();
        let inner_guard = inner.scheduler.enter();
        drop(outer_guard);
        drop(outer);
        drop(inner_guard);
        assert_eq!(
            current_id(),
            Some(id),
            "the outer one came back, and somebody keeps it"
        );
    });
    thread.join().unwrap();
}

#[test]
fn live_tasks_are_counted() {
    let bench = Bench::new();
    let handles = [
        bench.spawn(std::future::pending::<()>()),
        bench.spawn(async {}),
    ];
    assert_eq!(bench.scheduler.live_tasks(), 2);
    bench.settle();
    assert_eq!(bench.scheduler.live_tasks(), 1);
    bench.scheduler.abort_all();
    assert_eq!(bench.scheduler.live_tasks(), 0);
    drop(handles);
}
