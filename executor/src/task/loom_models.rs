//! Loom runs these models in every order of events (up to two or three preemptions), with the
//! production types: `RUSTFLAGS="--cfg krug_loom" cargo test -p krug --lib --release loom_`.
//!
//! A lost wake-up shows as a deadlock, a task freed too early or touched by two threads as
//! a race on one of its cells, a task that is never freed as a leak.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use loom::sync::Notify;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::{JoinHandle, spawn_from_afar};
use crate::cores::{MailboxLease, Ring};
use crate::scheduler::{Scheduler, TurnBudget};

const TURN: TurnBudget = TurnBudget {
    polls_max: 100,
    until: None,
};

pub(crate) fn model(preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(f);
}

/// A worker whose driver can do nothing but sleep.
struct Worker {
    lease: MailboxLease,
    scheduler: Rc<Scheduler>,
    bell: Arc<Notify>,
}

struct Bell(Arc<Notify>);

impl Ring for Bell {
    fn ring(&self) {
        self.0.notify();
    }
}

impl Worker {
    fn new() -> Worker {
        let lease = MailboxLease::acquire();
        let bell = Arc::new(Notify::new());
        lease.set_bell(Box::new(Bell(bell.clone())));
        let scheduler = Scheduler::new(&lease, None);
        Worker {
            lease,
            scheduler,
            bell,
        }
    }

    fn turn(&self) {
        self.scheduler.receive();
        self.scheduler.run(TURN);
    }

    /// Sleeps whenever there is nothing to do: a lost wake-up is a deadlock.
    fn run_until(&self, mut done: impl FnMut() -> bool) {
        loop {
            self.turn();
            if done() {
                return;
            }
            if self.lease.prepare_park() {
                self.bell.wait();
                self.lease.unpark();
            }
        }
    }

    fn end(self) {
        self.scheduler.shut_down();
        self.lease.remove_bell();
    }
}

/// Wakes a thread that sleeps until then.
pub(crate) struct NotifyWaker(pub(crate) Notify);

impl Wake for NotifyWaker {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}

/// Waits on a thread without a scheduler.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    let notify = Arc::new(NotifyWaker(Notify::new()));
    let waker = Waker::from(notify.clone());
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        notify.0.wait();
    }
}

