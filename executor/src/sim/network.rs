//! The network of a simulation, as tests see and disturb it.

use std::cell::RefCell;
use std::net::IpAddr;
use std::ops::Range;
use std::time::Duration;

use super::Sim;
use crate::driver::sim::{Conditions, addresses};

thread_local! {
    /// The names of the hosts of the world that takes its turn on this thread.
    static NAMES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Hosts know each other's names from now on.
pub(super) fn publish(name: &str) {
    NAMES.with_borrow_mut(|names| names.push(name.to_owned()));
}

pub(super) fn forget_all() {
    NAMES.with_borrow_mut(Vec::clear);
}

/// The address of a host, of version 4 of the internet protocol, for code that runs in the simulation. It never changes.
///
/// # Panics
///
/// If there is no host of this name, or no simulation on this thread.
pub fn address_of(host: &str) -> IpAddr {
    let found = NAMES.with_borrow(|names| names.iter().position(|name| name == host));
    match found {
        Some(number) => addresses(number)[0],
        None => panic!("there is no host of the name `{host}` in a simulation on this thread"),
    }
}

/// How the ways between hosts are, in each direction. At first: 100 µs to 1 ms long, as wide as needed, and safe.
///
/// Ways within a host are 5 to 50 µs long, and nothing is lost there.
#[derive(Clone, Debug, Default)]
pub struct Links {
    conditions: Conditions,
}

impl Links {
    /// How long a packet travels: drawn for each one from this range, all times as likely. Datagrams overtake each other;
    /// what belongs to a connection arrives in order.
    pub fn latency(&mut self, latency: Range<Duration>) -> &mut Links {
        self.conditions.latency = latency;
        self
    }

    /// What comes on top of the latency: mostly little, now and then much. Exponentially distributed, with this mean; zero at
    /// first.
    pub fn jitter(&mut self, mean: Duration) -> &mut Links {
        self.conditions.jitter = mean;
        self
    }

    /// Which share of the packets is lost, from 0 to 1. What belongs to a connection is sent again after 200 ms, then
    /// 400 and so on up to 2 minutes, as Linux does; a datagram is not.
    pub fn loss(&mut self, share: f64) -> &mut Links {
        self.conditions.loss = share;
        self
    }

    /// Which share of the datagrams arrives twice.
    pub fn duplication(&mut self, share: f64) -> &mut Links {
        self.conditions.duplication = share;
        self
    }

    /// How many bytes a second fit on each way; headers count.
    pub fn bandwidth(&mut self, bytes: u64) -> &mut Links {
        self.conditions.bandwidth = Some(bytes);
        self
    }
}

impl Sim {
    /// Changes how all ways between hosts are from now on; those that [`link`](Sim::link) has changed stay as they are.
    pub fn net(&mut self, change: impl FnOnce(&mut Links)) {
        let conditions = self.world.borrow().conditions().clone();
        let mut links = Links { conditions };
        change(&mut links);
        self.world.borrow_mut().set_conditions(links.conditions);
    }

    /// Changes how the way from one host to another is from now on. The way back is not changed.
    ///
    /// # Panics
    ///
    /// If there are no hosts of these names.
    pub fn link(&mut self, from: &str, to: &str, change: impl FnOnce(&mut Links)) {
        let ends = (self.find(from), self.find(to));
        let conditions = self.world.borrow().conditions_of(ends.0, ends.1);
        let mut links = Links { conditions };
        change(&mut links);
        self.world
            .borrow_mut()
            .set_conditions_of(ends.0, ends.1, links.conditions);
    }

    /// The address of a host; see [`address_of`].
    ///
    /// # Panics
    ///
    /// If there is no host of this name.
    pub fn address(&self, host: &str) -> IpAddr {
        addresses(self.find(host))[0]
    }

    /// Nothing gets through between two hosts, in both directions, until [`repair`](Sim::repair). What is on its way is
    /// lost. Connections notice nothing but silence; after a quarter of an hour they are given up with `ETIMEDOUT`.
    ///
    /// # Panics
    ///
    /// If there are no hosts of these names.
    pub fn partition(&mut self, one: &str, other: &str) {
        self.partition_one_way(one, other);
        self.partition_one_way(other, one);
    }

    /// As [`partition`](Sim::partition), in one direction.
    ///
    /// # Panics
    ///
    /// If there are no hosts of these names.
    pub fn partition_one_way(&mut self, from: &str, to: &str) {
        let (from, to) = (self.find(from), self.find(to));
        self.world.borrow_mut().cut(from, to, true);
    }

    /// Ends what [`partition`](Sim::partition) and [`partition_one_way`](Sim::partition_one_way) have done between two
    /// hosts. What was lost of connections arrives when it is sent again, which may take as long as the partition has.
    ///
    /// # Panics
    ///
    /// If there are no hosts of these names.
    pub fn repair(&mut self, one: &str, other: &str) {
        let (one, other) = (self.find(one), self.find(other));
        let mut world = self.world.borrow_mut();
        world.cut(one, other, false);
        world.cut(other, one, false);
        drop(world);
        self.has_mended = true;
    }

    /// Whatever arrives between two hosts, in both directions, waits until [`release`](Sim::release). Nothing is lost.
    ///
    /// # Panics
    ///
    /// If there are no hosts of these names.
    pub fn hold(&mut self, one: &str, other: &str) {
        let (one, other) = (self.find(one), self.find(other));
        let mut world = self.world.borrow_mut();
        world.hold(one, other);
        world.hold(other, one);
    }

    /// What was held between two hosts arrives now, in the order in which it came, and nothing is held any more.
    ///
    /// # Panics
    ///
    /// If there are no hosts of these names.
    pub fn release(&mut self, one: &str, other: &str) {
        let (one, other) = (self.find(one), self.find(other));
        let mut world = self.world.borrow_mut();
        world.release(one, other);
        world.release(other, one);
        drop(world);
        self.has_mended = true;
    }

    /// Holds what arrives between two hosts, in both directions, for so long.
    ///
    /// # Panics
    ///
    /// If there are no hosts of these names.
    pub fn clog(&mut self, one: &str, other: &str, duration: Duration) {
        self.hold(one, other);
        let end = self.elapsed().saturating_add(duration);
        let (one, other) = (one.to_owned(), other.to_owned());
        self.plan(end, false, move |sim| sim.release(&one, &other));
    }

    /// Repairs and releases all ways.
    pub fn heal(&mut self) {
        self.world.borrow_mut().heal();
        self.has_mended = true;
    }
}
