//! The world in memory: a network with a clock of its own, where the seed fixes everything.
//!
//! A message takes 100 to 900 µs, drawn anew for each, so that later ones overtake
//! earlier ones; a round trip is 1 ms in the mean. Messages travel as the bytes of
//! [`wire`]. Nobody's port numbers agree with anybody else's.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;
use std::time::Duration;

use super::arguments::Arguments;
use super::chronicle::{Chronicle, Deed};
use super::course::{Course, MessageCounts};
use super::draws::Draws;
use super::report::Narrator;
use super::seeds;
use crate::advance::{Hands, advance};
use crate::core::{Effect, Event, Message, Micros, Peer, Port};
use crate::wire;

const DELAY_MIN: Micros = 100;
const DELAY_SPREAD: Micros = 800;

/// Runs the heroes that `arguments` ask for, to the end.
pub fn run(arguments: &Arguments, seed: u64, narrator: Narrator) -> Course {
    let mut world = World::new(arguments, seed, narrator);
    let beginning = world.chronicle.take_beginning(Duration::ZERO);
    if !beginning.is_empty() {
        world.carry_out(beginning);
        world.plan_next_fault();
    }
    for hero in 0..world.seats.len() {
        world.step(hero, Event::Start);
    }
    let limit = arguments.limit;
    while let Some(Reverse(next)) = world.queue.peek() {
        let last = world.chronicle.deadline(limit);
        if world.chronicle.is_over() || Duration::from_micros(next.at) > last {
            break;
        }
        let Some(Reverse(happening)) = world.queue.pop() else {
            break;
        };
        world.happen(happening);
    }
    world.close(limit)
}

#[derive(Debug)]
struct World {
    now: Micros,
    /// Breaks ties of the clock, and numbers what happens.
    count: u64,
    queue: BinaryHeap<Reverse<Happening>>,
    seats: Vec<Seat>,
    network: Network,
    chronicle: Chronicle,
}

/// A hero and what the world knows of him.
#[derive(Debug)]
struct Seat {
    /// `None` when he is dead.
    peer: Option<Peer>,
    /// Who sits at the other end of each port.
    ports: Vec<usize>,
    /// The port each hero has here.
    port_of: Vec<Port>,
    /// When the timer in the queue goes off, if there is one.
    timer: Option<Micros>,
    /// He does nothing.
    is_stalled: bool,
    /// What came for him meanwhile.
    held: Vec<What>,
    /// What he had sent when he died.
    sent: crate::core::MessageCounts,
}

/// Ordered by time, then by number.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Happening {
    at: Micros,
    number: u64,
    what: What,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Arrival {
        from: usize,
        to: usize,
        bytes: Rc<[u8]>,
    },
    Timer {
        hero: usize,
    },
    /// A fault by the clock is due.
    Fault,
}

/// What the network draws.
#[derive(Debug)]
struct Network {
    loss_per_million: u32,
    losses: Draws,
    delays: Draws,
    /// The side on which each hero sits; all on one if the circle is not split.
    sides: Vec<usize>,
}

impl World {
    fn new(arguments: &Arguments, seed: u64, narrator: Narrator) -> World {
        let config = seeds::config(arguments);
        let mut tables = seeds::draws(seed, seeds::TABLES);
        let seats = (0..arguments.peers).map(|hero| {
            let mut ports: Vec<usize> = (0..arguments.peers)
                .filter(|other| *other != hero)
                .collect();
            tables.shuffle(&mut ports);
            let mut port_of = vec![Port(usize::MAX); arguments.peers];
            ports
                .iter()
                .enumerate()
                .for_each(|(port, other)| port_of[*other] = Port(port));
            Seat {
                peer: Some(Peer::new(
                    config.clone(),
                    seeds::of_hero(seed, hero, arguments.peers),
                )),
                ports,
                port_of,
                timer: None,
                is_stalled: false,
                held: Vec::new(),
                sent: crate::core::MessageCounts::default(),
            }
        });
        let mut world = World {
            now: 0,
            count: 0,
            queue: BinaryHeap::new(),
            seats: seats.collect(),
            network: Network {
                loss_per_million: arguments.fault.loss.per_million,
                losses: seeds::draws(seed, seeds::LOSSES),
                delays: seeds::draws(seed, seeds::DELAYS),
                sides: vec![0; arguments.peers],
            },
            chronicle: Chronicle::new(arguments, narrator),
        };
        world.plan_next_fault();
        world
    }

    fn happen(&mut self, happening: Happening) {
        self.now = happening.at;
        match happening.what {
            What::Arrival { to, .. } if self.seats[to].is_stalled => {
                self.seats[to].held.push(happening.what);
            }
            What::Timer { hero } if self.seats[hero].is_stalled => {}
            What::Arrival { from, to, bytes } => {
                let trace = self.chronicle.trace();
                [self.now, from as u64, to as u64]
                    .into_iter()
                    .for_each(|number| trace.number(number));
                trace.bytes(&bytes);
                let port = self.seats[to].port_of[from];
                let decoded = wire::decode(&bytes).expect("memory changes no byte");
                let (message, _) = decoded.expect("memory cuts no frame");
                self.step(to, Event::Received { port, message });
            }
            What::Timer { hero } => {
                // A timer that was moved since is in the queue once more.
                if self.seats[hero].timer == Some(self.now) {
                    self.seats[hero].timer = None;
                    self.step(hero, Event::Timer);
                }
            }
            What::Fault => {}
        }
        let due = self.chronicle.take_due(Duration::from_micros(self.now));
        if !due.is_empty() {
            self.carry_out(due);
            self.plan_next_fault();
        }
    }

