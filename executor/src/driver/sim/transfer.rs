//! Bytes that programs send and receive.

use super::attempt::Outcome;
use super::memory::{self, Room};
use super::name::SocketName;
use super::network::{Body, Packet, Segment};
use super::objects::{Direction, Kind, ObjectId};
use super::stream::{Carrier, PIPE_ATOMIC_MAX};
use super::world::World;
use crate::driver::groups::Provided;
use crate::driver::{Address, Completion, Descriptor, OptionName};

/// Where received bytes go.
#[derive(Clone, Debug)]
pub(super) enum Sink {
    Room(Room),
    /// A message header: its pieces, and the sender's name.
    Message(Address),
    /// The next buffer of a group.
    Group {
        group: u16,
        length: u32,
        more: bool,
    },
    /// The next buffer of a group, for a message after a header and its sender's name.
    Messages {
        header: Address,
        group: u16,
    },
}

/// Where bytes that are sent come from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Room(Room),
    Message(Address),
}

impl World {
    pub(super) fn receive(
        &mut self,
        core: usize,
        fd: Descriptor,
        sink: &Sink,
        flags: i32,
    ) -> Outcome {
        let id = match self.object(core, fd) {
            Ok(id) => id,
            Err(errno) => return Outcome::of(Err(errno)),
        };
        let buffer = match *sink {
            Sink::Group { group, .. } | Sink::Messages { group, .. } => {
                match self.cores[core].groups.next(group) {
                    Some(buffer) => Some(buffer),
                    None => return Outcome::of(Err(libc::ENOBUFS)),
                }
            }
            Sink::Room(_) | Sink::Message(_) => None,
        };
        let received = match self.objects.get(id).map(|object| &object.kind) {
            Some(Kind::Stream(_)) => self.receive_from_stream(id, sink, buffer, flags),
            Some(Kind::Datagrams(_)) => self.receive_datagram(id, sink, buffer, flags),
            Some(Kind::File(_) | Kind::Signal(_)) => Some(Err(libc::ENOTSOCK)),
            Some(Kind::Listener(_)) | None => Some(Err(libc::ENOTCONN)),
        };
        let Some(received) = received else {
            return match flags & libc::MSG_DONTWAIT {
                0 => Outcome::Waits(id, Direction::Receiving),
                _ => Outcome::of(Err(libc::EAGAIN)),
            };
        };
        let mut completion = Completion::last(received.unwrap_or_else(|errno| -errno));
        if let (1.., Some(buffer)) = (completion.result, buffer) {
            let (group, more) = match *sink {
                Sink::Group { group, more, .. } => (group, more),
                Sink::Messages { group, .. } => (group, true),
                Sink::Room(_) | Sink::Message(_) => unreachable!("it has no buffer"),
            };
            self.cores[core].groups.take(group);
            completion.buffer = Some(buffer.id);
            completion.more = more;
        }
        Outcome::Completed(completion)
    }

    fn receive_from_stream(
        &mut self,
        id: ObjectId,
        sink: &Sink,
        buffer: Option<Provided>,
        flags: i32,
    ) -> Option<Result<i32, i32>> {
        let room = match (sink, buffer) {
            (Sink::Room(room), _) => room.clone(),
            (Sink::Message(header), _) => memory::message(*header).room,
            (Sink::Group { length, .. }, Some(buffer)) => {
                memory::at(buffer.address, buffer.length.min(*length))
            }
            _ => return Some(Err(libc::EINVAL)),
        };
        if room.length() == 0 {
            return Some(Ok(0));
        }
        let is_peeking = flags & libc::MSG_PEEK != 0;
        let stream = self.objects.stream(id)?;
        let there = match stream.readable()? {
            Ok(there) => there,
            Err(errno) => return Some(Err(errno)),
        };
        let count = there.min(room.length());
        let host = self.objects.get(id)?.host;
        let count = self.shortened(host, count);
        let stream = self.objects.stream(id)?;
        let (first, rest) = stream.incoming.as_slices();
        let first = &first[..count.min(first.len())];
        room.store(first);
        if first.len() < count {
            let rest = &rest[..count - first.len()];
            room.after(first.len()).store(rest);
        }
        if !is_peeking {
            stream.incoming.drain(..count);
        }
        if let Sink::Message(header) = sink {
            memory::answer_message(*header, 0, 0);
        }
        if !is_peeking && count > 0 {
            self.acknowledge(id, count);
        }
        Some(Ok(count as i32))
    }

