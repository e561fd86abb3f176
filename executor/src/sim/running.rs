//! How a simulation goes on: one turn of one core, or the next thing that happens by itself.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::failure::Reason;
use super::host::Running;
use super::{Failure, Plan, Sim, interpose, network};
use crate::driver::sim::{Place, at};
use crate::runtime::Builder;
use crate::worker::{Stepped, Turn, Worker, draw, know_each_other, next_moment};

/// What a step has come to.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Done,
    /// Nobody has anything to do before this moment; `None`: ever.
    Nothing(Option<Duration>),
}

impl Sim {
    /// Goes on until every client has returned.
    ///
    /// # Errors
    ///
    /// What went wrong: a host or a check panicked, or nothing can happen any more. It stays: a simulation that has failed
    /// does not go on.
    pub fn run(&mut self) -> Result<(), Failure> {
        self.go_on(None)
    }

    /// Goes on for `duration`, whether clients have returned or not.
    ///
    /// # Errors
    ///
    /// As [`run`](Sim::run); but it is no error if nothing can happen any more.
    pub fn run_for(&mut self, duration: Duration) -> Result<(), Failure> {
        let end = self.elapsed().saturating_add(duration);
        self.go_on(Some(end))
    }

    fn go_on(&mut self, end: Option<Duration>) -> Result<(), Failure> {
        while self.failure.is_none() && self.has_to_go_on(end) {
            let step = catch_unwind(AssertUnwindSafe(|| self.step()));
            let step = step.unwrap_or_else(|panic| {
                let message = message(&*panic);
                self.fail(Reason::Check { message });
                Step::Done
            });
            match (step, end) {
                (Step::Done, _) => {}
                (Step::Nothing(None), None) => self.fail_for_want_of_events(),
                (Step::Nothing(None), Some(end)) => self.advance_to(end),
                (Step::Nothing(Some(next)), end) => {
                    self.advance_to(end.map_or(next, |end| next.min(end)));
                }
            }
        }
        self.failure.clone().map_or(Ok(()), Err)
    }

    fn has_to_go_on(&self, end: Option<Duration>) -> bool {
        match end {
            None => self.hosts.iter().any(super::Host::is_waited_for),
            Some(end) => self.elapsed() < end,
        }
    }

    fn advance_to(&mut self, moment: Duration) {
        self.world.borrow_mut().advance_to(moment);
        interpose::show(self.elapsed());
    }

    pub(super) fn fail(&mut self, reason: Reason) {
        let failure = Failure {
            seed: self.seed(),
            moment: self.elapsed(),
            events: self.events(),
            reason,
        };
        self.failure.get_or_insert(failure);
    }

    /// One thing happens.
    fn step(&mut self) -> Step {
        interpose::show(self.elapsed());
        if self.has_to_start {
            match self.hosts.iter().position(|host| host.is_to_start) {
                Some(host) => {
                    self.start(host);
                    return self.checked();
                }
                None => self.has_to_start = false,
            }
        }
        let by_count = self.plans_by_count.first_entry();
        if let Some(plans) =
            by_count.filter(|plans| *plans.key() <= self.world.borrow().trace().count())
        {
            let plans = plans.remove();
            plans.into_iter().for_each(|plan| self.carry_out(plan));
            return self.checked();
        }
        if let Some(plan) = self.plans.take_due(self.elapsed()) {
            self.carry_out(plan);
            return self.checked();
        }
        let has_happened = self.world.borrow_mut().happen();
        if has_happened {
            return self.checked();
        }
        match self.draw_core() {
            Some((host, core)) => {
                self.take_turn(host, core);
                self.checked()
            }
            None => Step::Nothing(self.next_moment()),
        }
    }

    fn carry_out(&mut self, plan: Plan) {
        if !plan.is_fault {
            return (plan.action)(self);
        }
        if !self.world.borrow().faults().plan_befalls() {
            return;
        }
        self.has_mended = false;
        (plan.action)(self);
        if self.has_mended {
            self.world.borrow().faults().forget_plan();
        }
    }

    /// Something has happened: is all well?
    fn checked(&mut self) -> Step {
        self.judge_packets();
        if self.failure.is_none() {
            let mut checks = std::mem::take(&mut self.checks);
            checks.iter_mut().for_each(|check| check(self));
            self.checks = checks;
            self.check_limit();
        }
        Step::Done
    }

