//! Stealable tasks, and cores that look for such and go to sleep, in every order of events; how to run: see `task::loom_models`.

use std::future::{Ready, poll_fn, ready};
use std::panic::Location;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use loom::sync::Notify;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use super::StealableHandle;
use super::pool::Pool;
use super::queue::Queue;
use super::task::{Birth, Joinable, Stealable, Task};

fn with_preemptions(bound: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(bound);
    builder.check(model);
}

/// Wakes a loom thread that sleeps.
struct Sleeper(Notify);

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}

fn pool(lanes: usize) -> Arc<Pool> {
    let pool = Arc::new(Pool::with_slots(lanes, false, 2));
    (0..lanes).for_each(|_| pool.join());
    pool
}

fn task<F>(pool: &Arc<Pool>, future: F) -> Arc<Task<F>>
where
    F: Future<Output: Send> + Send + 'static,
{
    let birth = Birth {
        pool: pool.clone(),
        home: 0,
        key: 0,
        spawned_at: Location::caller(),
    };
    Arc::new(Task::new(future, birth))
}

fn run_next(pool: &Pool, lane: usize) -> bool {
    let next = pool.next(lane, |_| 0).or_else(|| pool.steal(lane, 0));
    next.map(|task| task.run(lane)).is_some()
}

/// What a runner does, until the task is done.
fn run_until_done<T>(pool: &Pool, lane: usize, task: &dyn Joinable<T>) {
    let sleeper = Arc::new(Sleeper(Notify::new()));
    let waker = Waker::from(sleeper.clone());
    while !task.is_done() {
        if run_next(pool, lane) {
            continue;
        }
        match pool.sleep(lane, &waker) {
            true => sleeper.0.wait(),
            // Somebody is in the middle of a push; a runner gives way to the other tasks of its core.
            false => thread::yield_now(),
        }
    }
}

fn wait<F: Future>(future: F) -> F::Output {
    let sleeper = Arc::new(Sleeper(Notify::new()));
    let waker = Waker::from(sleeper.clone());
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => sleeper.0.wait(),
        }
    }
}

/// Every reference to the pool is gone but the caller's, so no task has been leaked.
fn ends(pool: &Arc<Pool>, lanes: usize) {
    (0..lanes).for_each(|lane| pool.leave(lane));
    assert_eq!(Arc::strong_count(pool), 1, "a task is left");
}

#[test]
fn loom_a_push_and_a_core_that_goes_to_sleep() {
    with_preemptions(3, || {
        let pool = pool(2);
        let task: Arc<Task<Ready<()>>> = task(&pool, ready(()));
        let pushing = {
            let (pool, task) = (pool.clone(), task.clone());
            thread::spawn(move || pool.push(0, task))
        };
        run_until_done(&pool, 1, &*task);
        pushing.join().unwrap();
        drop(task);
        ends(&pool, 2);
    });
}

#[test]
fn loom_a_wake_and_the_poll_it_is_for() {
    with_preemptions(3, || {
        let pool = pool(1);
        let is_open = Arc::new(AtomicBool::new(false));
        let seen = is_open.clone();
        let task = task(
            &pool,
            poll_fn(move |_| match seen.load(Ordering::Relaxed) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }),
        );
        pool.push(0, task.clone());
        let waker = Waker::from(task.clone());
        let waking = thread::spawn(move || {
            is_open.store(true, Ordering::Relaxed);
            waker.wake();
        });
        run_until_done(&pool, 0, &*task);
        waking.join().unwrap();
        drop(task);
        ends(&pool, 1);
    });
}

#[test]
fn loom_a_task_that_gives_way_is_never_on_two_cores() {
    with_preemptions(2, || {
        let pool = pool(2);
        let mut polls = 0;
        let task = task(
            &pool,
            poll_fn(move |cx| {
                polls += 1;
                cx.waker().wake_by_ref();
                match polls {
                    2 => Poll::Ready(polls),
                    _ => Poll::Pending,
                }
            }),
        );
        pool.push(0, task.clone());
        let stealing = {
            let pool = pool.clone();
            thread::spawn(move || while run_next(&pool, 1) {})
        };
        while run_next(&pool, 0) {}
        stealing.join().unwrap();
        // Each has given up when it saw nothing, which the other one may just have pushed.
        while run_next(&pool, 0) {}
        assert_eq!(task.take_output().unwrap(), 2);
        drop(task);
        ends(&pool, 2);
    });
}

#[test]
fn loom_the_end_of_a_core_beside_a_wake_and_a_poll() {
    with_preemptions(3, || {
        let pool = pool(1);
        let content = Arc::new(());
        let held = content.clone();
        let task = task(
            &pool,
            poll_fn(move |_| {
                let _held = &held;
                Poll::<()>::Pending
            }),
        );
        // It was polled once, and sleeps.
        task.clone().run(0);
        let waker = Waker::from(task.clone());
        let running = {
            let pool = pool.clone();
            thread::spawn(move || {
                waker.wake();
                run_next(&pool, 0);
            })
        };
        task.end();
        running.join().unwrap();
        assert!(task.is_done());
        assert_eq!(Arc::strong_count(&content), 1, "the future is dropped");
        assert!(task.take_output().unwrap_err().is_cancelled());
        drop(task);
        ends(&pool, 1);
    });
}

#[test]
fn loom_a_wake_after_the_last_core_has_gone_keeps_nothing() {
    with_preemptions(3, || {
        let pool = pool(1);
        let task = task(&pool, std::future::pending::<()>());
        task.clone().run(0);
        let waker = Waker::from(task.clone());
        let waking = thread::spawn(move || waker.wake());
        task.end();
        pool.leave(0);
        waking.join().unwrap();
        drop(task);
        assert_eq!(Arc::strong_count(&pool), 1, "nobody is left in a queue");
    });
}

#[test]
fn loom_an_output_and_who_waits_for_it() {
    with_preemptions(3, || {
        let pool = pool(1);
        let task = task(&pool, ready(Arc::new(7)));
        let handle = StealableHandle::new(task.clone());
        let running = thread::spawn(move || task.run(0));
        assert_eq!(*wait(handle).unwrap(), 7);
        running.join().unwrap();
        ends(&pool, 1);
    });
}

#[test]
fn loom_an_output_and_a_handle_that_goes() {
    with_preemptions(3, || {
        let pool = pool(1);
        let content = Arc::new(());
        let task = task(&pool, ready(content.clone()));
        let handle = StealableHandle::new(task.clone());
        let running = thread::spawn(move || task.run(0));
        drop(handle);
        running.join().unwrap();
        assert_eq!(Arc::strong_count(&content), 1, "dropped once, by either");
        ends(&pool, 1);
    });
}

#[test]
fn loom_two_take_what_two_push() {
    with_preemptions(2, || {
        let queue = Arc::new(Queue::new(2));
        let pushing = {
            let queue = queue.clone();
            thread::spawn(move || (1..=2).for_each(|item| queue.push(item)))
        };
        let taking = {
            let queue = queue.clone();
            thread::spawn(move || queue.pop().unwrap_or(0))
        };
        queue.push(4);
        let mut sum = queue.pop().unwrap_or(0);
        pushing.join().unwrap();
        sum += taking.join().unwrap();
        while let Some(item) = queue.pop() {
            sum += item;
        }
        assert_eq!(sum, 7, "each is taken once");
        assert!(queue.is_empty());
    });
}