    /// The program has read so much.
    fn acknowledge(&mut self, id: ObjectId, count: usize) {
        let Some(stream) = self.objects.stream(id) else {
            return;
        };
        let (carrier, peer) = (stream.carrier, stream.peer);
        match (carrier, peer) {
            (Carrier::Tcp, _) => self.send_segment(id, Segment::Read(count)),
            (_, Some(peer)) => {
                if let Some(stream) = self.objects.stream(peer) {
                    stream.outstanding = stream.outstanding.saturating_sub(count);
                }
                self.stirred.push_back((peer, Direction::Sending));
            }
            (_, None) => {}
        }
    }

    fn receive_datagram(
        &mut self,
        id: ObjectId,
        sink: &Sink,
        buffer: Option<Provided>,
        flags: i32,
    ) -> Option<Result<i32, i32>> {
        let datagrams = self.objects.datagrams(id)?;
        if let Some(errno) = datagrams.error.take() {
            return Some(Err(errno));
        }
        let is_peeking = flags & libc::MSG_PEEK != 0;
        let next = match is_peeking {
            true => datagrams.queue.front().cloned(),
            false => datagrams.queue.pop_front(),
        };
        let Some((sender, bytes)) = next else {
            return datagrams.is_shut_for_reading.then_some(Ok(0));
        };
        let is_unix = datagrams.is_unix;
        if is_unix && !is_peeking {
            // There is room for whoever waits with one more.
            self.stirred.push_back((id, Direction::Sending));
        }
        let stored = store_datagram(sink, buffer, &sender, &bytes);
        // With MSG_TRUNC the answer is the length of the datagram, also of what did not fit.
        let is_whole_length = flags & libc::MSG_TRUNC != 0;
        Some(stored.map(|stored| match is_whole_length {
            true => bytes.len() as i32,
            false => stored,
        }))
    }

    pub(super) fn send(
        &mut self,
        core: usize,
        fd: Descriptor,
        source: &Source,
        flags: i32,
    ) -> Outcome {
        let id = match self.object(core, fd) {
            Ok(id) => id,
            Err(errno) => return Outcome::of(Err(errno)),
        };
        let (room, target) = match source {
            Source::Room(room) => (room.clone(), None),
            Source::Message(header) => {
                let message = memory::message(*header);
                let name = memory::load(message.name.address, message.name.length);
                (message.room, (!name.is_empty()).then_some(name))
            }
        };
        let outcome = match self.objects.get(id).map(|object| &object.kind) {
            Some(Kind::Stream(_)) => self.send_on_stream(id, &room),
            Some(Kind::Datagrams(_)) => self.send_datagram(id, &room, target.as_deref()),
            Some(Kind::File(_) | Kind::Signal(_)) => Outcome::of(Err(libc::ENOTSOCK)),
            Some(Kind::Listener(_)) | None => Outcome::of(Err(libc::EPIPE)),
        };
        match outcome {
            Outcome::Waits(..) if flags & libc::MSG_DONTWAIT != 0 => Outcome::of(Err(libc::EAGAIN)),
            outcome => outcome,
        }
    }

    fn send_on_stream(&mut self, id: ObjectId, room: &Room) -> Outcome {
        let waits = Outcome::Waits(id, Direction::Sending);
        let wanted = room.length();
        let host = self.objects.get(id).map_or(0, |object| object.host);
        let Some(stream) = self.objects.stream(id) else {
            return Outcome::of(Err(libc::EBADF));
        };
        let count = match stream.writable(wanted) {
            None => return waits,
            Some(Err(errno)) => return Outcome::of(Err(errno)),
            Some(Ok(count)) => count,
        };
        let is_whole = stream.carrier == Carrier::Pipe && wanted <= PIPE_ATOMIC_MAX;
        let count = if is_whole {
            count
        } else {
            self.shortened(host, count)
        };
        let bytes = room.load(count);
        if count > 0 {
            self.carry(id, bytes);
        }
        Outcome::of(Ok(count as i32))
    }

