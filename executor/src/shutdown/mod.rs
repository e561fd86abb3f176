//! Ending a program in good order: stop accepting, let what is under way finish, give it a deadline, and say who missed it.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use krug::net::TcpListener;
//! use krug::shutdown::Shutdown;
//! use krug::signal::{SignalKind, unix};
//!
//! # async fn serve(_: krug::net::TcpStream) {}
//! # async fn example() -> std::io::Result<()> {
//! let mut interrupt = unix(SignalKind::interrupt())?;
//! let listener = TcpListener::bind("127.0.0.1:7000").await?;
//! let shutdown = Shutdown::new();
//! loop {
//!     krug::select! {
//!         accepted = listener.accept() => drop(shutdown.spawn(serve(accepted?))),
//!         told = interrupt.recv() => break told?,
//!     }
//! }
//! drop(listener.close().await);
//! let report = krug::select! {
//!     report = shutdown.shutdown(Duration::from_secs(10)) => report,
//!     // Whoever presses ctrl-c again does not want to wait.
//!     _ = interrupt.recv() => shutdown.shutdown(Duration::ZERO).await,
//! };
//! for straggler in &report.cancelled {
//!     eprintln!("had to be cancelled: {straggler}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # The steps
//!
//! | step | what begins it | who is told |
//! |---|---|---|
//! | running | [`Shutdown::new`] | |
//! | draining | [`request`](Shutdown::request), or [`shutdown`](Shutdown::shutdown), which does that first | [`ShutdownToken::requested`]: to accept nothing new, to finish what is begun |
//! | cancelled | the deadline of `shutdown`, if something is left | what is left: its future is dropped, and `Err(Cancelled)` comes of it |
//!
//! There is no way back. While it drains, what is under way may spawn and track more; when it is cancelled, nothing begins any more.
//! `shutdown` is over as soon as nothing is left.
//!
//! The future of a cancelled task is dropped between two polls, as by [`abort`](crate::JoinHandle::abort): what krug's own operations do then,
//! their docs say. A task that does not come to an `.await` cannot be cancelled, and nothing else runs on its core meanwhile.
//!
//! # Several cores
//!
//! A `Shutdown` belongs to one core, as everything of [`sync`](crate::sync). Where [several cores](crate::run_on_every) serve,
//! each has its own, and each listens for the [signal](crate::signal): all of them hear it.
//!
//! What is not tracked ends with the runtime: see [`runtime`](crate::runtime).

mod report;
mod token;
mod tracked;

pub use report::{Report, Straggler};
pub use token::ShutdownToken;
pub use tracked::Cancelled;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::rc::Rc;
use std::time::Duration;

use slab::Slab;

use crate::sync::Notify;
use crate::task::{JoinHandle, spawn};
use crate::time::timeout;
use tracked::Place;

/// Tells tasks to end, waits for them, and names those that do not. See the [module docs](self).
///
/// A clone is another handle to the same. Dropping the last one tells nobody anything.
#[derive(Clone)]
pub struct Shutdown {
    inner: Rc<Inner>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Running,
    Draining,
    Cancelled,
}

struct Inner {
    step: Cell<Step>,
    tracked: RefCell<Slab<Entry>>,
    /// How many have ended since the shutdown was requested.
    finished: Cell<usize>,
    /// Who was left at the deadline.
    stragglers: RefCell<Vec<Straggler>>,
    /// The next step has begun.
    stepped: Notify,
    /// One less is tracked.
    ended: Notify,
}

struct Entry {
    name: Option<Box<str>>,
    place: &'static Location<'static>,
    /// Polled by its core, whatever else is.
    is_task: bool,
}

impl Shutdown {
    /// Nothing is tracked, and nobody is told to end.
    pub fn new() -> Shutdown {
        let inner = Inner {
            step: Cell::new(Step::Running),
            tracked: RefCell::default(),
            finished: Cell::new(0),
            stragglers: RefCell::default(),
            stepped: Notify::new(),
            ended: Notify::new(),
        };
        Shutdown {
            inner: Rc::new(inner),
        }
    }

    /// What tasks look at to know when to end.
    pub fn token(&self) -> ShutdownToken {
        ShutdownToken::new(self.inner.clone())
    }

