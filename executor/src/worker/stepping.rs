//! A core whose turns somebody else takes: a simulation has many on one thread.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use super::ending::Ending;
use super::{Remains, TakesTurns, Worker};
use crate::task::MainTask;

/// The future that a core runs for.
pub(crate) type MainFuture = Pin<Box<dyn Future<Output = ()>>>;

/// A core, what it runs for, and how far that is.
pub(crate) struct Stepped {
    worker: Worker,
    main: MainTask,
    state: State,
    /// What [`Stepped::next_moment`] has found since the last turn: nothing else changes it.
    next_moment: Cell<Option<Option<Instant>>>,
}

enum State {
    Running(MainFuture),
    Ending(Ending),
}

/// What a turn has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Turn {
    GoesOn,
    /// What it ran for has just returned; from now on it ends.
    Returned,
    /// Nothing is left to do.
    Over,
}

/// How long a core may take to end that has returned.
const ENDING_TIME: Duration = Duration::from_secs(5);

impl Stepped {
    /// `make` is called inside of the core, and makes what it runs for.
    pub(crate) fn new(worker: Worker, make: impl FnOnce() -> MainFuture) -> Stepped {
        let main = worker.core.scheduler.main_task();
        let future = {
            let _inside = worker.enter();
            make()
        };
        main.waker().wake_by_ref();
        Stepped {
            worker,
            main,
            state: State::Running(future),
            next_moment: Cell::new(None),
        }
    }

    /// One turn of the core.
    pub(crate) fn turn(&mut self) -> Turn {
        let _inside = self.worker.enter();
        self.next_moment.set(None);
        match &mut self.state {
            State::Ending(ending) => match self.worker.go_on_ending(ending) {
                true => Turn::GoesOn,
                false => Turn::Over,
            },
            State::Running(future) => {
                let waker = self.main.waker();
                let polled = self.worker.poll_main(future.as_mut(), &self.main, &waker);
                if polled.is_ready() {
                    let ending = self.worker.begin_to_end(ENDING_TIME);
                    // The future is dropped inside of the core.
                    self.state = State::Ending(ending);
                    return Turn::Returned;
                }
                self.worker.turn(&self.main);
                Turn::GoesOn
            }
        }
    }

    /// Whether something has come to it that it has not done itself; `has_news`: its driver has.
    pub(crate) fn is_reached(&self, has_news: bool) -> bool {
        self.worker.is_reached(has_news, || self.next_moment())
    }

    /// From now on it ends, within `time`, whatever it runs for.
    pub(super) fn begin_to_end(&mut self, time: Duration) {
        let _inside = self.worker.enter();
        self.next_moment.set(None);
        let ending = self.worker.begin_to_end(time);
        // What it ran for is dropped inside of the core.
        self.state = State::Ending(ending);
    }

    pub(super) fn worker(&self) -> &Worker {
        &self.worker
    }

    pub(crate) fn remains(&self) -> Remains {
        self.worker.remains()
    }

    /// Ends the core, and says what it has left. Of a core whose driver answers nothing any more: as if its power had failed.
    pub(crate) fn end(self) -> Remains {
        let Stepped {
            worker,
            main,
            state,
            ..
        } = self;
        let inside = worker.enter();
        let ending = match state {
            State::Ending(ending) => ending,
            State::Running(future) => {
                drop(future);
                worker.begin_to_end(Duration::ZERO)
            }
        };
        drop(main);
        let mut ending = ending;
        while worker.go_on_ending(&mut ending) {}
        worker.finish(inside, &ending)
    }
}

impl TakesTurns for Stepped {
    fn is_ready(&self, has_news: bool) -> bool {
        let core = self.worker.core();
        let is_woken = match &self.state {
            State::Running(_) => self.worker.has_to_poll(&self.main),
            // What a phase has staged at its beginning, such as cancels, is submitted by the next turn.
            State::Ending(ending) => {
                !self.worker.waits_for_more(ending) || core.driver.borrow().has_staged()
            }
        };
        is_woken || self.is_reached(has_news)
    }

    fn next_moment(&self) -> Option<Instant> {
        if let Some(known) = self.next_moment.get() {
            return known;
        }
        let found = match &self.state {
            State::Running(_) => self.worker.next_timer(),
            State::Ending(ending) => Some(self.worker.next_moment_of(ending)),
        };
        self.next_moment.set(Some(found));
        found
    }
}
