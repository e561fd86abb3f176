//! [`JoinSet`]: many tasks, joined in the order in which they end.
//!
//! Each task has a waker of its own, its [`Member`], which writes the task's key into the line of those that have ended. So joining
//! looks at no task that has not ended, however many there are.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};

use slab::Slab;

use super::{AbortHandle, JoinError, JoinHandle, budget, spawn};
use crate::cores::{self, CoreHandle, SpawnError, quietly};
use crate::primitives::{AtomicBool, Ordering};

/// Tasks that belong together, all with an output of the same type. They are joined in the order in which they end.
///
/// ```
/// use krug::task::JoinSet;
/// use krug::time::sleep;
/// use std::time::Duration;
///
/// # krug::Runtime::new().unwrap().block_on(async {
/// let mut set = JoinSet::new();
/// for millis in [20, 1, 10] {
///     set.spawn(async move {
///         sleep(Duration::from_millis(millis)).await;
///         millis
///     });
/// }
/// let mut order = Vec::new();
/// while let Some(joined) = set.join_next().await {
///     order.push(joined.unwrap());
/// }
/// assert_eq!(order, [1, 10, 20]);
/// # });
/// ```
///
/// Dropping the set aborts all its tasks; their futures are dropped in their cores' next turns. To wait until that has happened,
/// [`shutdown`](JoinSet::shutdown) it; to let them run on, [detach](JoinSet::detach_all) them first.
///
/// It is `Send` if the output is, and may be used on any thread, also after the runtime of the tasks has ended.
///
/// # Costs
///
/// A task in a set takes one allocation more than one that is spawned alone, and one more if it is on another core. Joining one takes the
/// same time however many there are. A task that ends takes a lock for as long as it writes one number; only tasks of several
/// cores in one set could meet there.
pub struct JoinSet<T> {
    members: Slab<JoinHandle<T>>,
    ended: Arc<Ended>,
    /// For how many keys `ended` has room, so that no task that ends has to allocate.
    room: usize,
}

/// Which tasks have ended and are not yet joined, first come, first served.
#[derive(Default)]
pub(super) struct Ended(Mutex<Line>);

#[derive(Default)]
struct Line {
    keys: VecDeque<usize>,
    joiner: Option<Waker>,
}

impl Ended {
    fn lock(&self) -> MutexGuard<'_, Line> {
        // Nothing that panics runs while it is locked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, key: usize) {
        let mut line = self.lock();
        line.keys.push_back(key);
        let joiner = line.joiner.take();
        drop(line);
        if let Some(joiner) = joiner {
            joiner.wake();
        }
    }

    /// Makes the joiner look again.
    pub(super) fn wake(&self) {
        let joiner = self.lock().joiner.take();
        if let Some(joiner) = joiner {
            joiner.wake();
        }
    }

    /// Ready if somebody has ended; else whoever polls is woken when that is so. Holds nothing while code of the user runs.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let line = self.lock();
        if !line.keys.is_empty() {
            return Poll::Ready(());
        }
        let is_known = |joiner: &Waker| joiner.will_wake(cx.waker());
        if line.joiner.as_ref().is_some_and(is_known) {
            return Poll::Pending;
        }
        drop(line);
        // Code of the user, which may do anything: so one looks again.
        let joiner = cx.waker().clone();
        let mut line = self.lock();
        let is_empty = line.keys.is_empty();
        let old = match is_empty {
            true => line.joiner.replace(joiner),
            false => Some(joiner),
        };
        drop(line);
        drop(old);
        match is_empty {
            true => Poll::Pending,
            false => Poll::Ready(()),
        }
    }
}

/// The waker of one task's join handle.
struct Member {
    ended: Arc<Ended>,
    key: usize,
    /// A task that ends elsewhere while it is taken in may be found by both sides.
    is_told: AtomicBool,
}

impl Wake for Member {
    fn wake(self: Arc<Self>) {
        if !self.is_told.swap(true, Ordering::Relaxed) {
            self.ended.push(self.key);
        }
    }
}

impl<T> JoinSet<T> {
    /// Nobody is in it.
    pub fn new() -> JoinSet<T> {
        JoinSet {
            members: Slab::new(),
            ended: Arc::default(),
            room: 0,
        }
    }