    /// How many tasks and futures are tracked that have not ended.
    pub fn tracked(&self) -> usize {
        self.inner.tracked.borrow().len()
    }

    /// Starts a task, as [`spawn`], for whose end [`shutdown`](Shutdown::shutdown) waits. If the deadline is over,
    /// it is cancelled before its first poll.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn<F: Future + 'static>(
        &self,
        future: F,
    ) -> JoinHandle<Result<F::Output, Cancelled>> {
        let entry = Entry {
            name: None,
            place: Location::caller(),
            is_task: true,
        };
        spawn(self.follow(entry, future))
    }

    /// As [`spawn`](Shutdown::spawn); a [`Straggler`] has this name.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn_named<F: Future + 'static>(
        &self,
        name: impl Into<String>,
        future: F,
    ) -> JoinHandle<Result<F::Output, Cancelled>> {
        let entry = Entry {
            name: Some(name.into().into()),
            place: Location::caller(),
            is_task: true,
        };
        spawn(self.follow(entry, future))
    }

    /// A future that [`shutdown`](Shutdown::shutdown) waits for, whoever polls it: from this call until it is ready or dropped. It is
    /// `Err(Cancelled)` if the deadline comes first.
    ///
    /// Dropping it drops `future`, and nobody waits for it any more.
    #[track_caller]
    pub fn track<F: Future>(
        &self,
        future: F,
    ) -> impl Future<Output = Result<F::Output, Cancelled>> + use<F> {
        let entry = Entry {
            name: None,
            place: Location::caller(),
            is_task: false,
        };
        self.follow(entry, future)
    }

    fn follow<F: Future>(
        &self,
        entry: Entry,
        future: F,
    ) -> impl Future<Output = Result<F::Output, Cancelled>> + use<F> {
        tracked::follow(Place::take(&self.inner, entry), future)
    }

    /// Tells everybody who looks at a [`token`](Shutdown::token) to end. Nothing happens the second time.
    pub fn request(&self) {
        self.inner.step_to(Step::Draining);
    }

    /// Tells everybody to end, waits until nothing is tracked any more, at most for `deadline` from the first poll on, then cancels
    /// what is left and waits until the tasks among it are gone. What is only [tracked](Shutdown::track) is told, and ends when it is
    /// polled.
    ///
    /// May be called again, and by several: each has a deadline of its own, and the earliest counts.
    ///
    /// Dropping this future cancels nothing: what was told to end stays told.
    ///
    /// # Panics
    ///
    /// When it has to wait outside a runtime.
    pub async fn shutdown(&self, deadline: Duration) -> Report {
        self.request();
        let inner = &self.inner;
        let drained = timeout(deadline, inner.wait_until(|entries| entries.is_empty())).await;
        if drained.is_err() {
            inner.cancel();
        }
        let has_no_task = |entries: &Slab<Entry>| entries.iter().all(|(_, entry)| !entry.is_task);
        inner.wait_until(has_no_task).await;
        Report {
            finished: inner.finished.get(),
            cancelled: inner.stragglers.borrow().clone(),
        }
    }
}

impl Inner {
    fn step_to(&self, step: Step) {
        if self.step.get() < step {
            self.step.set(step);
            self.stepped.notify_waiters();
        }
    }

    /// Waits for a step, or a later one.
    async fn reach(&self, step: Step) {
        loop {
            let stepped = self.stepped.notified();
            if self.step.get() >= step {
                return;
            }
            stepped.await;
        }
    }

    async fn wait_until(&self, is_enough: impl Fn(&Slab<Entry>) -> bool) {
        loop {
            let ended = self.ended.notified();
            if is_enough(&self.tracked.borrow()) {
                return;
            }
            ended.await;
        }
    }

    /// Notes who is left, and lets them know.
    fn cancel(&self) {
        if self.step.get() == Step::Cancelled {
            return;
        }
        let left = self.tracked.borrow();
        let left = left.iter().map(|(_, entry)| Straggler::of(entry)).collect();
        self.stragglers.replace(left);
        self.step_to(Step::Cancelled);
    }
}

impl Default for Shutdown {
    fn default() -> Shutdown {
        Shutdown::new()
    }
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown")
            .field("step", &self.inner.step.get())
            .field("tracked", &self.tracked())
            .finish()
    }
}