    /// One of the cores that have something to do.
    fn draw_core(&mut self) -> Option<(usize, usize)> {
        let hosts = self.hosts.iter().enumerate();
        let cores = hosts.flat_map(|(host, it)| {
            let cores = it.running.iter().enumerate();
            cores.map(move |(core, it)| ((host, core), it.number, &it.stepped as _))
        });
        draw(&self.world.borrow(), cores, &mut self.ready)
    }

    /// When something happens next, if nothing happens before.
    fn next_moment(&self) -> Option<Duration> {
        let cores = self.hosts.iter().flat_map(|host| &host.running);
        let cores = cores.map(|running| &running.stepped as _);
        let by_itself = next_moment(&self.world.borrow(), cores);
        [by_itself, self.plans.next()].into_iter().flatten().min()
    }

    fn take_turn(&mut self, host: usize, core: usize) {
        interpose::enter(&self.hosts[host].entropy, self.hosts[host].date_shift);
        let is_vain = {
            let (world, running) = (self.world.borrow(), &self.hosts[host].running[core]);
            !running.stepped.is_reached(world.has_news(running.number))
        };
        self.count_turn(host, core, is_vain);
        let running = &mut self.hosts[host].running[core];
        let turn = catch_unwind(AssertUnwindSafe(|| running.stepped.turn()));
        match turn {
            Ok(Turn::GoesOn) => {}
            Ok(Turn::Returned) => self.note_return(host, core),
            Ok(Turn::Over) => self.end_core(host, core),
            Err(panic) => {
                let name = self.hosts[host].name.clone();
                let message = message(&*panic);
                self.fail(Reason::Panic {
                    host: name,
                    message,
                });
            }
        }
    }

    fn note_return(&mut self, host: usize, core: usize) {
        let host = &mut self.hosts[host];
        host.running[core].has_returned = true;
        host.has_returned = host.running.iter().all(|running| running.has_returned);
    }

    fn end_core(&mut self, host: usize, core: usize) {
        let running = self.hosts[host].running.remove(core);
        let remains = running.stepped.end();
        self.hosts[host].remains.add(remains);
        if self.hosts[host].running.is_empty() {
            self.check_leaks(host);
            self.world.borrow_mut().end_host(host);
        }
    }

    /// Makes all cores of a host before any of them begins: what that does may be meant for another one.
    fn start(&mut self, index: usize) {
        let host = &mut self.hosts[index];
        interpose::enter(&host.entropy, host.date_shift);
        host.is_to_start = false;
        host.has_returned = false;
        self.world.borrow_mut().start_host(index);
        let workers: io::Result<Vec<_>> = (0..self.hosts[index].cores)
            .map(|_| self.make_core(index))
            .collect();
        let workers = match workers {
            Ok(workers) => workers,
            Err(error) => return self.fail_to_start(index, error.to_string()),
        };
        know_each_other(workers.iter().map(|(_, worker)| worker));
        let host = &mut self.hosts[index];
        for (core, (number, worker)) in workers.into_iter().enumerate() {
            let make = &mut host.make;
            let made = catch_unwind(AssertUnwindSafe(|| Stepped::new(worker, || make(core))));
            match made {
                Ok(stepped) => host.running.push(Running {
                    number,
                    stepped,
                    has_returned: false,
                    vain_turns: 0,
                }),
                Err(panic) => return self.fail_to_start(index, message(&*panic)),
            }
        }
    }

    /// A core of a host, and its number in the world.
    fn make_core(&mut self, host: usize) -> io::Result<(usize, Worker)> {
        let number = self.world.borrow_mut().add_core(host);
        let place = Place {
            world: self.world.clone(),
            core: number,
        };
        let settings = Builder::new().of_simulation(self.hosts[host].seeds.next());
        let worker = at(place, || Worker::new(&settings))?;
        Ok((number, worker))
    }

    fn fail_to_start(&mut self, host: usize, message: String) {
        let host = self.hosts[host].name.clone();
        self.fail(Reason::Start { host, message });
    }

    pub(super) fn crash_host(&mut self, index: usize) {
        let running = std::mem::take(&mut self.hosts[index].running);
        if running.is_empty() {
            return;
        }
        self.world.borrow_mut().crash_host(index);
        for core in running {
            core.stepped.end();
        }
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.world.borrow_mut().end_record();
        for host in 0..self.hosts.len() {
            self.crash_host(host);
        }
        interpose::end();
        network::forget_all();
    }
}

/// What a panic says.
pub(super) fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("(a payload that is no text)").to_owned()
}