    fn step(&mut self, hero: usize, event: Event) {
        let seat = &mut self.seats[hero];
        let Some(peer) = &mut seat.peer else { return };
        let mut reach = Reach {
            hero,
            now: self.now,
            ports: &seat.ports,
            count: &mut self.count,
            queue: &mut self.queue,
            network: &mut self.network,
            learned: Vec::new(),
        };
        advance(peer, self.now, event, &mut reach);
        let learned = reach.learned;
        if let Some(claim) = peer.claim() {
            self.chronicle.named(hero, claim.name);
        }
        let deadline = peer.deadline();
        if let Some(at) = deadline
            && seat.timer != deadline
        {
            let at = at.max(self.now);
            seat.timer = Some(at);
            self.count += 1;
            self.queue.push(Reverse(Happening {
                at,
                number: self.count,
                what: What::Timer { hero },
            }));
        } else if deadline.is_none() {
            seat.timer = None;
        }
        let now = Duration::from_micros(self.now);
        learned
            .iter()
            .for_each(|effect| self.chronicle.learned(hero, effect, now));
    }

    fn carry_out(&mut self, deeds: Vec<Deed>) {
        for deed in deeds {
            match deed {
                Deed::End(hero) => self.bury(hero),
                Deed::Stall(hero) => self.seats[hero].is_stalled = true,
                Deed::GoOn(hero) => self.go_on(hero),
                Deed::Split(sides) => self.network.sides = sides,
                Deed::Heal => self.network.sides.fill(0),
                Deed::Restart(_) => unreachable!("the arguments ask for nobody's return"),
            }
        }
    }

    fn bury(&mut self, hero: usize) {
        let seat = &mut self.seats[hero];
        if let Some(peer) = seat.peer.take() {
            seat.sent = peer.counters().sent;
        }
    }

    /// What has waited for him comes now, in its order.
    fn go_on(&mut self, hero: usize) {
        let seat = &mut self.seats[hero];
        seat.is_stalled = false;
        let mut waiting = std::mem::take(&mut seat.held);
        if let Some(timer) = &mut seat.timer
            && *timer <= self.now
        {
            *timer = self.now;
            waiting.push(What::Timer { hero });
        }
        for what in waiting {
            self.count += 1;
            self.queue.push(Reverse(Happening {
                at: self.now,
                number: self.count,
                what,
            }));
        }
    }

    fn plan_next_fault(&mut self) {
        if let Some(at) = self.chronicle.next_deed() {
            let at = (at.as_micros() as Micros).max(self.now);
            self.count += 1;
            self.queue.push(Reverse(Happening {
                at,
                number: self.count,
                what: What::Fault,
            }));
        }
    }

    fn close(self, limit: Duration) -> Course {
        let mut messages = MessageCounts::default();
        let mut waiting = Vec::new();
        for seat in &self.seats {
            match &seat.peer {
                Some(peer) => {
                    messages.add(&peer.counters().sent);
                    waiting.push(peer.waiting(self.now));
                }
                None => messages.add(&seat.sent),
            }
        }
        let elapsed = Duration::from_micros(self.now);
        self.chronicle
            .close(&waiting, limit, messages, elapsed, "none")
    }
}

/// One hero's hands, for one step.
struct Reach<'a> {
    hero: usize,
    now: Micros,
    ports: &'a [usize],
    count: &'a mut u64,
    queue: &'a mut BinaryHeap<Reverse<Happening>>,
    network: &'a mut Network,
    learned: Vec<Effect>,
}

impl Reach<'_> {
    fn post(&mut self, to: usize, bytes: &Rc<[u8]>) {
        let is_cut = self.network.sides[self.hero] != self.network.sides[to];
        if self.network.losses.happens(self.network.loss_per_million) || is_cut {
            return;
        }
        let at = self.now + DELAY_MIN + self.network.delays.below(DELAY_SPREAD + 1);
        *self.count += 1;
        let what = What::Arrival {
            from: self.hero,
            to,
            bytes: Rc::clone(bytes),
        };
        self.queue.push(Reverse(Happening {
            at,
            number: *self.count,
            what,
        }));
    }
}

impl Hands for Reach<'_> {
    fn send(&mut self, port: Port, message: &Message) {
        self.post(self.ports[port.0], &framed(message));
    }

    fn broadcast(&mut self, message: &Message) {
        let (bytes, ports) = (framed(message), self.ports);
        ports.iter().for_each(|to| self.post(*to, &bytes));
    }

    fn learned(&mut self, effect: &Effect) {
        self.learned.push(effect.clone());
    }
}

fn framed(message: &Message) -> Rc<[u8]> {
    let mut bytes = Vec::new();
    wire::encode(message, &mut bytes);
    bytes.into()
}