    /// How many tasks are in it: those that run, and those that have ended and are not yet joined.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// True if no task is in it.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Starts a task on this core, as [`spawn`](super::spawn()).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
        T: 'static,
    {
        let handle = spawn(future);
        self.insert(handle)
    }

    /// Starts a task on another core, as [`krug::spawn_on`](crate::spawn_on()).
    ///
    /// ```
    /// use krug::task::JoinSet;
    ///
    /// let runtime = krug::Runtime::builder().cores(2).build()?;
    /// runtime.block_on(async {
    ///     let mut set = JoinSet::new();
    ///     for core in krug::CoreHandle::of_all_cores() {
    ///         set.spawn_on(core, || async { std::rc::Rc::new(21).to_string() }).unwrap();
    ///     }
    ///     while let Some(joined) = set.join_next().await {
    ///         assert_eq!(joined.unwrap(), "21");
    ///     }
    /// });
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`spawn_on`](crate::spawn_on): `make` comes back.
    #[track_caller]
    pub fn spawn_on<M, F>(
        &mut self,
        core: CoreHandle,
        make: M,
    ) -> Result<AbortHandle, SpawnError<M>>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future<Output = T> + 'static,
        T: Send + 'static,
    {
        let handle = cores::spawn_on(core, make)?;
        Ok(self.insert(handle))
    }

    /// Takes in a task that runs already. Runs no code of the user.
    pub(super) fn insert(&mut self, mut handle: JoinHandle<T>) -> AbortHandle {
        let abort = handle.abort_handle();
        let place = self.members.vacant_entry();
        let member = Arc::new(Member {
            ended: self.ended.clone(),
            key: place.key(),
            is_told: AtomicBool::new(false),
        });
        let waker = Waker::from(member);
        let is_finished = handle.register(&mut Context::from_waker(&waker));
        place.insert(handle);
        self.make_room();
        if is_finished {
            waker.wake();
        }
        abort
    }

    fn make_room(&mut self) {
        if self.members.len() > self.room {
            let mut line = self.ended.lock();
            let waiting = line.keys.len();
            line.keys
                .reserve(self.members.len().saturating_sub(waiting));
            self.room = line.keys.capacity();
        }
    }

    /// Waits until a task has ended, and gives what came of it; `None` if no task is in the set.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing: a task that has ended stays in the set until it is joined.
    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        poll_fn(|cx| self.poll_join_next(cx)).await
    }

    /// [`join_next`](JoinSet::join_next) for who writes a future by hand.
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        if self.is_empty() {
            return Poll::Ready(None);
        }
        ready!(self.ended.poll(cx));
        ready!(budget::consume(cx));
        Poll::Ready(self.try_join_next())
    }

    /// What came of a task that has ended; `None` if none has that is not joined.
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        let key = self.ended.lock().keys.pop_front()?;
        let mut handle = self.members.remove(key);
        let joined = Pin::new(&mut handle).poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(joined) = joined else {
            unreachable!("a join handle woke its joiner before the task had ended");
        };
        Some(joined)
    }

    /// The line of those that have ended, to wait for it apart from the set.
    pub(super) fn ended(&self) -> Arc<Ended> {
        self.ended.clone()
    }

    /// Asks for the end of every task. They stay in the set until they are joined: as cancelled, or with the output of those
    /// that ended first.
    pub fn abort_all(&self) {
        for (_, handle) in &self.members {
            handle.abort();
        }
    }

    /// Aborts every task, and waits until all their futures are dropped. What they come to is dropped, too.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves those in the set, aborted, that have not ended yet.
    pub async fn shutdown(&mut self) {
        self.abort_all();
        while let Some(joined) = self.join_next().await {
            quietly(|| drop(joined));
        }
    }

    /// Lets every task run on by itself, and forgets them; their outputs are dropped when they are there.
    pub fn detach_all(&mut self) {
        // Keys of those that go must not be taken for keys of those that come.
        self.ended = Arc::default();
        self.room = 0;
        drop(std::mem::take(&mut self.members));
    }
}

impl<T> Default for JoinSet<T> {
    fn default() -> JoinSet<T> {
        JoinSet::new()
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        self.abort_all();
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSet")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
