//! [`BlockingPool`]: threads for what cannot be done without waiting.
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

use super::epoll::Errand;
use crate::sys;

/// What a thread is to do.
pub(crate) enum Work {
    /// Something of the user's, or of the layers above. A panic of it is reported by the panic hook and goes nowhere.
    Call {
        call: Box<dyn FnOnce() + Send>,
        queue: Queue,
    },
    /// An operation of the epoll driver: without an allocation of its own.
    Errand(Errand),
}

/// Whether work may wait behind as much as it likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queue {
    /// Refused where [`PoolConfig::queue_max`] of its kind wait already.
    Bounded,
    /// Whoever has asked for it waits himself.
    Unbounded,
}

impl Work {
    pub(super) fn run(self) {
        match self {
            Work::Call { call, .. } => call(),
            Work::Errand(errand) => errand.run(),
        }
    }

    fn is_on_file(&self) -> bool {
        matches!(self, Work::Errand(errand) if errand.is_on_file())
    }

    fn is_bounded(&self) -> bool {
        matches!(
            self,
            Work::Call {
                queue: Queue::Bounded,
                ..
            }
        )
    }
}

/// How a pool is set up.
#[derive(Clone, Debug)]
pub(crate) struct PoolConfig {
    /// At least 1.
    pub(crate) threads_max: usize,
    /// How much work whose [`Queue`] is bounded may wait for a thread.
    pub(crate) queue_max: Option<usize>,
    /// What the threads are called.
    pub(crate) thread_name: Arc<str>,
    /// Where they may run, if not where the thread may that starts them: that may be bound to one processor, on which
    /// they would be in its way.
    pub(crate) processors: Option<Arc<[usize]>>,
}

impl Default for PoolConfig {
    fn default() -> PoolConfig {
        PoolConfig {
            threads_max: 64,
            queue_max: None,
            thread_name: Arc::from("krug-blocking"),
            processors: None,
        }
    }
}

/// How long a thread without work waits for more: starting one costs about 50 µs, keeping one costs its stack.
pub(crate) const IDLE_MAX: Duration = Duration::from_secs(10);

/// A bounded set of threads. Dropping it drops the work that has not begun, without waiting for what has.
pub(crate) struct BlockingPool {
    config: PoolConfig,
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
    /// How much work is not on files, waiting or being done.
    others: usize,
    is_over: bool,
}

impl State {
    /// How many threads there may be for the sake of `work`. The driver gives out no more work on files at a time than
    /// there may be threads for; one that has just brought a result is about to be free.
    fn threads_max(&self, work: &Work, config: &PoolConfig) -> usize {
        let all = config.threads_max.max(1);
        match work {
            Work::Errand(errand) if errand.is_on_file() => {
                all.min(self.others + errand.file_threads_max())
            }
            _ => all,
        }
    }
}

impl BlockingPool {
    pub(crate) fn new(config: &PoolConfig) -> BlockingPool {
        BlockingPool {
            config: config.clone(),
            shared: Arc::default(),
        }
    }