    /// Bytes go to the other end.
    fn carry(&mut self, id: ObjectId, bytes: Vec<u8>) {
        let Some(stream) = self.objects.stream(id) else {
            return;
        };
        stream.outstanding += bytes.len();
        let (carrier, peer) = (stream.carrier, stream.peer);
        if carrier == Carrier::Tcp {
            return self.send_segment(id, Segment::Data(bytes));
        }
        let Some(peer) = peer else { return };
        if let Some(stream) = self.objects.stream(peer) {
            stream.incoming.extend(bytes);
        }
        self.stirred.push_back((peer, Direction::Receiving));
    }

    fn send_datagram(&mut self, id: ObjectId, room: &Room, target: Option<&[u8]>) -> Outcome {
        let Some(object) = self.objects.get_mut(id) else {
            return Outcome::of(Err(libc::EBADF));
        };
        let domain = object.domain;
        let may_broadcast = object.is_on(OptionName::Broadcast);
        let Some(datagrams) = self.objects.datagrams(id) else {
            return Outcome::of(Err(libc::EBADF));
        };
        let (is_unix, remote, peer) = (datagrams.is_unix, datagrams.remote.clone(), datagrams.peer);
        let target = match target.map(|bytes| SocketName::read(bytes, domain)) {
            None => remote,
            Some(Ok(name)) => Some(name),
            Some(Err(errno)) => return Outcome::of(Err(errno)),
        };
        let bytes = room.load(room.length());
        if is_unix {
            return self.send_unix_datagram(id, target, peer, bytes);
        }
        match target {
            None => Outcome::of(Err(libc::EDESTADDRREQ)),
            Some(target) => Outcome::of(self.send_udp(id, target, bytes, may_broadcast)),
        }
    }

    fn send_udp(
        &mut self,
        id: ObjectId,
        target: SocketName,
        bytes: Vec<u8>,
        may_broadcast: bool,
    ) -> Result<i32, i32> {
        if bytes.len() > super::datagrams::UDP_LENGTH_MAX {
            return Err(libc::EMSGSIZE);
        }
        let address = target.internet().ok_or(libc::EAFNOSUPPORT)?;
        let from_host = self.objects.get(id).ok_or(libc::EBADF)?.host;
        let from = self.bound_or_any(id, address.ip())?;
        let length = bytes.len() as i32;
        let is_broadcast = address.ip() == std::net::Ipv4Addr::BROADCAST;
        if is_broadcast && !may_broadcast {
            return Err(libc::EACCES);
        }
        self.check_sender(id)?;
        let receivers: Vec<usize> = match is_broadcast {
            true => (0..self.machines.len()).collect(),
            false if address.ip().is_multicast() => {
                self.hosts_in_group(address.ip(), id, from_host)
            }
            false => vec![
                self.host_of(address.ip(), from_host)
                    .ok_or(libc::ENETUNREACH)?,
            ],
        };
        for to_host in receivers {
            let body = Body::Datagram {
                sender: id,
                from: SocketName::Internet(self.seen_from(from, from_host, address.ip())),
                to: target.clone(),
                bytes: bytes.clone(),
            };
            self.dispatch(Packet::new(from_host, to_host, body));
        }
        Ok(length)
    }

    /// What a socket has to say before it sends anything.
    ///
    /// # Errors
    ///
    /// The error of something that was sent earlier; EPIPE.
    fn check_sender(&mut self, id: ObjectId) -> Result<(), i32> {
        let datagrams = self.objects.datagrams(id).ok_or(libc::EBADF)?;
        match datagrams.error.take() {
            Some(errno) => Err(errno),
            None if datagrams.is_shut_for_writing => Err(libc::EPIPE),
            None => Ok(()),
        }
    }

