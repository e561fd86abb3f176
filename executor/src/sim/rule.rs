//! Rules: what a test makes of each packet.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::Sim;
use crate::driver::sim::{Judgement, Leaving, Protocol as Carried};

/// What is to become of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// What would become of it without this rule.
    Pass,
    /// It is lost. A datagram and a request for a connection are gone. What belongs to a connection is sent again after 200 ms, then 400
    /// and so on, as it is after any loss, and the rules are asked again each time; what follows on the connection waits for it.
    Drop,
    /// It is on its way for so much longer. What follows on its connection does not overtake it.
    Delay(Duration),
}

/// What carries a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// A packet of a connection.
    Tcp,
    /// A datagram.
    Udp,
    /// Word that nobody is there to get a datagram.
    Icmp,
}

/// A packet that leaves a host.
pub struct Packet<'a> {
    from: &'a str,
    to: &'a str,
    addresses: Option<(SocketAddr, SocketAddr)>,
    leaving: &'a Leaving,
}

impl Packet<'_> {
    /// The name of the host that sends it.
    pub fn from(&self) -> &str {
        self.from
    }

    /// The name of the host that is to get it; the same one if the packet does not leave its host.
    pub fn to(&self) -> &str {
        self.to
    }

    /// The address that it comes from, if that is known: when a connection is gone at both ends, nobody knows it any more.
    pub fn source(&self) -> Option<SocketAddr> {
        self.addresses.map(|(source, _)| source)
    }

    /// The address that it goes to, if that is known.
    pub fn destination(&self) -> Option<SocketAddr> {
        self.addresses.map(|(_, destination)| destination)
    }

    /// What carries it.
    pub fn protocol(&self) -> Protocol {
        match self.leaving.packet().protocol() {
            Carried::Tcp => Protocol::Tcp,
            Carried::Udp => Protocol::Udp,
            Carried::Icmp => Protocol::Icmp,
        }
    }

    /// The bytes of the program that it carries. Packets that begin, acknowledge, end or reset a connection have none.
    pub fn payload(&self) -> &[u8] {
        self.leaving.packet().payload()
    }
}

impl fmt::Debug for Packet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packet")
            .field("from", &self.from)
            .field("to", &self.to)
            .field("protocol", &self.protocol())
            .field("source", &self.source())
            .field("destination", &self.destination())
            .field("payload", &self.payload().len())
            .finish()
    }
}

type Judge = Box<dyn FnMut(&Packet<'_>) -> Verdict>;

/// A rule, and its judge while that is not at work.
type Entry = (u64, Option<Judge>);

/// In the order in which they were added.
#[derive(Default)]
pub(super) struct Rules {
    list: Rc<RefCell<Vec<Entry>>>,
    made: Cell<u64>,
}

impl Rules {
    /// What the first says that does not let the packet pass. No cell is borrowed while a judge is at work: it may end rules.
    fn judge(&self, packet: &Packet<'_>) -> Judgement {
        let numbers: Vec<u64> = self.list.borrow().iter().map(|entry| entry.0).collect();
        for number in numbers {
            let find = |entry: &&mut Entry| entry.0 == number;
            let taken = self
                .list
                .borrow_mut()
                .iter_mut()
                .find(find)
                .map(|entry| entry.1.take());
            let Some(Some(mut judge)) = taken else {
                continue;
            };
            let verdict = judge(packet);
            let mut list = self.list.borrow_mut();
            let ended = match list.iter_mut().find(find) {
                Some(entry) => entry.1.replace(judge),
                None => Some(judge),
            };
            drop(list);
            drop(ended);
            match verdict {
                Verdict::Pass => {}
                Verdict::Drop => return Judgement::Drop,
                Verdict::Delay(by) => return Judgement::Delay(by),
            }
        }
        Judgement::Pass
    }
}

/// Keeps a rule of [`Sim::rule`] in force; it ends when this is dropped.
#[must_use = "the rule ends when this is dropped"]
pub struct Rule {
    number: u64,
    list: Weak<RefCell<Vec<Entry>>>,
}

impl Drop for Rule {
    fn drop(&mut self) {
        let Some(list) = self.list.upgrade() else {
            return;
        };
        let mut entries = list.borrow_mut();
        let place = entries.iter().position(|entry| entry.0 == self.number);
        let ended = place.map(|place| entries.remove(place));
        drop(entries);
        // What it has kept is dropped while nothing is borrowed.
        drop(ended);
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule")
            .field("number", &self.number)
            .finish()
    }
}

impl Sim {
    /// Asks `judge` about every packet that leaves a host, also to the host itself, until what is returned is dropped. Packets are
    /// what UDP and TCP send, also to open, acknowledge and end connections; Unix sockets and pipes have none. Of several rules the one
    /// that was added first is asked first, and the first that does not say [`Verdict::Pass`] decides. What the ways between
    /// the hosts do to a packet comes on top.
    ///
    /// What it panics with ends the simulation, as a check does.
    ///
    /// ```
    /// use krug::net::TcpStream;
    /// use krug::sim::{Protocol, Sim, Verdict, address_of};
    /// use std::time::Duration;
    ///
    /// let mut sim = Sim::new(1);
    /// sim.host("server", || std::future::pending());
    /// sim.client("client", async {
    ///     let answer = TcpStream::connect((address_of("server"), 80)).await;
    ///     answer.unwrap_err(); // Nobody listens, which is known as soon as the question gets through.
    /// });
    /// let rule = sim.rule(|packet| match (packet.to(), packet.protocol()) {
    ///     ("server", Protocol::Tcp) => Verdict::Drop,
    ///     _ => Verdict::Pass,
    /// });
    /// sim.at(Duration::from_secs(10), |_| drop(rule));
    /// sim.run().unwrap();
    /// assert!(sim.elapsed() > Duration::from_secs(10));
    /// ```
    pub fn rule(&mut self, judge: impl FnMut(&Packet<'_>) -> Verdict + 'static) -> Rule {
        let number = self.rules.made.get();
        self.rules.made.set(number + 1);
        let entry: Entry = (number, Some(Box::new(judge)));
        self.rules.list.borrow_mut().push(entry);
        self.world.borrow_mut().set_judged(true);
        Rule {
            number,
            list: Rc::downgrade(&self.rules.list),
        }
    }

    /// Has the rules decide on what is about to leave.
    pub(super) fn judge_packets(&mut self) {
        loop {
            let mut world = self.world.borrow_mut();
            let Some(leaving) = world.next_leaving() else {
                world.set_judged(!self.rules.list.borrow().is_empty());
                return;
            };
            let addresses = world.addresses_of(leaving.packet());
            drop(world);
            let [from, to] = leaving.packet().hosts();
            let packet = Packet {
                from: &self.hosts[from].name,
                to: &self.hosts[to].name,
                addresses,
                leaving: &leaving,
            };
            let judgement = self.rules.judge(&packet);
            self.world.borrow_mut().judge(leaving, judgement);
        }
    }
}
