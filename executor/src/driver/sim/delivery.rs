//! What becomes of packets on their way and at their end.

use std::collections::VecDeque;

use super::listener::Listener;
use super::name::SocketName;
use super::network::{Body, Conditions, Packet, RESENDS_MAX, Segment, resend_pause};
use super::objects::{Direction, Kind, ObjectId};
use super::stream::{Carrier, Stage, Stream};
use super::world::{Event, World};

/// What was lost between two ends of a connection and is sent again, and all that came behind it.
#[derive(Debug)]
pub(super) struct Stalled {
    pub(super) from_host: usize,
    pub(super) to_host: usize,
    pub(super) segments: VecDeque<Segment>,
    pub(super) tries: u32,
}

impl World {
    /// A packet leaves.
    pub(super) fn dispatch(&mut self, packet: Packet) {
        let mut arrivals = self.network.arrivals(&packet, self.elapsed(), &self.net);
        let last = arrivals.pop();
        for arrival in arrivals {
            self.plan(arrival, Event::Arrive(packet.clone()));
        }
        if let Some(last) = last {
            self.plan(last, Event::Arrive(packet));
        }
    }

    /// Something goes to the other end of a connection, behind everything that went there before.
    pub(super) fn send_segment(&mut self, from: ObjectId, segment: Segment) {
        let from_host = self.objects.get(from).map(|object| object.host);
        let peer = self.objects.stream(from).and_then(|stream| stream.peer);
        let (Some(from_host), Some(to)) = (from_host, peer) else {
            return;
        };
        let to_host = self.host_of_end(from, to, from_host);
        let packet = Packet {
            from_host,
            to_host,
            body: Body::Segment { from, to, segment },
        };
        let arrivals = self.network.arrivals(&packet, self.elapsed(), &self.net);
        // What is lost is sent again: it arrives once.
        let (Some(arrival), Some(stream)) = (arrivals.first(), self.objects.stream(from)) else {
            return;
        };
        stream.last_arrival = (*arrival).max(stream.last_arrival);
        let arrival = stream.last_arrival;
        self.plan(arrival, Event::Arrive(packet));
    }

    /// Where the other end of a connection is, or was.
    fn host_of_end(&mut self, from: ObjectId, to: ObjectId, from_host: usize) -> usize {
        if let Some(object) = self.objects.get(to) {
            return object.host;
        }
        let remote = self
            .objects
            .stream(from)
            .and_then(|stream| stream.remote.clone());
        let address = remote.and_then(|name| name.internet());
        address
            .and_then(|address| self.host_of(address.ip(), from_host))
            .unwrap_or(from_host)
    }

    /// An answer to an end that nobody has any more.
    fn send_reset(&mut self, from_host: usize, to_host: usize, from: ObjectId, to: ObjectId) {
        let segment = Segment::Reset;
        self.dispatch(Packet {
            from_host,
            to_host,
            body: Body::Segment { from, to, segment },
        });
    }

    pub(super) fn arrive(&mut self, packet: Packet) {
        let Some(packet) = self.network.keep(packet) else {
            return;
        };
        let (from_host, to_host) = (packet.from_host, packet.to_host);
        let is_lost = self.is_lost(from_host, to_host);
        match packet.body {
            Body::Segment { from, to, segment } => {
                self.arrive_in_order((from_host, to_host), (from, to), segment, is_lost);
            }
            _ if is_lost => {}
            Body::Open { client, from, to } => {
                self.open((from_host, to_host), client, from, to);
            }
            Body::Opened { client, server } => self.opened((from_host, to_host), client, server),
            Body::Datagram {
                sender,
                from,
                to,
                bytes,
            } => self.deliver_datagram((from_host, to_host), sender, from, &to, bytes),
            Body::Unreachable { sender } => {
                if let Some(datagrams) = self.objects.datagrams(sender) {
                    datagrams.error = Some(libc::ECONNREFUSED);
                    self.stir(sender);
                }
            }
        }
    }

    /// Nothing arrives on this way now.
    fn is_lost(&self, from_host: usize, to_host: usize) -> bool {
        self.network.is_cut(from_host, to_host) || !self.machines[to_host].is_up
    }

    fn arrive_in_order(
        &mut self,
        (from_host, to_host): (usize, usize),
        (from, to): (ObjectId, ObjectId),
        segment: Segment,
        is_lost: bool,
    ) {
        if let Some(stalled) = self.stalled.get_mut(&(from, to)) {
            return stalled.segments.push_back(segment);
        }
        if !is_lost {
            return self.deliver_segment((from_host, to_host), (from, to), segment);
        }
        // An answer of nobody is not sent again.
        if matches!(segment, Segment::Reset) {
            return;
        }
        let stalled = Stalled {
            from_host,
            to_host,
            segments: VecDeque::from([segment]),
            tries: 1,
        };
        self.stalled.insert((from, to), stalled);
        let moment = self.elapsed() + resend_pause(1);
        self.plan(moment, Event::Resend { from, to });
    }

