//! A world for whole peers: links that delay, lose and double, disks that take their time, crashes after any send,
//! partitions, and an oracle that watches every effect.
//!
//! Peers have an *identity* here that they do not know themselves. All chance of the world hangs on identities, never
//! on the order in which things are stored, so a world can be relabelled and must go on the same.

use std::collections::{BTreeMap, VecDeque};

use krug_consensus::core::{
    Config, Effect, Event, LogRecord, Message, Micros, Peer, Port, Random, Utterance,
};

use crate::support::Chance;
pub(crate) use krug_consensus::oracle::Oracle;

/// How the world treats its peers.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) config: Config,
    pub(crate) seed: u64,
    /// Percent of messages.
    pub(crate) loss: usize,
    /// Percent of messages.
    pub(crate) doubling: usize,
    /// The longest a sync takes. 0: durable at once.
    pub(crate) sync_max: Micros,
    /// Shuffles ports and spawn order; 0 leaves both as they are.
    pub(crate) relabelling: u64,
}

impl Setup {
    pub(crate) fn new(peers: usize, word: &str, seed: u64) -> Setup {
        let mut config = Config::new(peers, word).expect("a circle and a word");
        config.round_trip = 1_000;
        config.patience = 20_000;
        config.roll_patience = 60_000;
        config.silence = 200_000;
        Setup {
            config,
            seed,
            loss: 0,
            doubling: 0,
            sync_max: 0,
            relabelling: 0,
        }
    }
}

#[derive(Debug)]
enum Happening {
    Start,
    Restart,
    Deliver(Message),
    Timer,
    Synced,
    Crash,
}

/// When, to whom, from whom, and the how-manieth on that link: unique, and without any label.
type Key = (Micros, usize, usize, u64);

struct Batch {
    number: u64,
    records: Vec<LogRecord>,
    then: Vec<Effect>,
    durable_at: Micros,
}

struct Body {
    peer: Option<Peer>,
    life: u64,
    is_mute: bool,
    /// Identity behind each port.
    ports: Vec<usize>,
    disk: Vec<LogRecord>,
    syncing: VecDeque<Batch>,
    sync_max: Micros,
    timer: Option<Micros>,
    chance: Chance,
    sends: u64,
    crash_after_sends: Option<u64>,
    restart_after: Option<Micros>,
}

pub(crate) struct World {
    pub(crate) now: Micros,
    pub(crate) oracle: Oracle,
    setup: Setup,
    bodies: Vec<Body>,
    queue: BTreeMap<Key, Happening>,
    links: BTreeMap<(usize, usize), (Chance, u64)>,
    /// The side each peer is on; messages between sides are lost.
    pub(crate) sides: Vec<usize>,
}

impl World {
    /// A world where everybody is about to be born.
    pub(crate) fn new(setup: Setup) -> World {
        let peers = setup.config.peers;
        let mut relabelling = Chance::new(setup.relabelling);
        let mut bodies: Vec<Body> = (0..peers)
            .map(|identity| Body::new(identity, &setup))
            .collect();
        let mut spawn_order: Vec<usize> = (0..peers).collect();
        if setup.relabelling != 0 {
            relabelling.shuffle(&mut spawn_order);
            bodies
                .iter_mut()
                .for_each(|body| relabelling.shuffle(&mut body.ports));
        }
        let mut world = World {
            now: 0,
            oracle: Oracle::new(setup.config.clone()),
            sides: vec![0; peers],
            bodies,
            queue: BTreeMap::new(),
            links: BTreeMap::new(),
            setup,
        };
        for identity in spawn_order {
            world.schedule(identity, identity, 0, Happening::Start);
        }
        world
    }

    fn schedule(&mut self, to: usize, from: usize, at: Micros, happening: Happening) {
        let (_, count) = self.link(from, to);
        *count += 1;
        let key = (at, to, from, *count);
        self.queue.insert(key, happening);
    }

    fn link(&mut self, from: usize, to: usize) -> &mut (Chance, u64) {
        let seed = mix(self.setup.seed, from, to);
        self.links
            .entry((from, to))
            .or_insert_with(|| (Chance::new(seed), 0))
    }

    /// Stops this peer at this moment.
    pub(crate) fn crash_at(&mut self, identity: usize, at: Micros) {
        self.schedule(identity, identity, at, Happening::Crash);
    }

    /// Starts this peer again at this moment, if it is dead then.
    pub(crate) fn restart_at(&mut self, identity: usize, at: Micros) {
        self.schedule(identity, identity, at, Happening::Restart);
    }

