//! What is wrong with a world although nothing has panicked: nobody gets on, or something was left behind.

use std::fmt;
use std::time::Duration;

use super::failure::Reason;
use super::{Host, Sim};
use crate::worker::Remains;

/// A core that takes so many turns one after the other, each only because a task of its own has woken itself or another, gets nowhere.
const VAIN_TURNS_MAX: u64 = 1_000_000;

/// What a host is doing, for a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Doing {
    name: String,
    is_unfinished: bool,
    remains: Remains,
    waiting: Vec<String>,
}

impl Sim {
    /// The simulation fails if a client has not finished when the world's clock shows `moment`. At first there is no limit.
    pub fn limit(&mut self, moment: Duration) {
        self.limit = Some(moment);
    }

    /// Programs may end and leave descriptors, buffers, operations and tasks behind, such as by [`std::mem::forget`] or because something
    /// outside of the simulation keeps them. Otherwise that is a failure.
    pub fn allow_leaks(&mut self) {
        self.may_leak = true;
    }

    /// What all hosts are doing that have not finished.
    pub(super) fn doings(&self) -> Vec<Doing> {
        let world = self.world.borrow();
        let running = self
            .hosts
            .iter()
            .enumerate()
            .filter(|(_, it)| it.is_running());
        let doing = running.map(|(number, host)| {
            let mut remains = Remains::default();
            let cores = host.running.iter();
            cores.for_each(|core| remains.add(core.stepped.remains()));
            Doing {
                name: host.name.clone(),
                is_unfinished: host.is_waited_for(),
                remains,
                waiting: world.what_waits(number),
            }
        });
        doing.collect()
    }

    pub(super) fn fail_for_want_of_events(&mut self) {
        let doings = self.doings();
        self.fail(Reason::Deadlock { doings });
    }

    /// Fails if the time is over that [`limit`](Sim::limit) has set, and a client has not finished.
    pub(super) fn check_limit(&mut self) {
        let Some(limit) = self.limit.filter(|limit| *limit <= self.elapsed()) else {
            return;
        };
        if self.hosts.iter().any(Host::is_waited_for) {
            let doings = self.doings();
            self.fail(Reason::Late { limit, doings });
        }
    }

    /// A core is about to take a turn; `is_vain`: nothing has happened to it but what it does itself.
    pub(super) fn count_turn(&mut self, host: usize, core: usize, is_vain: bool) {
        let turns = &mut self.hosts[host].running[core].vain_turns;
        *turns = if is_vain { *turns + 1 } else { 0 };
        if *turns == VAIN_TURNS_MAX {
            let host = self.hosts[host].name.clone();
            let turns = VAIN_TURNS_MAX;
            self.fail(Reason::Livelock { host, turns });
        }
    }

    /// The last core of a host has ended by itself.
    pub(super) fn check_leaks(&mut self, host: usize) {
        let remains = std::mem::take(&mut self.hosts[host].remains);
        let mut leaked = remains.list();
        let open = self.world.borrow().what_is_open(host);
        leaked.extend(open.into_iter().map(|object| format!("open: {object}")));
        if !leaked.is_empty() && !self.may_leak {
            let host = self.hosts[host].name.clone();
            self.fail(Reason::Leak { host, leaked });
        }
    }
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unfinished = if self.is_unfinished {
            ", a client that has not finished"
        } else {
            ""
        };
        write!(f, "\n  `{}`{unfinished}: ", self.name)?;
        let remains = self.remains.list();
        match remains.is_empty() {
            true => f.write_str("nothing but its main future")?,
            false => f.write_str(&remains.join(", "))?,
        }
        self.waiting
            .iter()
            .try_for_each(|line| write!(f, "\n    {line}"))
    }
}
