//! [`Siblings`]: the other cores of a simulated runtime. They have no threads: whoever runs the first core gives
//! all of them their turns, in an order that is drawn.

use std::future::{Future, pending};
use std::io;
use std::iter::once;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::{
    Remains, Settings, Stepped, TakesTurns, Turn, Worker, belongs_to_this_process, draw,
    know_each_other, next_moment,
};
use crate::driver::Wait;
use crate::driver::sim::{Place, at};
use crate::task::MainTask;

/// All cores of a runtime but the first one, which is a plain [`Worker`].
pub(crate) struct Siblings {
    /// Of the first core.
    place: Place,
    /// Each with its number in the world.
    others: Vec<(usize, Stepped)>,
    /// Memory for those that have something to do, used over and over.
    ready: Vec<usize>,
    /// What those have left behind that ended before the first core.
    left: Remains,
}

impl Siblings {
    /// The first core of a new world, and the others.
    ///
    /// # Errors
    ///
    /// As [`Worker::new`].
    pub(crate) fn new(
        first: &Settings,
        others: impl Iterator<Item = Settings>,
    ) -> io::Result<(Worker, Siblings)> {
        let place = Place::alone(first.driver.seed);
        let worker = at(place.clone(), || Worker::new(first))?;
        let mut siblings = Siblings {
            place,
            others: Vec::new(),
            ready: Vec::new(),
            left: Remains::default(),
        };
        for settings in others {
            let place = siblings.place.beside();
            let number = place.core;
            let other = at(place, || Worker::new(&settings))?;
            // It goes on until it is asked to end.
            let stepped = Stepped::new(other, || Box::pin(pending()));
            siblings.others.push((number, stepped));
        }
        know_each_other(siblings.workers(&worker));
        Ok((worker, siblings))
    }

    fn workers<'a>(&'a self, first: &'a Worker) -> impl Iterator<Item = &'a Worker> + Clone {
        once(first).chain(self.others.iter().map(|(_, other)| other.worker()))
    }

    /// As [`Worker::block_on`], of the first core; the others take their turns meanwhile.
    ///
    /// # Panics
    ///
    /// As there.
    pub(crate) fn block_on<F: Future>(&mut self, first: &Worker, future: F) -> F::Output {
        belongs_to_this_process();
        let _inside = first.enter();
        let main = first.core.scheduler.main_task();
        let output = self.run_until_ready(first, &main, future);
        first.submit(Wait::No);
        output
    }

    fn run_until_ready<F: Future>(
        &mut self,
        first: &Worker,
        main: &MainTask,
        future: F,
    ) -> F::Output {
        let waker = main.waker();
        let mut future = pin!(future);
        waker.wake_by_ref();
        let leading = Leading {
            worker: first,
            main,
        };
        loop {
            let has_happened = self.place.world.borrow_mut().happen();
            if has_happened {
                continue;
            }
            match self.draw(&leading) {
                Some(0) => {
                    if let Poll::Ready(output) = first.poll_main(future.as_mut(), main, &waker) {
                        return output;
                    }
                    first.turn(main);
                }
                Some(place) => {
                    let turn = self.others[place - 1].1.turn();
                    debug_assert_eq!(turn, Turn::GoesOn, "it runs for what never ends");
                }
                None => self.let_time_pass(&leading),
            }
        }
    }

    /// The place among all cores of one that has something to do.
    fn draw(&mut self, leading: &Leading<'_>) -> Option<usize> {
        let first = (0, self.place.core, leading as &dyn TakesTurns);
        let others = self.others.iter().zip(1..);
        let others = others.map(|((number, core), place)| (place, *number, core as _));
        let world = self.place.world.borrow();
        draw(&world, once(first).chain(others), &mut self.ready)
    }

    /// Nobody has anything to do before something happens, which may be nothing but what another thread sends.
    fn let_time_pass(&self, leading: &Leading<'_>) {
        let others = self.others.iter().map(|(_, core)| core as _);
        let cores = once(leading as &dyn TakesTurns).chain(others);
        let next = next_moment(&self.place.world.borrow(), cores);
        if let Some(next) = next {
            return self.place.world.borrow_mut().advance_to(next);
        }
        let workers = self.workers(leading.worker);
        let may_sleep = workers.clone().all(|worker| worker.lease.prepare_park());
        if may_sleep {
            self.place.sleep_until_rung();
        }
        workers.for_each(|worker| worker.lease.unpark());
    }

    /// As [`Worker::shutdown`], of all cores at the same time.
    pub(crate) fn shutdown(mut self, first: Worker, time: Duration) -> Remains {
        let first = Stepped::new(first, || Box::pin(pending()));
        self.others.insert(0, (self.place.core, first));
        self.end_others(time);
        self.left
    }

    /// Ends all cores but the first one, within `time`.
    pub(crate) fn end_others(&mut self, time: Duration) {
        let mut cores = std::mem::take(&mut self.others);
        for (_, core) in &mut cores {
            core.begin_to_end(time);
        }
        while !cores.is_empty() {
            let has_happened = self.place.world.borrow_mut().happen();
            if has_happened {
                continue;
            }
            let Some(place) = self.draw_ending(&cores) else {
                self.let_time_pass_to_end(&cores);
                continue;
            };
            if cores[place].1.turn() == Turn::Over {
                let (_, core) = cores.remove(place);
                self.left.add(core.end());
            }
        }
    }

    fn draw_ending(&mut self, cores: &[(usize, Stepped)]) -> Option<usize> {
        let cores = cores.iter().enumerate();
        let cores = cores.map(|(place, (number, core))| (place, *number, core as _));
        draw(&self.place.world.borrow(), cores, &mut self.ready)
    }

    fn let_time_pass_to_end(&self, cores: &[(usize, Stepped)]) {
        let cores = cores.iter().map(|(_, core)| core as _);
        let next = next_moment(&self.place.world.borrow(), cores);
        let next = next.expect("each has a deadline until which it ends");
        self.place.world.borrow_mut().advance_to(next);
    }
}

impl Drop for Siblings {
    fn drop(&mut self) {
        self.place.end_world();
    }
}

/// The first core, while it runs for a future of its caller.
struct Leading<'a> {
    worker: &'a Worker,
    main: &'a MainTask,
}

impl TakesTurns for Leading<'_> {
    fn is_ready(&self, has_news: bool) -> bool {
        let is_reached = || self.worker.is_reached(has_news, || self.next_moment());
        self.worker.has_to_poll(self.main) || is_reached()
    }

    fn next_moment(&self) -> Option<Instant> {
        self.worker.next_timer()
    }
}
