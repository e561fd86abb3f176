//! [`scope`] and [`try_scope`]: tasks that end before the code that started them goes on.
//!
//! A scope waits until it has joined its tasks, and until their futures are gone. It counts the futures for the sake of scopes inside: one
//! that is dropped, with the task or the body it was in, cannot wait for its own tasks any more. It leaves them to the scope around
//! it, which it finds by a task-local value, and that waits for them, too.

use std::any::Any;
use std::cell::{Cell, OnceCell, RefCell};
use std::convert::Infallible;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::join_set::Ended;
use super::{AbortHandle, JoinSet, spawn};
use crate::cores::{discard, quietly};

/// Runs `body`, which may spawn tasks of its scope on this core, and waits for it and for all of them. The value is that of `body`.
///
/// When the future resolves, no task of the scope is alive: each has ended, and its future has been dropped. That holds for scopes within
/// it, too, however they ended.
///
/// ```
/// use std::{cell::Cell, rc::Rc};
///
/// # krug::Runtime::new().unwrap().block_on(async {
/// let sum = Rc::new(Cell::new(0));
/// let seen = sum.clone();
/// krug::task::scope(async move |scope| {
///     for number in 1..=3 {
///         let sum = sum.clone();
///         scope.spawn(async move {
///             krug::task::yield_now().await;
///             sum.set(sum.get() + number);
///         });
///     }
/// })
/// .await;
/// assert_eq!(seen.get(), 6);
/// # });
/// ```
///
/// Tasks get what they need by `move` and by `Rc`, and may not borrow what is outside: a future can be leaked, and its scope would be
/// left without waiting for them. No scope of async code that lends references can be sound; one that blocks its thread, as
/// [`std::thread::scope`], can.
///
/// # Cancellation
///
/// Dropping the future drops `body` and aborts every task; their futures are dropped in the core's next turn. If it is dropped within another
/// scope, that one waits for this.
///
/// # Panics
///
/// If `body` or a task panics. Then `body` is dropped where it waits, all tasks are aborted, and the panic comes through when
/// all of them are gone. Of several panics it is the first that comes through.
pub async fn scope<T>(body: impl AsyncFnOnce(&Scope) -> T) -> T {
    let ended = run(async move |scope: &TryScope<Infallible>| {
        let scope = Scope(scope.clone());
        Ok(body(&scope).await)
    });
    match ended.await {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

/// As [`scope`], with tasks that can fail. The result is that of `body`, or the first error: if `body` or a task returns one,
/// `body` is dropped where it waits, and all tasks are aborted.
///
/// ```
/// # krug::Runtime::new().unwrap().block_on(async {
/// let result = krug::task::try_scope(async |scope| {
///     scope.spawn(async { Err("no such host") });
///     scope.spawn(std::future::pending());
///     std::future::pending::<Result<(), &str>>().await
/// });
/// assert_eq!(result.await, Err("no such host"));
/// # });
/// ```
///
/// # Cancellation
///
/// Dropping the future drops `body` and aborts every task; their futures are dropped in the core's next turn. If it is dropped within another
/// scope, that one waits for this.
///
/// # Panics
///
/// As [`scope`]. If there are an error and a panic, the first of them counts.
pub async fn try_scope<T, E: 'static>(
    body: impl AsyncFnOnce(&TryScope<E>) -> Result<T, E>,
) -> Result<T, E> {
    run(body).await
}

/// What spawns tasks into a [`scope`].
///
/// A clone may go into a task, which then can spawn others beside it. After the end of the scope it spawns nothing any more.
#[derive(Clone)]
pub struct Scope(TryScope<Infallible>);

impl Scope {
    /// Starts a task on this core, as [`spawn`](super::spawn()), whose output is dropped. The scope waits for it.
    ///
    /// Aborting a task is no failure. If the scope is ending already, because of a failure or since it was left, `future` is
    /// dropped at once.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn<F: Future + 'static>(&self, future: F) -> AbortHandle {
        self.0.spawn(async {
            future.await;
            Ok(())
        })
    }
}

/// What spawns tasks into a [`try_scope`]. Clones are as those of a [`Scope`].
pub struct TryScope<E> {
    inner: Rc<Inner<E>>,
}