    /// What was lost is tried again.
    pub(super) fn resend(&mut self, from: ObjectId, to: ObjectId) {
        let Some(stalled) = self.stalled.get(&(from, to)) else {
            return;
        };
        let (from_host, to_host) = (stalled.from_host, stalled.to_host);
        let is_lost = self.is_lost(from_host, to_host);
        if !is_lost {
            let stalled = self.stalled.remove(&(from, to));
            for segment in stalled.into_iter().flat_map(|stalled| stalled.segments) {
                self.deliver_segment((from_host, to_host), (from, to), segment);
            }
            return;
        }
        // Whoever has crashed sends nothing again.
        let is_given_up = stalled.tries > RESENDS_MAX || !self.machines[from_host].is_up;
        if is_given_up {
            self.stalled.remove(&(from, to));
            return self.break_stream(from, libc::ETIMEDOUT);
        }
        let Some(stalled) = self.stalled.get_mut(&(from, to)) else {
            return;
        };
        stalled.tries += 1;
        let pause = resend_pause(stalled.tries);
        let moment = self.elapsed() + pause;
        self.plan(moment, Event::Resend { from, to });
    }

    fn deliver_segment(
        &mut self,
        (from_host, to_host): (usize, usize),
        (from, to): (ObjectId, ObjectId),
        segment: Segment,
    ) {
        let Some(stream) = self.objects.stream(to) else {
            if !matches!(segment, Segment::Reset) {
                self.send_reset(to_host, from_host, to, from);
            }
            return;
        };
        match segment {
            Segment::Data(bytes) => {
                stream.incoming.extend(bytes);
                self.stirred.push_back((to, Direction::Receiving));
            }
            Segment::End => {
                stream.has_ended = true;
                self.stir(to);
            }
            Segment::Read(count) => {
                stream.outstanding = stream.outstanding.saturating_sub(count);
                self.stirred.push_back((to, Direction::Sending));
            }
            Segment::Reset => {
                // After the end of the stream only a write can learn of it.
                let errno = match (stream.stage, stream.has_ended) {
                    (Stage::Connecting { .. }, _) => libc::ECONNREFUSED,
                    (_, true) => libc::EPIPE,
                    (_, false) => libc::ECONNRESET,
                };
                self.break_stream(to, errno);
            }
        }
    }

    /// A connection is over, and its program will be told why.
    pub(super) fn break_stream(&mut self, id: ObjectId, errno: i32) {
        if let Some(stream) = self.objects.stream(id) {
            stream.error = Some(errno);
            stream.stage = Stage::Dead;
            stream.peer = None;
            self.stir(id);
        }
    }

    /// A client asks for a connection.
    fn open(
        &mut self,
        (client_host, host): (usize, usize),
        client: ObjectId,
        from: SocketName,
        to: SocketName,
    ) {
        let known = self.objects.stream(client).map(|stream| stream.answered_by);
        if let Some(Some(server)) = known {
            // It has asked once more, before it got the answer.
            return self.answer((host, client_host), client, server);
        }
        let Some(listener) = self.listener_at(host, &to) else {
            return self.send_reset(host, client_host, client, client);
        };
        if self
            .objects
            .listener(listener)
            .is_some_and(|it| it.is_full())
        {
            // As if the packet had been lost: the client will ask again.
            return;
        }
        let server = self.add_server_end(host, listener, Carrier::Tcp, client);
        if let Some(stream) = self.objects.stream(server) {
            stream.local = Some(to);
            stream.remote = Some(from);
        }
        if let Some(stream) = self.objects.stream(client) {
            stream.answered_by = Some(server);
        }
        self.answer((host, client_host), client, server);
    }

    fn answer(&mut self, (from_host, to_host): (usize, usize), client: ObjectId, server: ObjectId) {
        let body = Body::Opened { client, server };
        self.dispatch(Packet {
            from_host,
            to_host,
            body,
        });
    }

    /// The end of a connection on the listener's side, which waits to be accepted.
    pub(super) fn add_server_end(
        &mut self,
        host: usize,
        listener: ObjectId,
        carrier: Carrier,
        client: ObjectId,
    ) -> ObjectId {
        let mut stream = Stream::new(carrier, Stage::Connected);
        stream.peer = Some(client);
        let (domain, options) = match self.objects.get(listener) {
            Some(object) => (object.domain, object.options.clone()),
            None => (libc::AF_INET, Default::default()),
        };
        let server = self
            .objects
            .add(host, domain, Kind::Stream(Box::new(stream)));
        if let Some(object) = self.objects.get_mut(server) {
            object.options = options;
        }
        if let Some(listener) = self.objects.listener(listener) {
            listener.waiting.push_back(server);
        }
        self.stirred.push_back((listener, Direction::Receiving));
        server
    }

