//! How packets leave: at once, or after a test's rules have had their say.

use std::time::Duration;

use super::delivery::Stalled;
use super::network::{Body, Packet, RESENDS_MAX, resend_pause};
use super::objects::ObjectId;
use super::record::Fate;
use super::world::{Event, World};

/// What a rule makes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    Pass,
    Drop,
    Delay(Duration),
}

/// Something that waits for a judgement. It gets it before time goes on.
pub(crate) enum Leaving {
    /// A packet, and when the one before it on its connection arrives.
    First {
        packet: Packet,
        not_before: Duration,
    },
    /// What a rule has dropped between two ends is sent again.
    Again {
        from: ObjectId,
        to: ObjectId,
        packet: Packet,
    },
}

impl Leaving {
    pub(crate) fn packet(&self) -> &Packet {
        match self {
            Leaving::First { packet, .. } | Leaving::Again { packet, .. } => packet,
        }
    }
}

impl World {
    /// Whether there are rules, which are asked about every packet.
    pub(crate) fn set_judged(&mut self, is_judged: bool) {
        self.is_judged = is_judged;
    }

    /// The next packet that is to be judged.
    pub(crate) fn next_leaving(&mut self) -> Option<Leaving> {
        self.leaving.pop_front()
    }

    /// A packet leaves.
    pub(super) fn dispatch(&mut self, packet: Packet) {
        let not_before = match &packet.body {
            Body::Segment { from, .. } => {
                let stream = self.objects.stream(*from);
                stream.map_or(Duration::ZERO, |stream| stream.last_arrival)
            }
            _ => Duration::ZERO,
        };
        if self.is_judged {
            let leaving = Leaving::First { packet, not_before };
            return self.leaving.push_back(leaving);
        }
        self.send_off(packet, not_before, Duration::ZERO);
    }

    pub(crate) fn judge(&mut self, leaving: Leaving, judgement: Judgement) {
        match leaving {
            Leaving::First {
                mut packet,
                not_before,
            } => {
                let mut delay = Duration::ZERO;
                match judgement {
                    Judgement::Pass => {}
                    Judgement::Delay(by) => delay = by,
                    Judgement::Drop if packet.is_reliable() => packet.is_doomed = true,
                    Judgement::Drop => {
                        self.record_packet(&packet, Fate::Leaves(&[None, None]));
                        return;
                    }
                }
                self.send_off(packet, not_before, delay);
            }
            Leaving::Again { from, to, .. } => {
                self.judge_again((from, to), judgement);
                self.settle();
            }
        }
    }

    /// The packet is on its way, and arrives once, twice or never; if it belongs to a connection, not before the one before it.
    fn send_off(&mut self, packet: Packet, not_before: Duration, delay: Duration) {
        let now = self.elapsed();
        let mut arrivals = self.network.arrivals(&packet, now, &self.net);
        for arrival in arrivals.iter_mut().flatten() {
            *arrival = arrival.saturating_add(delay).max(not_before);
        }
        if self.recorder.is_some() {
            let times = arrivals.map(|arrival| arrival.map(|arrival| arrival - now));
            self.record_packet(&packet, Fate::Leaves(&times));
        }
        if let (Body::Segment { from, to, .. }, Some(arrival)) = (&packet.body, arrivals[0]) {
            self.keep_in_order((*from, *to), arrival);
        }
        let [first, second] = arrivals;
        if let Some(second) = second {
            self.plan(second, Event::Arrive(packet.clone()));
        }
        if let Some(first) = first {
            self.plan(first, Event::Arrive(packet));
        }
    }

    /// Nothing that follows on this connection arrives before this moment.
    fn keep_in_order(&mut self, ends: (ObjectId, ObjectId), arrival: Duration) {
        if let Some(stream) = self.objects.stream(ends.0) {
            stream.last_arrival = arrival.max(stream.last_arrival);
        }
        for leaving in &mut self.leaving {
            if let Leaving::First { packet, not_before } = leaving
                && let Body::Segment { from, to, .. } = &packet.body
                && (*from, *to) == ends
            {
                *not_before = arrival.max(*not_before);
            }
        }
    }

    /// What was lost between two ends is tried again, and what has come behind it.
    pub(super) fn resend(&mut self, from: ObjectId, to: ObjectId) {
        let Some(stalled) = self.stalled.get(&(from, to)) else {
            return;
        };
        let ends = (stalled.from_host, stalled.to_host);
        if self.is_lost(ends.0, ends.1) {
            return self.try_later((from, to));
        }
        loop {
            let Some(stalled) = self.stalled.get_mut(&(from, to)) else {
                return;
            };
            let Some((segment, is_doomed)) = stalled.segments.pop_front() else {
                self.stalled.remove(&(from, to));
                return;
            };
            let body = Body::Segment { from, to, segment };
            let packet = Packet::new(ends.0, ends.1, body);
            if is_doomed && self.is_judged {
                let leaving = Leaving::Again {
                    from,
                    to,
                    packet: packet.clone(),
                };
                self.put_back(packet);
                return self.leaving.push_back(leaving);
            }
            self.record_packet(&packet, Fate::Again);
            self.record_packet(&packet, Fate::Arrives);
            if let Body::Segment { segment, .. } = packet.body {
                self.deliver_segment(ends, (from, to), segment);
            }
        }
    }

    /// It is still the first that has to arrive.
    fn put_back(&mut self, packet: Packet) {
        if let Body::Segment { from, to, segment } = packet.body
            && let Some(stalled) = self.stalled.get_mut(&(from, to))
        {
            stalled.segments.push_front((segment, true));
        }
    }

    fn judge_again(&mut self, (from, to): (ObjectId, ObjectId), judgement: Judgement) {
        let pause = match judgement {
            Judgement::Drop => return self.try_later((from, to)),
            Judgement::Pass => Duration::ZERO,
            Judgement::Delay(by) => by,
        };
        let Some(stalled) = self.stalled.get_mut(&(from, to)) else {
            return;
        };
        if let Some((_, is_doomed)) = stalled.segments.front_mut() {
            *is_doomed = false;
        }
        stalled.tries = 1;
        let moment = self.elapsed() + pause;
        self.plan(moment, Event::Resend { from, to });
    }

    /// After a longer pause than the last time; or never again.
    fn try_later(&mut self, (from, to): (ObjectId, ObjectId)) {
        let Some(stalled) = self.stalled.get_mut(&(from, to)) else {
            return;
        };
        // Whoever has crashed sends nothing again.
        let is_up = self.machines[stalled.from_host].is_up;
        if stalled.tries > RESENDS_MAX || !is_up {
            self.stalled.remove(&(from, to));
            return self.break_stream(from, libc::ETIMEDOUT);
        }
        stalled.tries += 1;
        let pause = resend_pause(stalled.tries);
        let moment = self.elapsed() + pause;
        self.plan(moment, Event::Resend { from, to });
    }

    /// The first of a connection that is lost: what follows waits until it has got through.
    pub(super) fn stall(&mut self, packet: Packet) {
        let (from_host, to_host, is_doomed) = (packet.from_host, packet.to_host, packet.is_doomed);
        let Body::Segment { from, to, segment } = packet.body else {
            return;
        };
        let stalled = Stalled {
            from_host,
            to_host,
            segments: [(segment, is_doomed)].into(),
            tries: 1,
        };
        self.stalled.insert((from, to), stalled);
        let moment = self.elapsed() + resend_pause(1);
        self.plan(moment, Event::Resend { from, to });
    }
}
