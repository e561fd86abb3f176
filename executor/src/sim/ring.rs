//! The rings of a simulation, as tests see and disturb them.

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use super::Sim;
use crate::driver::sim::Habits;

/// How the rings of a host are: what a kernel may do at any time, and in production does when nobody looks. Programs on krug
/// notice nothing of it but the time that it takes; so a little of all this happens from the beginning,
/// but for [`cancelled`](Rings::cancelled).
///
/// Shares are from 0 to 1. Operations complete in any order, and so do two on one socket.
///
/// ```
/// # use krug::sim::Sim;
/// let mut sim = Sim::new(1);
/// sim.host("server", || async {});
/// sim.rings(|rings| {
///     rings.queue(1..=4).early_ends(0.5).interrupted(0.2);
/// });
/// ```
#[derive(Clone, Debug, Default)]
pub struct Rings {
    habits: Habits,
}

impl Rings {
    /// Nothing of what follows happens, until it is asked for.
    pub fn calm(&mut self) -> &mut Rings {
        self.habits = self.habits.clone().calmed();
        self
    }

    /// How long the kernel takes from the effect of an operation to its completion: 0.2 to 20 µs at first.
    pub fn time(&mut self, time: Range<Duration>) -> &mut Rings {
        self.habits.time = time;
        self
    }

    /// Which share of the transfers on streams and pipes moves less than it could; 0.1 at first.
    pub fn short(&mut self, share: f64) -> &mut Rings {
        self.habits.short = share;
        self
    }

    /// Which share of the transfers, connects and cancelled operations ends with `EINTR`; 0.01 at first. A connect goes on all the same,
    /// as connect(2) says; a receive may have taken a provided buffer.
    pub fn interrupted(&mut self, share: f64) -> &mut Rings {
        self.habits.interrupted = share;
        self
    }

    /// Which share of the transfers on sockets and pipes ends with `EAGAIN` or `ENOBUFS`; 0.01 at first.
    pub fn unready(&mut self, share: f64) -> &mut Rings {
        self.habits.unready = share;
        self
    }

    /// Which share of the receives into provided buffers finds none (`ENOBUFS`), though there are some; 0.01 at first.
    pub fn starved(&mut self, share: f64) -> &mut Rings {
        self.habits.starved = share;
        self
    }

    /// Which share of the transfers and accepts ends with `ECANCELED`, though nobody has asked; 0 at first. What may be done twice is
    /// done again; of other operations the program is told.
    pub fn cancelled(&mut self, share: f64) -> &mut Rings {
        self.habits.cancelled = share;
        self
    }

    /// Which share of the completions of operations that have several is the last one, for no reason; 0.02 at first.
    pub fn early_ends(&mut self, share: f64) -> &mut Rings {
        self.habits.ended = share;
        self
    }

    /// Which share of the cancels takes as long as other operations do, so that it may come too late; 0.2 at first.
    pub fn late_cancels(&mut self, share: f64) -> &mut Rings {
        self.habits.late_cancels = share;
        self
    }

    /// Which share of what is received is in memory only when its completion is, and junk before; 0.1 at first. Behind what was
    /// received there is junk in any case, as a kernel may leave it there.
    pub fn late_memory(&mut self, share: f64) -> &mut Rings {
        self.habits.late_memory = share;
        self
    }

    /// How many operations a core begins in a turn at most, and how many completions it is handed; drawn for each core when its host
    /// starts. What does not fit waits. While more completions wait than fit, operations that have several end. At first the
    /// queues are as long as needed.
    pub fn queue(&mut self, entries: RangeInclusive<u32>) -> &mut Rings {
        self.habits.queue = Some(entries);
        self
    }
}

impl Sim {
    /// Changes how the rings of all hosts are that were added so far.
    pub fn rings(&mut self, change: impl Fn(&mut Rings)) {
        for host in 0..self.hosts.len() {
            self.change_rings(host, &change);
        }
    }

    /// Changes how the rings of one host are.
    ///
    /// # Panics
    ///
    /// If there is no host of this name.
    pub fn rings_of(&mut self, host: &str, change: impl Fn(&mut Rings)) {
        self.change_rings(self.find(host), &change);
    }

    fn change_rings(&mut self, host: usize, change: &dyn Fn(&mut Rings)) {
        let habits = self.world.borrow().habits_of(host).clone();
        let mut rings = Rings { habits };
        change(&mut rings);
        self.world.borrow_mut().set_habits(host, rings.habits);
    }
}