struct Inner<E> {
    tasks: RefCell<JoinSet<Result<(), E>>>,
    /// The line of those of `tasks` that have ended; told, too, when `living` comes to zero.
    ended: Arc<Ended>,
    /// Nothing is spawned any more.
    is_closed: Cell<bool>,
    /// How many futures are there: of the body, of the tasks, and of those that were inherited.
    living: Cell<usize>,
    /// It is over, or was dropped.
    is_left: Cell<bool>,
    /// Who waits for the futures if this scope was dropped and cannot. One that had not been left itself when it became the
    /// heir, so that heirs never go round in a circle.
    heir: OnceCell<Rc<dyn Encloses>>,
}

/// A scope as what is inside of it sees it.
trait Encloses {
    fn is_left(&self) -> bool;
    fn heir(&self) -> Option<Rc<dyn Encloses>>;
    fn take_in(&self, futures: usize);
    fn one_is_gone(&self);
}

/// The scope, or who waits in its place.
fn waiting_for(mut scope: Rc<dyn Encloses>) -> Option<Rc<dyn Encloses>> {
    while scope.is_left() {
        scope = scope.heir()?;
    }
    Some(scope)
}

impl<E> Encloses for Inner<E> {
    fn is_left(&self) -> bool {
        self.is_left.get()
    }

    fn heir(&self) -> Option<Rc<dyn Encloses>> {
        self.heir.get().cloned()
    }

    fn take_in(&self, futures: usize) {
        self.living.set(self.living.get() + futures);
        if let Some(heir) = self.heir.get() {
            heir.take_in(futures);
        }
    }

    fn one_is_gone(&self) {
        self.living.set(self.living.get() - 1);
        match self.heir.get() {
            Some(heir) => heir.one_is_gone(),
            None if self.living.get() == 0 => quietly(|| self.ended.wake()),
            None => {}
        }
    }
}

crate::task_local! {
    /// The scope in which a future runs.
    static ENCLOSING: Enclosing;
}

/// Goes with a future of a scope, and after it.
struct Enclosing(Rc<dyn Encloses>);

impl Enclosing {
    fn new(scope: Rc<dyn Encloses>) -> Enclosing {
        scope.take_in(1);
        Enclosing(scope)
    }
}

impl Drop for Enclosing {
    fn drop(&mut self) {
        self.0.one_is_gone();
    }
}

impl<E: 'static> TryScope<E> {
    fn new() -> TryScope<E> {
        let tasks = JoinSet::new();
        let inner = Inner {
            ended: tasks.ended(),
            tasks: RefCell::new(tasks),
            is_closed: Cell::new(false),
            living: Cell::new(0),
            is_left: Cell::new(false),
            heir: OnceCell::new(),
        };
        TryScope {
            inner: Rc::new(inner),
        }
    }

    /// Starts a task on this core, as [`Scope::spawn`]. If it returns an error, and it is the first one, the scope ends with it.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> AbortHandle
    where
        F: Future<Output = Result<(), E>> + 'static,
    {
        if self.inner.is_closed.get() {
            return AbortHandle::of_nothing();
        }
        let enclosing = Enclosing::new(self.inner.clone());
        let handle = spawn(ENCLOSING.scope(enclosing, future));
        // In a runtime that is ending a destructor has just run, and may have closed the scope.
        if self.inner.is_closed.get() {
            handle.abort();
            return handle.abort_handle();
        }
        self.inner.tasks.borrow_mut().insert(handle)
    }
}

impl<E> TryScope<E> {
    fn close(&self) {
        self.inner.is_closed.set(true);
        self.inner.tasks.borrow().abort_all();
    }

    /// Takes in one task that has ended.
    fn join_one(&self) -> Result<(), Failure<E>> {
        let joined = self.inner.tasks.borrow_mut().try_join_next();
        match joined {
            None | Some(Ok(Ok(()))) => Ok(()),
            Some(Ok(Err(error))) => Err(Failure::Error(error)),
            Some(Err(ended)) => match ended.try_into_panic() {
                Ok(payload) => Err(Failure::Panic(payload)),
                Err(_aborted) => Ok(()),
            },
        }
    }