    /// Stops this peer right after its `sends`-th message, be it in mid-broadcast, and starts it again if asked to.
    pub(crate) fn crash_after_sends(
        &mut self,
        identity: usize,
        sends: u64,
        restart_after: Option<Micros>,
    ) {
        self.bodies[identity].crash_after_sends = Some(sends);
        self.bodies[identity].restart_after = restart_after;
    }

    pub(crate) fn stall_disk(&mut self, identity: usize, sync_max: Micros) {
        self.bodies[identity].sync_max = sync_max;
    }

    /// This peer lives without a log from its next start on.
    pub(crate) fn lose_log(&mut self, identity: usize) {
        self.bodies[identity].is_mute = true;
        self.bodies[identity].disk.clear();
    }

    pub(crate) fn peer(&self, identity: usize) -> Option<&Peer> {
        self.bodies[identity].peer.as_ref()
    }

    pub(crate) fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.bodies.iter().filter_map(|body| body.peer.as_ref())
    }

    pub(crate) fn sends(&self, identity: usize) -> u64 {
        self.bodies[identity].sends
    }

    /// The identity behind each speaker, letter by letter.
    pub(crate) fn speakers(&self) -> Vec<usize> {
        self.oracle
            .transcript()
            .iter()
            .map(|utterance| self.identity(utterance))
            .collect()
    }

    fn identity(&self, utterance: &Utterance) -> usize {
        self.oracle.who_drew(utterance.speaker)
    }

    /// Whether everybody alive has heard the whole word, and has it on his disk.
    pub(crate) fn is_finished(&self) -> bool {
        let mut alive = self
            .bodies
            .iter()
            .filter_map(|body| Some((body, body.peer.as_ref()?)))
            .peekable();
        alive.peek().is_some()
            && alive.all(|(body, peer)| peer.is_finished() && body.syncing.is_empty())
    }

    /// Runs until everybody alive has heard the whole word, or until this moment. Nothing left to happen counts as
    /// that moment too.
    pub(crate) fn run_until(&mut self, end: Micros) -> bool {
        while !self.is_finished() || self.has_planned_fault() {
            let Some((&key, _)) = self.queue.first_key_value().filter(|(key, _)| key.0 <= end)
            else {
                self.now = end;
                return false;
            };
            let happening = self.queue.remove(&key).expect("it is the first");
            let (at, to, from, _) = key;
            self.now = at;
            self.happens(to, from, happening);
        }
        true
    }

    fn has_planned_fault(&self) -> bool {
        self.queue
            .values()
            .any(|happening| matches!(happening, Happening::Restart | Happening::Start))
    }

    fn happens(&mut self, to: usize, from: usize, happening: Happening) {
        match happening {
            Happening::Start => {
                let peer = self.bodies[to].born(to, &self.setup);
                self.bodies[to].peer = Some(peer);
                self.step(to, Event::Start);
            }
            Happening::Restart => self.restart(to),
            Happening::Crash => self.crash(to),
            Happening::Deliver(message) => {
                if self.sides[to] == self.sides[from] {
                    let port = self.bodies[to]
                        .ports
                        .iter()
                        .position(|&other| other == from)
                        .expect("a link");
                    self.step(
                        to,
                        Event::Received {
                            port: Port(port),
                            message,
                        },
                    );
                }
            }
            Happening::Timer => {
                if self.bodies[to].timer.is_some_and(|at| at <= self.now) {
                    self.bodies[to].timer = None;
                    self.step(to, Event::Timer);
                }
            }
            Happening::Synced => self.sync(to),
        }
    }

    fn step(&mut self, identity: usize, event: Event) {
        let now = self.now;
        let Some(peer) = self.bodies[identity].peer.as_mut() else {
            return;
        };
        let effects = peer.step(now, event);
        self.oracle.looks_at(identity, peer);
        self.perform(identity, effects);
    }

    fn perform(&mut self, identity: usize, effects: Vec<Effect>) {
        let life = self.bodies[identity].life;
        for effect in effects {
            if self.bodies[identity].peer.is_none() || self.bodies[identity].life != life {
                return;
            }
            match effect {
                Effect::Broadcast(message) => {
                    let mut ports = self.bodies[identity].ports.clone();
                    ports.sort_unstable();
                    for to in ports {
                        self.send(identity, to, message.clone());
                    }
                }
                Effect::Send { port, message } => {
                    let to = self.bodies[identity].ports[port.0];
                    self.send(identity, to, message);
                }
                Effect::Persist {
                    batch,
                    records,
                    then,
                } => self.persist(identity, batch, records, then),
                Effect::Timer { at } => {
                    self.bodies[identity].timer = at;
                    if let Some(at) = at {
                        self.schedule(identity, identity, at.max(self.now), Happening::Timer);
                    }
                }
                effect => self.oracle.learned(identity, &effect),
            }
        }
    }

    fn send(&mut self, from: usize, to: usize, message: Message) {
        let body = &mut self.bodies[from];
        if body.peer.is_none() {
            return;
        }
        self.oracle.says(from, &message);
        body.sends += 1;
        let crashes = body.crash_after_sends == Some(body.sends);
        let (now, loss, doubling, round_trip) = (
            self.now,
            self.setup.loss,
            self.setup.doubling,
            self.setup.config.round_trip,
        );
        let (chance, _) = self.link(from, to);
        let mut copies = Vec::new();
        if !chance.percent(loss) {
            copies.push(chance.below(round_trip as usize) as Micros);
        }
        if chance.percent(doubling) {
            copies.push(chance.below(10 * round_trip as usize) as Micros);
        }
        for delay in copies {
            self.schedule(to, from, now + delay, Happening::Deliver(message.clone()));
        }
        if crashes {
            self.crash(from);
        }
    }

    fn persist(
        &mut self,
        identity: usize,
        number: u64,
        records: Vec<LogRecord>,
        then: Vec<Effect>,
    ) {
        let body = &mut self.bodies[identity];
        let started = body
            .syncing
            .back()
            .map_or(self.now, |batch| batch.durable_at);
        let durable_at =
            started.max(self.now) + body.chance.below(body.sync_max as usize + 1) as Micros;
        body.syncing.push_back(Batch {
            number,
            records,
            then,
            durable_at,
        });
        self.schedule(identity, identity, durable_at, Happening::Synced);
    }

    fn sync(&mut self, identity: usize) {
        let body = &mut self.bodies[identity];
        if body
            .syncing
            .front()
            .is_none_or(|batch| batch.durable_at > self.now)
        {
            return;
        }
        let batch = body.syncing.pop_front().expect("it is there");
        self.oracle.persists(identity, &batch.records);
        body.disk.extend(batch.records);
        let life = body.life;
        self.perform(identity, batch.then);
        if self.bodies[identity].life == life {
            self.step(
                identity,
                Event::Persisted {
                    batch: batch.number,
                },
            );
        }
    }

    /// What was being synced is on the disk or not, as chance has it; what was to be said thereafter is never said.
    fn crash(&mut self, identity: usize) {
        let body = &mut self.bodies[identity];
        if body.peer.take().is_none() {
            return;
        }
        let kept = body.chance.below(body.syncing.len() + 1);
        for batch in body.syncing.drain(..).take(kept) {
            self.oracle.persists(identity, &batch.records);
            body.disk.extend(batch.records);
        }
        body.timer = None;
        body.life += 1;
        body.crash_after_sends = None;
        if let Some(after) = body.restart_after {
            let at = self.now + after;
            self.restart_at(identity, at);
        }
    }

    fn restart(&mut self, identity: usize) {
        if self.bodies[identity].peer.is_some() {
            return;
        }
        let body = &self.bodies[identity];
        let peer = body.born(identity, &self.setup);
        if !body.is_mute {
            self.oracle.reloads(identity, &body.disk);
        }
        self.oracle.restarts(identity, &peer);
        self.bodies[identity].peer = Some(peer);
        self.step(identity, Event::Start);
    }
}

