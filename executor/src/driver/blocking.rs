//! [`BlockingPool`]: threads for what the ring cannot do without waiting.
//!
//! Threads start when work comes and nobody is idle, up to a bound; one that has been idle for a
//! while ends. Work beyond the bound waits in order. How results travel is the business of the work itself.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// What a thread is to do. A panic of it is reported by the panic hook and goes nowhere.
pub(crate) type Work = Box<dyn FnOnce() + Send>;

/// How long a thread without work waits for more: starting one costs about 50 µs, keeping one costs its stack.
pub(crate) const IDLE_MAX: Duration = Duration::from_secs(10);

/// A bounded set of threads. Dropping it drops the work that has not begun, without waiting for what has.
pub(crate) struct BlockingPool {
    threads_max: usize,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Rung for each piece of work, and at the end.
    bell: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Work>,
    threads: usize,
    idle: usize,
    is_over: bool,
}

impl BlockingPool {
    pub(crate) fn new(threads_max: usize) -> BlockingPool {
        BlockingPool {
            threads_max: threads_max.max(1),
            shared: Arc::default(),
        }
    }

    /// Hands `work` to a thread, as soon as there is one.
    ///
    /// # Errors
    ///
    /// If there is no thread and none can be started; `work` is dropped then.
    pub(crate) fn run(&self, work: Work) -> io::Result<()> {
        let mut state = self.shared.lock();
        state.waiting.push_back(work);
        if state.idle >= state.waiting.len() {
            drop(state);
            self.shared.bell.notify_one();
            return Ok(());
        }
        if state.threads >= self.threads_max {
            return Ok(());
        }
        state.threads += 1;
        drop(state);
        self.start().or_else(|error| {
            let mut state = self.shared.lock();
            state.threads -= 1;
            if state.threads > 0 {
                return Ok(());
            }
            let work = state.waiting.pop_back();
            drop(state);
            drop(work);
            Err(error)
        })
    }

    fn start(&self) -> io::Result<()> {
        let shared = self.shared.clone();
        let thread = thread::Builder::new().name("krug-blocking".to_owned());
        thread.spawn(move || shared.serve()).map(drop)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Work runs while the lock is free, so nothing is half done behind it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The life of one thread.
    fn serve(&self) {
        while let Some(work) = self.next() {
            if let Err(payload) = catch_unwind(AssertUnwindSafe(work)) {
                // Its destructor may panic, too, and nobody is there to be told.
                let dropped = catch_unwind(AssertUnwindSafe(|| drop(payload)));
                dropped.unwrap_or_else(std::mem::forget);
            }
        }
    }

    /// The next piece of work; `None` if there has been none for a while: the thread is counted no longer.
    fn next(&self) -> Option<Work> {
        let mut state = self.lock();
        loop {
            if state.is_over {
                state.threads -= 1;
                return None;
            }
            if let Some(work) = state.waiting.pop_front() {
                return Some(work);
            }
            state.idle += 1;
            let waited = self.bell.wait_timeout(state, IDLE_MAX);
            let (after, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = after;
            state.idle -= 1;
            if timeout.timed_out() && state.waiting.is_empty() {
                state.threads -= 1;
                return None;
            }
        }
    }
}

impl Drop for BlockingPool {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_over = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.shared.bell.notify_all();
        drop(waiting);
    }
}

impl fmt::Debug for BlockingPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingPool")
            .field("threads_max", &self.threads_max)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn no_more_threads_than_the_bound_work_at_once() {
        let pool = BlockingPool::new(3);
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (done, all) = mpsc::channel();
        for _ in 0..50 {
            let (running, most, done) = (running.clone(), most.clone(), done.clone());
            let work = move || {
                let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                thread::sleep(Duration::from_millis(1));
                running.fetch_sub(1, Ordering::SeqCst);
                done.send(()).unwrap();
            };
            pool.run(Box::new(work)).unwrap();
        }
        (0..50).for_each(|_| all.recv_timeout(Duration::from_secs(15)).unwrap());
        assert_eq!(most.load(Ordering::SeqCst), 3);
        assert!(pool.shared.lock().threads <= 3);
    }

    #[test]
    fn bug_081_work_behind_work_that_waits_for_it_gets_a_thread_of_its_own() {
        let pool = BlockingPool::new(2);
        let (key, lock) = mpsc::channel();
        let (done, all) = mpsc::channel();
        let first = done.clone();
        let waits = move || first.send(lock.recv().unwrap()).unwrap();
        pool.run(Box::new(waits)).unwrap();
        pool.run(Box::new(move || key.send(1).unwrap())).unwrap();
        assert_eq!(all.recv_timeout(Duration::from_secs(15)), Ok(1));
        drop(done);
    }

    #[test]
    fn a_thread_that_is_idle_is_used_again() {
        let pool = BlockingPool::new(8);
        let (done, all) = mpsc::channel();
        for _ in 0..20 {
            let done = done.clone();
            pool.run(Box::new(move || done.send(()).unwrap())).unwrap();
            all.recv_timeout(Duration::from_secs(15)).unwrap();
            while pool.shared.lock().idle == 0 {
                thread::yield_now();
            }
        }
        assert_eq!(pool.shared.lock().threads, 1);
    }

    #[test]
    fn bug_080_a_panic_costs_no_thread_and_no_work() {
        let pool = BlockingPool::new(1);
        let (done, all) = mpsc::channel();
        pool.run(Box::new(|| panic!("not caught"))).unwrap();
        pool.run(Box::new(move || done.send(()).unwrap())).unwrap();
        all.recv_timeout(Duration::from_secs(15)).unwrap();
    }

    #[test]
    fn what_has_not_begun_when_the_pool_ends_is_dropped() {
        let pool = BlockingPool::new(1);
        let (key, lock) = mpsc::channel::<()>();
        let (begun, begin) = mpsc::channel();
        let (waiting, dropped) = mpsc::channel::<()>();
        let blocks = move || {
            begun.send(()).unwrap();
            let _ = lock.recv();
        };
        pool.run(Box::new(blocks)).unwrap();
        begin.recv_timeout(Duration::from_secs(15)).unwrap();
        pool.run(Box::new(move || waiting.send(()).unwrap()))
            .unwrap();
        drop(pool);
        assert_eq!(dropped.recv(), Err(mpsc::RecvError));
        drop(key);
    }
}