    /// Polls the body, unless a task has failed.
    fn poll_body<T>(
        &self,
        body: Pin<&mut impl Future<Output = Result<T, E>>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<T, Failure<E>>> {
        while self.inner.ended.poll(cx).is_ready() {
            if let Err(failure) = self.join_one() {
                return Poll::Ready(Err(failure));
            }
        }
        let polled = catch_unwind(AssertUnwindSafe(|| body.poll(cx)));
        Poll::Ready(match polled {
            Ok(polled) => ready!(polled).map_err(Failure::Error),
            Err(payload) => Err(Failure::Panic(payload)),
        })
    }

    /// Waits until nothing is left. If a task fails, that is the outcome, unless there was a failure before.
    fn poll_rest<T>(&self, outcome: &mut Result<T, Failure<E>>, cx: &mut Context<'_>) -> Poll<()> {
        while self.inner.ended.poll(cx).is_ready() {
            if let Err(failure) = self.join_one() {
                self.close();
                fail(outcome, failure);
            }
        }
        match self.inner.tasks.borrow().is_empty() && self.inner.living.get() == 0 {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

/// Why a scope ends early.
enum Failure<E> {
    Error(E),
    Panic(Box<dyn Any + Send>),
}

/// The first failure stays; what goes instead may panic in its destructor, which must not keep the scope from its tasks.
fn fail<T, E>(outcome: &mut Result<T, Failure<E>>, failure: Failure<E>) {
    let unwanted = match outcome {
        Ok(_) => std::mem::replace(outcome, Err(failure)),
        Err(_) => Err(failure),
    };
    match unwanted {
        Err(Failure::Panic(payload)) => discard(payload),
        unwanted => quietly(|| drop(unwanted)),
    }
}

async fn run<T, E: 'static>(body: impl AsyncFnOnce(&TryScope<E>) -> Result<T, E>) -> Result<T, E> {
    let scope = TryScope::new();
    let _closes = Closes(&scope);
    let mut outcome = {
        let enclosing = Enclosing::new(scope.inner.clone());
        let mut body = pin!(Some(ENCLOSING.scope(enclosing, body(&scope))));
        let mut outcome = poll_fn(|cx| match body.as_mut().as_pin_mut() {
            Some(body) => scope.poll_body(body, cx),
            None => unreachable!("it is dropped below"),
        })
        .await;
        if outcome.is_err() {
            scope.close();
        }
        let dropped = catch_unwind(AssertUnwindSafe(|| body.set(None)));
        if let Err(payload) = dropped {
            scope.close();
            fail(&mut outcome, Failure::Panic(payload));
        }
        outcome
    };
    poll_fn(|cx| scope.poll_rest(&mut outcome, cx)).await;
    match outcome {
        Ok(value) => Ok(value),
        Err(Failure::Error(error)) => Err(error),
        Err(Failure::Panic(payload)) => resume_unwind(payload),
    }
}

/// However a scope is left, afterwards nothing is spawned into it, and what is there is aborted.
struct Closes<'a, E: 'static>(&'a TryScope<E>);

impl<E> Drop for Closes<'_, E> {
    fn drop(&mut self) {
        let inner = &self.0.inner;
        inner.is_closed.set(true);
        inner.is_left.set(true);
        if inner.living.get() > 0 {
            let enclosing = ENCLOSING.try_with(|enclosing| enclosing.0.clone());
            if let Some(heir) = enclosing.ok().and_then(waiting_for) {
                heir.take_in(inner.living.get());
                // It is set here only, and a scope is left once.
                let _ = inner.heir.set(heir);
            }
        }
        // Outputs that nobody has taken are dropped here, when nothing is borrowed.
        let tasks = inner.tasks.take();
        drop(tasks);
    }
}

impl<E> Clone for TryScope<E> {
    fn clone(&self) -> TryScope<E> {
        TryScope {
            inner: self.inner.clone(),
        }
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Scope")
            .field(&self.0.inner.tasks.borrow().len())
            .finish()
    }
}

impl<E> fmt::Debug for TryScope<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TryScope")
            .field(&self.inner.tasks.borrow().len())
            .finish()
    }
}
