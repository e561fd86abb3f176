//! What becomes of a core when a task panics: [`PanicPolicy`].

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::header::RawTask;
use super::{JoinError, here};

/// What a panic of a task leads to: in a poll, or in the destructor of its future or of its output. Set by
/// [`Builder::panic_policy`](crate::runtime::Builder::panic_policy), for all cores of a runtime.
///
/// A panic of the future given to `block_on` comes through there in any case, and one of [`spawn_blocking`](crate::spawn_blocking)
/// goes to whoever awaits that. The hosts of a [simulation](crate::sim) isolate panics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PanicPolicy {
    /// It goes to whoever joins the task. The core and all other tasks live on.
    #[default]
    Isolate,
    /// The runtime ends: `block_on` panics, now and from now on, with the message of the first panic and the place where that task
    /// was spawned; the other cores shut down by themselves, within the shutdown deadline.
    Shutdown,
    /// The process aborts. The panic hook has written its message before, and the place where the task was spawned follows.
    Abort,
}

/// The same, with what is needed to do it.
#[derive(Clone, Debug, Default)]
pub(crate) enum PanicResponse {
    #[default]
    Isolate,
    Shutdown(Arc<FirstPanic>),
    Abort,
}

/// Of all cores of one runtime: the panic that ends it.
#[derive(Debug)]
pub(crate) struct FirstPanic {
    state: Mutex<State>,
    /// How long the end of the other cores may take.
    deadline: Duration,
}

#[derive(Debug, Default)]
struct State {
    message: Option<Arc<str>>,
    /// One for each core that runs.
    wakers: Vec<Waker>,
}

impl FirstPanic {
    pub(crate) fn new(deadline: Duration) -> FirstPanic {
        FirstPanic {
            state: Mutex::default(),
            deadline,
        }
    }

    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nobody's code runs while it is locked but that of wakers of ours.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, message: Arc<str>) {
        let mut state = self.lock();
        state.message.get_or_insert(message);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Ready with what the panic said, when there was one. For futures that cores run for, which are woken by wakers of ours.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<Arc<str>> {
        let mut state = self.lock();
        if let Some(message) = &state.message {
            return Poll::Ready(message.clone());
        }
        let is_known = |waker: &Waker| waker.will_wake(cx.waker());
        if !state.wakers.iter().any(is_known) {
            state.wakers.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// The future that waits with `waker` is over.
    pub(crate) fn forget(&self, waker: &Waker) {
        self.lock().wakers.retain(|known| !known.will_wake(waker));
    }
}

/// The panics of one core's tasks.
#[derive(Debug, Default)]
pub(crate) struct Panics {
    count: Cell<u64>,
    response: RefCell<PanicResponse>,
}

impl Panics {
    pub(crate) fn count(&self) -> u64 {
        self.count.get()
    }

    pub(crate) fn respond_by(&self, response: PanicResponse) {
        self.response.replace(response);
    }
}

/// A panic of a task was caught on this thread. It counts if this is the core of the task.
#[cold]
pub(super) fn note(task: RawTask, error: &JoinError) {
    if here::with(|scheduler| scheduler.id() == task.home()) == Some(true) {
        note_panic_here(error, task.spawned_at);
    }
}

/// A panic of a task was caught on this thread, and counts for the core that this is running.
#[cold]
pub(crate) fn note_panic_here(error: &JoinError, spawned_at: &Location<'_>) {
    let response = here::with(|scheduler| {
        let panics = scheduler.panics();
        panics.count.set(panics.count.get() + 1);
        panics.response.borrow().clone()
    });
    match response {
        None | Some(PanicResponse::Isolate) => {}
        Some(PanicResponse::Shutdown(first)) => first.tell(error.to_string().into()),
        Some(PanicResponse::Abort) => abort(error, spawned_at),
    }
}

fn abort(error: &JoinError, spawned_at: &Location<'_>) -> ! {
    tracing::error!("{error}; the process aborts");
    // Not `eprintln`, which panics where nobody hears.
    let _ = writeln!(
        std::io::stderr(),
        "krug: the process aborts, because the task spawned at {spawned_at} has paniced and its runtime's PanicPolicy is Abort"
    );
    std::process::abort()
}