/// Spawns a task that waits until `flag` has the value `full`; gives out its waker.
fn spawn_waiting(worker: &Worker, flag: &Arc<AtomicUsize>, full: usize) -> (JoinHandle<()>, Waker) {
    let place = Rc::new(std::cell::RefCell::new(None));
    let (flag, mine) = (flag.clone(), place.clone());
    let handle = worker.scheduler.spawn(poll_fn(move |cx| {
        mine.borrow_mut().get_or_insert_with(|| cx.waker().clone());
        if flag.load(Ordering::Relaxed) == full {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }));
    worker.turn();
    let waker = place.borrow_mut().take().unwrap();
    (handle, waker)
}

#[test]
fn loom_bug_037_039_two_wakers_and_a_poller() {
    model(2, || {
        let worker = Worker::new();
        let flag = Arc::new(AtomicUsize::new(0));
        let (handle, waker) = spawn_waiting(&worker, &flag, 2);
        let by_reference = {
            let (flag, waker) = (flag.clone(), waker.clone());
            thread::spawn(move || {
                flag.fetch_add(1, Ordering::Relaxed);
                waker.wake_by_ref();
            })
        };
        let by_value = thread::spawn(move || {
            flag.fetch_add(1, Ordering::Relaxed);
            waker.wake();
        });
        worker.run_until(|| handle.is_finished());
        by_reference.join().unwrap();
        by_value.join().unwrap();
        drop(handle);
        worker.end();
    });
}

#[test]
fn loom_bug_038_counts_of_home_and_two_others_merge() {
    model(3, || {
        let worker = Worker::new();
        let flag = Arc::new(AtomicUsize::new(0));
        let (handle, waker) = spawn_waiting(&worker, &flag, 1);
        let threads = [waker.clone(), waker.clone()].map(|waker| {
            thread::spawn(move || {
                let second = waker.clone();
                drop(waker);
                second
            })
        });
        {
            let _entered = worker.scheduler.enter();
            flag.fetch_add(1, Ordering::Relaxed);
            waker.wake();
            drop(handle);
        }
        worker.turn();
        let [first, second] = threads.map(|thread| thread.join().unwrap());
        let elsewhere = thread::spawn(move || drop(first));
        {
            let _entered = worker.scheduler.enter();
            drop(second);
        }
        worker.turn();
        elsewhere.join().unwrap();
        worker.end();
    });
}

/// References made elsewhere are dropped at home, so that the home takes over the others' count.
#[test]
fn loom_the_home_of_a_living_task_runs_out_of_its_count() {
    model(3, || {
        let worker = Worker::new();
        let flag = Arc::new(AtomicUsize::new(0));
        let (handle, waker) = spawn_waiting(&worker, &flag, 1);
        drop(handle);
        worker.turn();
        let made = thread::spawn(move || [waker.clone(), waker.clone(), waker.clone(), waker]);
        let [first, second, third, fourth] = made.join().unwrap();
        let user = thread::spawn(move || {
            drop(first.clone());
            flag.fetch_add(1, Ordering::Relaxed);
            first.wake();
        });
        {
            let _entered = worker.scheduler.enter();
            drop([second, third, fourth]);
        }
        worker.run_until(|| worker.scheduler.live_tasks() == 0);
        user.join().unwrap();
        worker.end();
    });
}

/// References made elsewhere are dropped at home, so that the home gives up a finished task.
#[test]
fn loom_a_finished_task_is_merged_while_others_use_it() {
    model(3, || {
        let worker = Worker::new();
        let flag = Arc::new(AtomicUsize::new(0));
        let (handle, waker) = spawn_waiting(&worker, &flag, 1);
        let (waker, made_there) = thread::spawn(move || {
            let made = [waker.clone(), waker.clone()];
            (waker, made)
        })
        .join()
        .unwrap();
        let [first, second] = made_there;
        let dropper = thread::spawn(move || drop(first));
        let user = thread::spawn(move || {
            second.wake_by_ref();
            drop(second.clone());
        });
        {
            let _entered = worker.scheduler.enter();
            flag.fetch_add(1, Ordering::Relaxed);
            waker.wake();
            drop(handle);
            worker.scheduler.run(TURN);
        }
        worker.turn();
        dropper.join().unwrap();
        user.join().unwrap();
        worker.end();
    });
}

#[test]
fn loom_bug_036_a_worker_dies_while_its_task_is_woken() {
    model(3, || {
        let worker = Worker::new();
        let flag = Arc::new(AtomicUsize::new(0));
        let (handle, waker) = spawn_waiting(&worker, &flag, 1);
        drop(handle);
        let clone = waker.clone();
        let by_reference = thread::spawn(move || {
            clone.wake_by_ref();
            drop(clone.clone());
        });
        let by_value = thread::spawn(move || waker.wake());
        worker.end();
        by_reference.join().unwrap();
        by_value.join().unwrap();
    });
}

#[test]
fn loom_remote_join_of_a_task_that_completes() {
    model(3, || {
        let worker = Worker::new();
        let handle = worker.scheduler.spawn(async { Box::new(7) });
        let joiner = thread::spawn(move || *wait(handle).unwrap());
        worker.run_until(|| worker.scheduler.live_tasks() == 0);
        // The joiner may have asked just after: its message needs one more turn, if any.
        while worker.scheduler.tasks().first().is_some() {
            worker.turn();
            thread::yield_now();
        }
        assert_eq!(joiner.join().unwrap(), 7);
        worker.end();
    });
}

/// The second waker goes without a message: the exchange of the pointer has to do.
#[test]
fn loom_remote_join_with_a_second_waker() {
    model(3, || {
        let worker = Worker::new();
        let mut handle = worker.scheduler.spawn(async { Box::new(7) });
        let joiner = thread::spawn(move || {
            let polled = Pin::new(&mut handle).poll(&mut Context::from_waker(Waker::noop()));
            match polled {
                Poll::Ready(output) => *output.unwrap(),
                Poll::Pending => *wait(handle).unwrap(),
            }
        });
        worker.turn();
        while worker.scheduler.tasks().first().is_some() {
            worker.turn();
            thread::yield_now();
        }
        assert_eq!(joiner.join().unwrap(), 7);
        worker.end();
    });
}

#[test]
fn loom_remote_join_of_a_task_whose_worker_dies() {
    model(3, || {
        let worker = Worker::new();
        let handle = worker.scheduler.spawn(std::future::pending::<()>());
        worker.turn();
        let joiner = thread::spawn(move || wait(handle).unwrap_err().is_cancelled());
        worker.end();
        assert!(joiner.join().unwrap());
    });
}

#[test]
fn loom_remote_abort_and_join_while_the_task_completes() {
    model(3, || {
        let worker = Worker::new();
        let handle = worker.scheduler.spawn(async { Box::new(7) });
        let joiner = thread::spawn(move || {
            handle.abort();
            match wait(handle) {
                Ok(output) => *output == 7,
                Err(error) => error.is_cancelled(),
            }
        });
        worker.turn();
        worker.end();
        assert!(joiner.join().unwrap());
    });
}

#[test]
fn loom_the_handle_is_dropped_elsewhere_while_the_task_completes_and_its_worker_dies() {
    model(3, || {
        let worker = Worker::new();
        let drops = std::sync::Arc::new(());
        let output = drops.clone();
        let handle = worker.scheduler.spawn(async move { output });
        let dropper = thread::spawn(move || drop(handle));
        worker.turn();
        worker.end();
        dropper.join().unwrap();
        assert_eq!(Arc::strong_count(&drops), 1, "the output is dropped once");
    });
}

#[test]
fn loom_spawned_from_afar_while_the_worker_dies() {
    model(3, || {
        let worker = Worker::new();
        let home = worker.lease.id();
        let drops = std::sync::Arc::new(());
        let mine = drops.clone();
        let spawner = thread::spawn(move || {
            let future = async move {
                drop(mine);
                7
            };
            match spawn_from_afar(home, future) {
                Ok(handle) => match wait(handle) {
                    Ok(output) => assert_eq!(output, 7),
                    Err(error) => assert!(error.is_cancelled()),
                },
                Err(future) => drop(future),
            }
        });
        worker.turn();
        worker.end();
        spawner.join().unwrap();
        assert_eq!(Arc::strong_count(&drops), 1, "the future is dropped once");
    });
}

#[test]
fn loom_spawned_from_afar_and_dropped_while_the_worker_dies() {
    model(3, || {
        let worker = Worker::new();
        let home = worker.lease.id();
        let spawner = thread::spawn(move || {
            let future = std::future::pending::<()>();
            if let Ok(handle) = spawn_from_afar(home, future) {
                handle.abort();
                drop(handle);
            }
        });
        worker.end();
        spawner.join().unwrap();
    });
}