    /// Hands `work` to a thread, as soon as there is one.
    ///
    /// # Errors
    ///
    /// If there is no thread and none can be started, or the queue is full (`WouldBlock`); `work` comes back.
    pub(crate) fn run(&self, work: Work) -> Result<(), (Work, io::Error)> {
        let mut state = self.shared.lock();
        if self.is_full(&state, &work) {
            return Err((work, io::ErrorKind::WouldBlock.into()));
        }
        let threads_max = state.threads_max(&work, &self.config);
        state.others += usize::from(!work.is_on_file());
        state.waiting.push_back(work);
        if state.idle >= state.waiting.len() {
            drop(state);
            self.shared.bell.notify_one();
            return Ok(());
        }
        if state.threads >= threads_max {
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
            let work = work.expect("there is no thread that could take it");
            state.others -= usize::from(!work.is_on_file());
            Err((work, error))
        })
    }

    /// As much waits as may: of its kind, and with no thread that could take it now.
    fn is_full(&self, state: &State, work: &Work) -> bool {
        let Some(queue_max) = self.config.queue_max.filter(|_| work.is_bounded()) else {
            return false;
        };
        let may_start = self.config.threads_max.max(1).saturating_sub(state.threads);
        let waiting = state
            .waiting
            .iter()
            .filter(|work| work.is_bounded())
            .count();
        waiting >= queue_max.saturating_add(state.idle + may_start)
    }

    /// Takes the piece of work for which `is_it` is true out of the queue, if no thread has begun with it.
    pub(crate) fn withdraw(&self, is_it: impl Fn(&Work) -> bool) -> Option<Work> {
        let mut state = self.shared.lock();
        let found = state.waiting.iter().position(is_it)?;
        let work = state.waiting.remove(found)?;
        state.others -= usize::from(!work.is_on_file());
        Some(work)
    }

    /// How many threads there are.
    #[cfg(test)]
    pub(super) fn threads(&self) -> usize {
        self.shared.lock().threads
    }

    fn start(&self) -> io::Result<()> {
        let shared = self.shared.clone();
        let processors = self.config.processors.clone();
        let thread = thread::Builder::new().name(self.config.thread_name.to_string());
        let serve = move || {
            // If it fails, a processor was taken away meanwhile: then the work is done where the core is.
            if let Some(processors) = processors {
                let _ = sys::set_affinity(&processors);
            }
            shared.serve();
        };
        thread.spawn(serve).map(drop)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Work runs while the lock is free, so nothing is half done behind it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The life of one thread.
    fn serve(&self) {
        let mut has_done_other = false;
        while let Some(work) = self.next(has_done_other) {
            has_done_other = !work.is_on_file();
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| work.run())) {
                // Its destructor may panic, too, and nobody is there to be told.
                let dropped = catch_unwind(AssertUnwindSafe(|| drop(payload)));
                dropped.unwrap_or_else(std::mem::forget);
            }
        }
    }

    /// The next piece of work; `None` if there has been none for a while: the thread is counted no longer.
    fn next(&self, has_done_other: bool) -> Option<Work> {
        let mut state = self.lock();
        state.others -= usize::from(has_done_other);
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
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    fn pool(threads_max: usize) -> BlockingPool {
        BlockingPool::new(&PoolConfig {
            threads_max,
            ..PoolConfig::default()
        })
    }

    fn run(pool: &BlockingPool, call: impl FnOnce() + Send + 'static) {
        let ran = pool.run(work(call, Queue::Unbounded));
        ran.map_err(|(_, error)| error).unwrap();
    }

    fn work(call: impl FnOnce() + Send + 'static, queue: Queue) -> Work {
        let call = Box::new(call);
        Work::Call { call, queue }
    }

    #[test]
    fn no_more_threads_than_the_bound_work_at_once() {
        let pool = pool(3);
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
            run(&pool, work);
        }
        (0..50).for_each(|_| all.recv_timeout(Duration::from_secs(15)).unwrap());
        assert_eq!(most.load(Ordering::SeqCst), 3);
        assert!(pool.shared.lock().threads <= 3);
    }

    #[test]
    fn bug_081_work_behind_work_that_waits_for_it_gets_a_thread_of_its_own() {
        let pool = pool(2);
        let (key, lock) = mpsc::channel();
        let (done, all) = mpsc::channel();
        let first = done.clone();
        let waits = move || first.send(lock.recv().unwrap()).unwrap();
        run(&pool, waits);
        run(&pool, move || key.send(1).unwrap());
        assert_eq!(all.recv_timeout(Duration::from_secs(15)), Ok(1));
        drop(done);
    }

    #[test]
    fn a_thread_that_is_idle_is_used_again() {
        let pool = pool(8);
        let (done, all) = mpsc::channel();
        for _ in 0..20 {
            let done = done.clone();
            run(&pool, move || done.send(()).unwrap());
            all.recv_timeout(Duration::from_secs(15)).unwrap();
            while pool.shared.lock().idle == 0 {
                thread::yield_now();
            }
        }
        assert_eq!(pool.shared.lock().threads, 1);
    }

    #[test]
    fn bug_080_a_panic_costs_no_thread_and_no_work() {
        let pool = pool(1);
        let (done, all) = mpsc::channel();
        run(&pool, || panic!("not caught"));
        run(&pool, move || done.send(()).unwrap());
        all.recv_timeout(Duration::from_secs(15)).unwrap();
    }

    #[test]
    fn what_has_not_begun_when_the_pool_ends_is_dropped() {
        let pool = pool(1);
        let (key, lock) = mpsc::channel::<()>();
        let (begun, begin) = mpsc::channel();
        let (waiting, dropped) = mpsc::channel::<()>();
        let blocks = move || {
            begun.send(()).unwrap();
            let _ = lock.recv();
        };
        run(&pool, blocks);
        begin.recv_timeout(Duration::from_secs(15)).unwrap();
        run(&pool, move || waiting.send(()).unwrap());
        drop(pool);
        assert_eq!(dropped.recv(), Err(mpsc::RecvError));
        drop(key);
    }

    #[test]
    fn what_goes_beyond_a_bounded_queue_comes_back_and_the_rest_is_done() {
        for queue_max in [0, 1, 5] {
            let pool = BlockingPool::new(&PoolConfig {
                threads_max: 2,
                queue_max: Some(queue_max),
                ..PoolConfig::default()
            });
            let (key, lock) = mpsc::channel::<()>();
            let lock = Arc::new(Mutex::new(lock));
            let (begun, begin) = mpsc::channel();
            let (done, all) = mpsc::channel();
            for _ in 0..2 {
                let (lock, begun) = (lock.clone(), begun.clone());
                let blocks = move || {
                    begun.send(()).unwrap();
                    let _ = lock.lock().unwrap().recv();
                };
                assert!(pool.run(work(blocks, Queue::Bounded)).is_ok());
                begin.recv_timeout(Duration::from_secs(15)).unwrap();
            }
            let mut accepted = 0;
            for _ in 0..10 {
                let done = done.clone();
                let call = move || done.send(()).unwrap();
                match pool.run(work(call, Queue::Bounded)) {
                    Ok(()) => accepted += 1,
                    Err((_, error)) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
                }
            }
            assert_eq!(accepted, queue_max);
            let ours = done.clone();
            run(&pool, move || ours.send(()).unwrap());
            drop(key);
            for _ in 0..=queue_max {
                all.recv_timeout(Duration::from_secs(15)).unwrap();
            }
        }
    }
}