    fn opened(&mut self, (from_host, to_host): (usize, usize), client: ObjectId, server: ObjectId) {
        match self.objects.stream(client) {
            Some(stream) if matches!(stream.stage, Stage::Connecting { .. }) => {
                stream.stage = Stage::Connected;
                stream.peer = Some(server);
                self.stir(client);
            }
            // The answer comes a second time.
            Some(stream) if stream.peer == Some(server) => {}
            _ => self.send_reset(to_host, from_host, client, server),
        }
    }

    /// A client has waited long enough for an answer.
    pub(super) fn reconnect(&mut self, client: ObjectId) {
        /// As Linux does (`tcp_syn_retries`): given up after 127 seconds.
        const TRIES_MAX: u32 = 7;
        let Some(stream) = self.objects.stream(client) else {
            return;
        };
        let Stage::Connecting { tries } = stream.stage else {
            return;
        };
        if tries >= TRIES_MAX {
            return self.break_stream(client, libc::ETIMEDOUT);
        }
        self.ask_for_connection(client, tries + 1);
    }

    pub(super) fn ask_for_connection(&mut self, client: ObjectId, tries: u32) {
        let Some(host) = self.objects.get(client).map(|object| object.host) else {
            return;
        };
        let Some(stream) = self.objects.stream(client) else {
            return;
        };
        stream.stage = Stage::Connecting { tries };
        let (Some(from), Some(to)) = (stream.local.clone(), stream.remote.clone()) else {
            return;
        };
        // One second, then two, and so on.
        let again = self.elapsed() + std::time::Duration::from_secs(1 << (tries - 1).min(10));
        self.plan(again, Event::Reconnect { client });
        let target = to.internet().and_then(|to| self.host_of(to.ip(), host));
        if let Some(to_host) = target {
            self.dispatch(Packet {
                from_host: host,
                to_host,
                body: Body::Open { client, from, to },
            });
        }
    }

    fn deliver_datagram(
        &mut self,
        (from_host, host): (usize, usize),
        sender: ObjectId,
        from: SocketName,
        to: &SocketName,
        bytes: Vec<u8>,
    ) {
        let Some(receiver) = self.datagrams_at(host, to, &from) else {
            let body = Body::Unreachable { sender };
            let is_connected = self
                .objects
                .datagrams(sender)
                .is_some_and(|datagrams| datagrams.remote.is_some());
            if is_connected {
                self.dispatch(Packet {
                    from_host: host,
                    to_host: from_host,
                    body,
                });
            }
            return;
        };
        let buffer = self.objects.get(receiver).map_or(0, |object| {
            object.option(crate::driver::OptionName::ReceiveBuffer)
        });
        if let Some(datagrams) = self.objects.datagrams(receiver)
            && datagrams.has_room(bytes.len(), buffer.max(0) as usize)
        {
            datagrams.queue.push_back((from, bytes));
            self.stirred.push_back((receiver, Direction::Receiving));
        }
    }

    // What a test does to the ways between hosts.

    /// What is on its way is lost, and what is sent, until the way is mended.
    pub(crate) fn cut(&mut self, from: usize, to: usize, is_cut: bool) {
        self.network.cut(from, to, is_cut);
    }

    pub(crate) fn hold(&mut self, from: usize, to: usize) {
        self.network.hold(from, to);
    }

    /// What was held arrives, in the order in which it came.
    pub(crate) fn release(&mut self, from: usize, to: usize) {
        for packet in self.network.release(from, to) {
            self.plan(self.elapsed(), Event::Arrive(packet));
        }
    }

    /// Nothing is cut or held any more.
    pub(crate) fn heal(&mut self) {
        for (from, to) in self.network.disturbed() {
            self.cut(from, to, false);
            self.release(from, to);
        }
    }

    pub(crate) fn conditions(&self) -> &Conditions {
        self.network.conditions()
    }

    pub(crate) fn conditions_of(&self, from: usize, to: usize) -> Conditions {
        self.network.conditions_of(from, to)
    }

    pub(crate) fn set_conditions(&mut self, conditions: Conditions) {
        self.network.set_conditions(conditions);
    }

    pub(crate) fn set_conditions_of(&mut self, from: usize, to: usize, conditions: Conditions) {
        self.network.set_conditions_of(from, to, conditions);
    }

    /// Every connection of a listener that nobody has taken is reset.
    pub(super) fn reset_waiting(&mut self, listener: Listener) {
        for server in listener.waiting {
            if let Some(stream) = self.objects.stream(server) {
                // As if something had been left unread.
                stream.incoming.push_back(0);
            }
            self.close_object(server);
        }
    }
}
