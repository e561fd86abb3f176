//! [`Network`]: the ways between hosts, how long they are, and what gets lost on them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use super::luck::Luck;
use super::name::SocketName;
use super::objects::ObjectId;

/// What travels.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(super) from_host: usize,
    pub(super) to_host: usize,
    pub(super) body: Body,
    /// A test's rule has dropped it: it is lost when it would arrive.
    pub(super) is_doomed: bool,
}

/// What carries a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Tcp,
    Udp,
    Icmp,
}

#[derive(Clone, Debug)]
pub(super) enum Body {
    /// A client wants a connection.
    Open {
        client: ObjectId,
        from: SocketName,
        to: SocketName,
    },
    /// A listener has made one, whose other end is `server`.
    Opened { client: ObjectId, server: ObjectId },
    /// What goes from one end of a connection to the other.
    Segment {
        from: ObjectId,
        to: ObjectId,
        segment: Segment,
    },
    Datagram {
        sender: ObjectId,
        from: SocketName,
        to: SocketName,
        bytes: Vec<u8>,
    },
    /// Nobody is there to whom a datagram could go.
    Unreachable { sender: ObjectId },
}

#[derive(Clone, Debug)]
pub(super) enum Segment {
    Data(Vec<u8>),
    /// Nothing follows.
    End,
    Reset,
    /// So many bytes were read by the program there.
    Read(usize),
}

impl Packet {
    pub(super) fn new(from_host: usize, to_host: usize, body: Body) -> Packet {
        Packet {
            from_host,
            to_host,
            body,
            is_doomed: false,
        }
    }

    /// From which one to which.
    pub(crate) fn hosts(&self) -> [usize; 2] {
        [self.from_host, self.to_host]
    }

    pub(crate) fn protocol(&self) -> Protocol {
        match self.body {
            Body::Open { .. } | Body::Opened { .. } | Body::Segment { .. } => Protocol::Tcp,
            Body::Datagram { .. } => Protocol::Udp,
            Body::Unreachable { .. } => Protocol::Icmp,
        }
    }

    /// The bytes of programs in it.
    pub(crate) fn payload(&self) -> &[u8] {
        match &self.body {
            Body::Datagram { bytes, .. } => bytes,
            Body::Segment {
                segment: Segment::Data(bytes),
                ..
            } => bytes,
            _ => &[],
        }
    }

    /// A packet of a connection is sent until it arrives; others are sent once.
    pub(super) fn is_reliable(&self) -> bool {
        matches!(self.body, Body::Segment { .. })
    }

    fn size(&self) -> usize {
        // Headers of Ethernet, IP and TCP.
        const HEADERS: usize = 66;
        HEADERS + self.payload().len()
    }
}

/// How the ways between hosts are. See the public type of the simulation's settings.
#[derive(Clone, Debug)]
pub(crate) struct Conditions {
    pub(crate) latency: Range<Duration>,
    /// The mean of what comes on top of that, exponentially distributed.
    pub(crate) jitter: Duration,
    /// Of packets of each kind.
    pub(crate) loss: f64,
    /// Of datagrams.
    pub(crate) duplication: f64,
    /// Bytes a second, on each way.
    pub(crate) bandwidth: Option<u64>,
}

impl Default for Conditions {
    fn default() -> Conditions {
        Conditions {
            latency: Duration::from_micros(100)..Duration::from_millis(1),
            jitter: Duration::ZERO,
            loss: 0.0,
            duplication: 0.0,
            bandwidth: None,
        }
    }
}

/// How long a way is that does not leave the host.
const LOOPBACK: Range<Duration> = Duration::from_micros(5)..Duration::from_micros(50);

/// The first pause before something is sent again, and how often it is doubled: as Linux does it (`TCP_RTO_MIN`,
/// `tcp_retries2`), a connection is given up after a quarter of an hour.
const RESEND_FIRST: Duration = Duration::from_millis(200);
const RESEND_MAX: Duration = Duration::from_secs(120);
pub(super) const RESENDS_MAX: u32 = 15;

/// The pause before the try of this number, from 1.
pub(super) fn resend_pause(tries: u32) -> Duration {
    let doubled = RESEND_FIRST.saturating_mul(1 << tries.saturating_sub(1).min(20));
    doubled.min(RESEND_MAX)
}

/// The way from one host to another.
#[derive(Clone, Debug, Default)]
struct Way {
    conditions: Option<Conditions>,
    is_cut: bool,
    /// What arrives waits until it is released.
    is_held: bool,
    held: Vec<Packet>,
    /// When the last packet has left, if bandwidth is short.
    busy_until: Duration,
}

#[derive(Default)]
pub(super) struct Network {
    conditions: Conditions,
    /// Ways that do not leave their host take no time.
    is_prompt: bool,
    /// When the last packet arrives that does not leave its host, by host: none overtakes another there.
    last_at_home: BTreeMap<usize, Duration>,
    /// By the host where it begins, and the one where it ends.
    ways: Vec<Vec<Way>>,
}

