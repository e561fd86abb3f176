//! [`CoreThread`]: a core that is a thread of its own.
//!
//! Core 0 is the thread that has the [`Runtime`](super::Runtime), and runs while that is in `block_on`. Each other one is started by `build`, makes
//! its worker itself, tells `build` who it is or why it cannot be, and runs until it is asked to end. Nothing here is
//! on the way of a message: the locks and channels are those of a beginning and of an end.

use std::future::poll_fn;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use super::ShutdownReport;
use super::cores::bind_to;
use super::panics::unless_paniced;
use crate::cores::{CoreId, Team, discard};
use crate::task::PanicResponse;
use crate::worker::{Settings, Worker};

/// How much longer than until its deadline one waits for a core that has begun to end: what it lets go of at the deadline, such as
/// its memory, takes a moment.
pub(super) const GRACE: Duration = Duration::from_millis(100);

/// How core 0 sees another one.
pub(super) struct CoreThread {
    number: usize,
    wish: Arc<Wish>,
    thread: thread::JoinHandle<()>,
    /// Who it is, or why it cannot be; one message.
    made: mpsc::Receiver<io::Result<CoreId>>,
    /// Who its siblings are; one message. If none can come any more, it ends.
    siblings: Option<mpsc::Sender<Team>>,
    /// What came of it; one message.
    ended: mpsc::Receiver<ShutdownReport>,
}

impl CoreThread {
    /// Starts the core of this number; `place`: on which processors it may run.
    ///
    /// # Errors
    ///
    /// If the system gives no thread.
    pub(super) fn start(
        number: usize,
        name: &str,
        place: Option<Vec<usize>>,
        settings: Settings,
    ) -> io::Result<CoreThread> {
        let wish = Arc::new(Wish::default());
        let (tell_made, made) = mpsc::channel();
        let (tell_siblings, siblings) = mpsc::channel();
        let (tell_ended, ended) = mpsc::channel();
        let there = There {
            place,
            settings,
            wish: wish.clone(),
            made: tell_made,
            siblings,
            ended: tell_ended,
        };
        let thread = thread::Builder::new()
            .name(format!("{name}-{number}"))
            .spawn(move || there.run())
            .map_err(|error| {
                let text = format!("the system gives no thread: {error}; raise the bound of processes (ulimit -u, pids.max)");
                of_core(number, &io::Error::new(error.kind(), text))
            })?;
        Ok(CoreThread {
            number,
            wish,
            thread,
            made,
            siblings: Some(tell_siblings),
            ended,
        })
    }

    /// Waits until it is made.
    ///
    /// # Errors
    ///
    /// Why it cannot be; names the core.
    pub(super) fn id(&self) -> io::Result<CoreId> {
        let made = self
            .made
            .recv()
            .unwrap_or_else(|_| Err(io::Error::other("its thread paniced before it ran")));
        made.map_err(|error| of_core(self.number, &error))
    }

    /// Lets it run.
    pub(super) fn run_among(&mut self, siblings: &Team) {
        if let Some(tell) = self.siblings.take() {
            // If it is gone already, that is found at its end.
            let _ = tell.send(siblings.clone());
        }
    }

    /// Ends one that has not begun to run, and waits for that.
    pub(super) fn give_up(mut self) {
        self.siblings = None;
        drop(self.thread.join());
    }

    /// Asks it to end within `time` from now.
    pub(super) fn ask_to_end(&self, time: Duration) {
        self.wish.express(time);
    }

    /// Waits until it has ended, for what is left of its time; then its thread is left alone, and ends when it can.
    pub(super) fn end(self) -> ShutdownReport {
        let patience = self.wish.time_left().saturating_add(GRACE);
        match self.ended.recv_timeout(patience) {
            Ok(report) => {
                drop(self.thread.join());
                report
            }
            Err(RecvTimeoutError::Disconnected) => {
                drop(self.thread.join());
                ShutdownReport {
                    cores_failed: 1,
                    ..ShutdownReport::default()
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                tracing::warn!(
                    "core {} of a runtime has not ended by its shutdown deadline: a task on it does not give way; \
                     its thread is left behind",
                    self.number
                );
                ShutdownReport {
                    cores_stuck: 1,
                    ..ShutdownReport::default()
                }
            }
        }
    }
}

fn of_core(number: usize, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("core {number} cannot be made: {error}"),
    )
}

/// What the thread itself has.
struct There {
    place: Option<Vec<usize>>,
    settings: Settings,
    wish: Arc<Wish>,
    made: mpsc::Sender<io::Result<CoreId>>,
    siblings: mpsc::Receiver<Team>,
    ended: mpsc::Sender<ShutdownReport>,
}

impl There {
    fn run(self) {
        let worker = match self.make() {
            Ok(worker) => worker,
            Err(error) => return drop(self.made.send(Err(error))),
        };
        let _ = self.made.send(Ok(worker.id()));
        let Ok(siblings) = self.siblings.recv() else {
            worker.shutdown(Duration::ZERO);
            return;
        };
        worker.core().scheduler.join_team(siblings);
        // Tasks keep their panics to themselves: what comes through here is a driver that is broken.
        let ran = catch_unwind(AssertUnwindSafe(|| self.run_until_the_end(&worker)));
        let mut report = ShutdownReport::of(worker.shutdown(self.wish.time_left()));
        if let Err(payload) = ran {
            discard(payload);
            report.cores_failed = 1;
        }
        let _ = self.ended.send(report);
    }

    /// The end is wished for, or comes with the first panic of a task on any core.
    fn run_until_the_end(&self, worker: &Worker) {
        let PanicResponse::Shutdown(first) = &self.settings.panics else {
            return worker.block_on(self.wish.expressed());
        };
        if worker
            .block_on(unless_paniced(first, self.wish.expressed()))
            .is_err()
        {
            self.wish.express(first.deadline());
        }
    }

    /// On its processors first, so that its memory comes from there.
    fn make(&self) -> io::Result<Worker> {
        if let Some(processors) = &self.place {
            bind_to(processors)?;
        }
        Worker::new(&self.settings)
    }
}

/// That a core is to end, and until when.
#[derive(Default)]
struct Wish(Mutex<WishState>);

#[derive(Default)]
struct WishState {
    /// When it was expressed, and how long the end may take.
    expressed: Option<(Instant, Duration)>,
    waker: Option<Waker>,
}

impl Wish {
    fn lock(&self) -> MutexGuard<'_, WishState> {
        // Nobody's code runs while it is locked but that of a waker of ours.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn express(&self, time: Duration) {
        let mut state = self.lock();
        state.expressed = Some((Instant::now(), time));
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// None if nobody has expressed it.
    fn time_left(&self) -> Duration {
        let expressed = self.lock().expressed;
        expressed.map_or(Duration::ZERO, |(begin, time)| {
            time.saturating_sub(begin.elapsed())
        })
    }

    /// Waits for it.
    async fn expressed(&self) {
        poll_fn(|cx| {
            let mut state = self.lock();
            if state.expressed.is_some() {
                return Poll::Ready(());
            }
            state.waker = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}