    fn send_unix_datagram(
        &mut self,
        id: ObjectId,
        target: Option<SocketName>,
        peer: Option<ObjectId>,
        bytes: Vec<u8>,
    ) -> Outcome {
        /// What the kernel keeps of a send buffer for itself.
        const RESERVED: usize = 32;
        let Some(object) = self.objects.get(id) else {
            return Outcome::of(Err(libc::EBADF));
        };
        let host = object.host;
        let most = object.option(OptionName::SendBuffer).max(0) as usize;
        if bytes.len() > most.saturating_sub(RESERVED) {
            return Outcome::of(Err(libc::EMSGSIZE));
        }
        if target.is_none() && peer.is_none() {
            return Outcome::of(Err(libc::ENOTCONN));
        }
        if let Err(errno) = self.check_sender(id) {
            return Outcome::of(Err(errno));
        }
        let receiver = match (&target, peer) {
            (Some(SocketName::Unix(name)), _) => self.bound_to(host, name),
            (_, Some(peer)) => Ok(peer),
            _ => Err(libc::ENOTCONN),
        };
        let receiver = match receiver {
            Ok(receiver) => receiver,
            Err(errno) => return Outcome::of(Err(errno)),
        };
        if self.objects.datagrams(receiver).is_none() && peer == Some(receiver) {
            self.part_from(id, None);
            if let Some(datagrams) = self.objects.datagrams(id) {
                datagrams.remote = None;
            }
            return Outcome::of(Err(libc::ECONNREFUSED));
        }
        if let Err(errno) = self.may_send(id, receiver) {
            return Outcome::of(Err(errno));
        }
        let sender = self.objects.datagrams(id).and_then(|it| it.local.clone());
        let sender = sender.unwrap_or(SocketName::Unnamed);
        let Some(datagrams) = self.objects.datagrams(receiver) else {
            return Outcome::of(Err(libc::ECONNREFUSED));
        };
        if datagrams.is_shut_for_reading {
            return Outcome::of(Err(libc::EPIPE));
        }
        if !datagrams.has_room(bytes.len(), usize::MAX) {
            return Outcome::Waits(receiver, Direction::Sending);
        }
        let length = bytes.len() as i32;
        datagrams.queue.push_back((sender, bytes));
        self.stirred.push_back((receiver, Direction::Receiving));
        Outcome::of(Ok(length))
    }
}

/// Puts a datagram where it is wanted, and answers how much of the memory is filled.
fn store_datagram(
    sink: &Sink,
    buffer: Option<Provided>,
    sender: &SocketName,
    bytes: &[u8],
) -> Result<i32, i32> {
    let name = sender.to_raw();
    match (sink, buffer) {
        (Sink::Room(room), _) => Ok(room.store(bytes) as i32),
        (Sink::Message(header), _) => {
            let message = memory::message(*header);
            let stored = message.room.store(bytes);
            let length = name.length() as usize;
            let shown = length.min(message.name.length);
            memory::store(message.name.address, &name.as_bytes()[..shown]);
            let flags = if stored < bytes.len() {
                libc::MSG_TRUNC
            } else {
                0
            };
            memory::answer_message(*header, length, flags);
            Ok(stored as i32)
        }
        (Sink::Group { length, .. }, Some(buffer)) => {
            let room = memory::at(buffer.address, buffer.length.min(*length));
            Ok(room.store(bytes) as i32)
        }
        (Sink::Messages { header, .. }, Some(buffer)) => {
            store_after_header(*header, buffer, name.as_bytes(), bytes)
        }
        (Sink::Group { .. } | Sink::Messages { .. }, None) => Err(libc::ENOBUFS),
    }
}

/// As `io_uring_prep_recvmsg_multishot(3)` lays it out: four numbers, room for the sender's name and for control messages as
/// long as `header` says, then the message.
fn store_after_header(
    header: Address,
    buffer: Provided,
    name: &[u8],
    bytes: &[u8],
) -> Result<i32, i32> {
    const LENGTHS: usize = 4 * size_of::<u32>();
    let message = memory::message(header);
    let payload = LENGTHS + message.name.length + message.control_length;
    let room = (buffer.length as usize)
        .checked_sub(payload)
        .ok_or(libc::EFAULT)?;
    let at = |offset: usize| Address(buffer.address.0 + offset);
    let stored = bytes.len().min(room);
    let flags = if stored < bytes.len() {
        libc::MSG_TRUNC
    } else {
        0
    };
    let lengths = [name.len() as u32, 0, stored as u32, flags.cast_unsigned()];
    let lengths: Vec<u8> = lengths
        .iter()
        .flat_map(|number| number.to_ne_bytes())
        .collect();
    memory::store(at(0), &lengths);
    memory::store(at(LENGTHS), &name[..name.len().min(message.name.length)]);
    memory::store(at(payload), &bytes[..stored]);
    Ok((payload + stored) as i32)
}