impl Network {
    fn way(&mut self, from: usize, to: usize) -> &mut Way {
        if from >= self.ways.len() {
            self.ways.resize(from + 1, Vec::new());
        }
        let ways = &mut self.ways[from];
        if to >= ways.len() {
            ways.resize(to + 1, Way::default());
        }
        &mut ways[to]
    }

    fn known_way(&self, from: usize, to: usize) -> Option<&Way> {
        self.ways.get(from)?.get(to)
    }

    pub(super) fn be_prompt(&mut self) {
        self.is_prompt = true;
    }

    /// How all ways are that have no conditions of their own.
    pub(super) fn set_conditions(&mut self, conditions: Conditions) {
        self.conditions = conditions;
    }

    pub(super) fn set_conditions_of(&mut self, from: usize, to: usize, conditions: Conditions) {
        self.way(from, to).conditions = Some(conditions);
    }

    pub(super) fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    pub(super) fn conditions_of(&self, from: usize, to: usize) -> Conditions {
        let way = self.known_way(from, to);
        let own = way.and_then(|way| way.conditions.clone());
        own.unwrap_or_else(|| self.conditions.clone())
    }

    pub(super) fn cut(&mut self, from: usize, to: usize, is_cut: bool) {
        self.way(from, to).is_cut = is_cut;
    }

    pub(super) fn hold(&mut self, from: usize, to: usize) {
        self.way(from, to).is_held = true;
    }

    /// What was held on a way, in the order of its arrival.
    pub(super) fn release(&mut self, from: usize, to: usize) -> Vec<Packet> {
        let way = self.way(from, to);
        way.is_held = false;
        std::mem::take(&mut way.held)
    }

    /// Every way on which something is held or that is cut.
    pub(super) fn disturbed(&self) -> Vec<(usize, usize)> {
        let mut disturbed = Vec::new();
        for (from, ways) in self.ways.iter().enumerate() {
            let is_disturbed = |to: &usize| ways[*to].is_cut || ways[*to].is_held;
            let ends = (0..ways.len()).filter(is_disturbed);
            disturbed.extend(ends.map(|to| (from, to)));
        }
        disturbed
    }

    pub(super) fn is_cut(&self, from: usize, to: usize) -> bool {
        from != to && self.known_way(from, to).is_some_and(|way| way.is_cut)
    }

    /// Whether a packet that has arrived waits on a way that is held.
    pub(super) fn holds(&self, packet: &Packet) -> bool {
        let (from, to) = (packet.from_host, packet.to_host);
        from != to && self.known_way(from, to).is_some_and(|way| way.is_held)
    }

    /// Keeps it until the way is released.
    pub(super) fn keep(&mut self, packet: Packet) {
        let (from, to) = (packet.from_host, packet.to_host);
        self.way(from, to).held.push(packet);
    }

    /// When a packet arrives that leaves now: never, once, or twice.
    pub(super) fn arrivals(
        &mut self,
        packet: &Packet,
        now: Duration,
        luck: &Luck,
    ) -> [Option<Duration>; 2] {
        let (from, to) = (packet.from_host, packet.to_host);
        if from == to {
            let drawn = luck.within(&LOOPBACK);
            let time = if self.is_prompt {
                Duration::ZERO
            } else {
                drawn
            };
            let last = self.last_at_home.entry(from).or_default();
            *last = (*last).max(now + time);
            return [Some(*last), None];
        }
        self.way(from, to);
        let way = &mut self.ways[from][to];
        let conditions = way.conditions.as_ref().unwrap_or(&self.conditions);
        let mut leaves = now;
        if let Some(bandwidth) = conditions.bandwidth {
            let nanoseconds = packet.size() as u128 * 1_000_000_000 / u128::from(bandwidth.max(1));
            let time = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
            leaves = leaves.max(way.busy_until) + time;
            way.busy_until = leaves;
        }
        let arrives = || {
            let latency = luck.within(&conditions.latency);
            leaves + latency + luck.exponential(conditions.jitter)
        };
        if packet.is_reliable() {
            let mut arrival = arrives();
            // What is lost is sent again.
            for tries in 1..=RESENDS_MAX {
                if !luck.strikes(conditions.loss, "a packet is lost") {
                    break;
                }
                arrival += resend_pause(tries);
            }
            return [Some(arrival), None];
        }
        let first = arrives();
        let second = arrives();
        let is_lost = luck.strikes(conditions.loss, "a packet is lost");
        let is_twice = matches!(packet.body, Body::Datagram { .. })
            && luck.strikes(conditions.duplication, "a datagram is doubled");
        match (is_lost, is_twice) {
            (true, _) => [None, None],
            (false, false) => [Some(first), None],
            (false, true) => [Some(first), Some(second)],
        }
    }
}