impl Body {
    fn new(identity: usize, setup: &Setup) -> Body {
        Body {
            peer: None,
            life: 0,
            is_mute: false,
            ports: (0..setup.config.peers)
                .filter(|&other| other != identity)
                .collect(),
            disk: Vec::new(),
            syncing: VecDeque::new(),
            sync_max: setup.sync_max,
            timer: None,
            chance: Chance::new(mix(setup.seed, identity, 2_000)),
            sends: 0,
            crash_after_sends: None,
            restart_after: None,
        }
    }

    fn born(&self, identity: usize, setup: &Setup) -> Peer {
        let seed = mix(setup.seed.wrapping_add(self.life << 32), identity, 1_000);
        let port_seeds = self.ports.iter().map(|&other| mix(seed, identity, other));
        let (config, random) = (
            setup.config.clone(),
            Random::with_port_seeds(seed, port_seeds),
        );
        if self.is_mute {
            Peer::mute(config, random)
        } else if self.disk.is_empty() {
            Peer::new(config, random)
        } else {
            Peer::restart(config, random, self.disk.iter().cloned())
        }
    }
}

fn mix(seed: u64, first: usize, second: usize) -> u64 {
    Chance::new(Chance::new(seed ^ (first as u64) << 40 ^ (second as u64) << 20).next()).next()
}
