//! [`Report`]: all that was found out.

use super::finding::Finding;
use super::findings::findings;
use super::machine::Machine;
use crate::driver::{self, Ability, Choice, Examination, Facts, Found, Limit, Refusal};
use crate::runtime::Driver;

/// What this machine allows. `Display` is for people, [`to_json`](Report::to_json) for programs.
#[derive(Clone, Debug)]
pub struct Report {
    pub(super) driver: Option<Driver>,
    pub(super) reason: String,
    pub(super) examination: Examination,
    pub(super) facts: Facts,
    pub(super) machine: Machine,
    pub(super) findings: Vec<Finding>,
}

/// How modern a ring the kernel makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rung {
    /// Completions are delivered when the thread asks for them, and the kernel keeps no index. Linux 6.6.
    Modern,
    /// Completions are delivered when the thread asks for them. Linux 6.1.
    Deferred,
    /// Neither. Linux 5.11.
    Plain,
}

impl Rung {
    /// A word for programs: `modern`, `deferred` or `plain`.
    pub fn name(self) -> &'static str {
        match self {
            Rung::Modern => "modern",
            Rung::Deferred => "deferred",
            Rung::Plain => "plain",
        }
    }

    pub(super) fn of(rung: driver::Rung) -> Rung {
        match rung {
            driver::Rung::Modern => Rung::Modern,
            driver::Rung::Deferred => Rung::Deferred,
            driver::Rung::Plain => Rung::Plain,
        }
    }
}

impl Report {
    /// Nothing is asked here: the same arguments make the same report.
    pub(super) fn of(examination: Examination, facts: Facts, machine: Machine) -> Report {
        let (driver, reason) = decision(&examination);
        let findings = findings(&examination, &facts, &machine);
        Report {
            driver: driver.map(Driver::chosen),
            reason,
            examination,
            facts,
            machine,
            findings,
        }
    }

    /// The driver of a runtime that is made now with [`Driver::Auto`]; the variable `KRUG_DRIVER` has its say. `None` if it cannot
    /// be made.
    pub fn driver(&self) -> Option<Driver> {
        self.driver
    }

    /// Why it is this one, or none.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// What could be better, the gravest first.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Why there can be no ring. It is asked for whatever `KRUG_DRIVER` says.
    pub fn refusal(&self) -> Option<&Refusal> {
        self.examination.ring.as_ref().err()
    }

    /// How modern the ring is, if there can be one.
    pub fn rung(&self) -> Option<Rung> {
        self.found()?.capabilities.rung.map(Rung::of)
    }

    /// The operations that krug submits, in the order of their names; none if there can be no ring.
    pub fn operations(&self) -> &[Ability] {
        self.found().map_or(&[], |found| &found.operations)
    }

    /// What else krug makes use of; none if there can be no ring.
    pub fn features(&self) -> &[Ability] {
        self.found().map_or(&[], |found| &found.features)
    }

    /// The release of the kernel, if it is known.
    pub fn kernel(&self) -> Option<&str> {
        self.facts.kernel.as_deref()
    }

    /// How much memory may be locked, in bytes, if that is known. Rings count on some kernels, registered buffers on all;
    /// nothing counts for a process with CAP_IPC_LOCK.
    pub fn locked_memory(&self) -> Option<Limit> {
        self.facts.locked_memory
    }

    /// How many descriptors may be open, if that is known.
    pub fn descriptors(&self) -> Option<Limit> {
        self.facts.descriptors
    }

    /// How many processors this thread may run on, if that is known.
    pub fn processors(&self) -> Option<usize> {
        self.machine.allowed.as_ref().map(|allowed| allowed.count)
    }

    /// For how many processors the process has time, if a control group bounds it.
    pub fn quota(&self) -> Option<f64> {
        self.machine.quota.map(|quota| quota.processors())
    }

    pub(super) fn found(&self) -> Option<&Found> {
        self.examination.ring.as_ref().ok()
    }
}

fn decision(examination: &Examination) -> (Option<Choice>, String) {
    let Examination {
        wish, ring, epoll, ..
    } = examination;
    let is_asked = |name| format!("KRUG_DRIVER={name} asks for it");
    match (wish, ring, epoll) {
        (Err(error), _, _) => (None, error.clone()),
        (Ok(Choice::Epoll), _, Ok(())) => (Some(Choice::Epoll), is_asked("epoll")),
        (Ok(Choice::Epoll), _, Err(error)) => (None, format!("cannot set up epoll: {error}")),
        (Ok(Choice::Sim), _, _) => (Some(Choice::Sim), is_asked("sim")),
        (Ok(Choice::Uring), Ok(_), _) => (Some(Choice::Uring), is_asked("uring")),
        (Ok(Choice::Uring), Err(refusal), _) => {
            let demand = "KRUG_DRIVER=uring asks for a ring";
            (None, format!("{demand}, but {refusal}"))
        }
        (Ok(Choice::Auto), Ok(_), _) => {
            let reason = "the system makes rings, and KRUG_DRIVER asks for nothing else";
            (Some(Choice::Uring), reason.to_owned())
        }
        (Ok(Choice::Auto), Err(refusal), Ok(())) => (Some(Choice::Epoll), refusal.to_string()),
        (Ok(Choice::Auto), Err(refusal), Err(error)) => {
            (None, format!("cannot set up epoll: {error}. {refusal}"))
        }
    }
}
