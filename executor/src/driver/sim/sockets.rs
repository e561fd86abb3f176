//! Calls that make, name, connect and close.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::attempt::Outcome;
use super::datagrams::Datagrams;
use super::listener::Listener;
use super::memory;
use super::name::{self, SocketName};
use super::network::Segment;
use super::objects::{Direction, Kind, ObjectId};
use super::stream::{Carrier, Stage, Stream};
use super::world::{Begun, FIRST_PORT, World};
use crate::driver::{Address, Completion, Descriptor, OptionName};

/// The last port that sockets get which want any, as Linux has it.
const LAST_PORT: u16 = 60_999;

impl World {
    fn host(&self, core: usize) -> usize {
        self.cores[core].host
    }

    pub(super) fn host_of(&self, address: IpAddr, from: usize) -> Option<usize> {
        name::host_of(address, from, self.machines.len())
    }

    pub(super) fn make_socket(&mut self, core: usize, domain: i32, kind: i32) -> Result<i32, i32> {
        let id = self.add_socket(self.host(core), domain, kind)?;
        Ok(self.objects.name(id))
    }

    fn add_socket(&mut self, host: usize, domain: i32, kind: i32) -> Result<ObjectId, i32> {
        let is_unix = domain == libc::AF_UNIX;
        if !is_unix && ![libc::AF_INET, libc::AF_INET6].contains(&domain) {
            return Err(libc::EAFNOSUPPORT);
        }
        let kind = match kind & !(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK) {
            libc::SOCK_STREAM => {
                let carrier = if is_unix { Carrier::Unix } else { Carrier::Tcp };
                Kind::Stream(Box::new(Stream::new(carrier, Stage::Fresh)))
            }
            libc::SOCK_DGRAM => Kind::Datagrams(Box::new(Datagrams::new(is_unix))),
            _ => return Err(libc::EPROTONOSUPPORT),
        };
        Ok(self.objects.add(host, domain, kind))
    }

    /// Two sockets that are connected to each other.
    pub(super) fn make_pair(
        &mut self,
        core: usize,
        domain: i32,
        kind: i32,
    ) -> Result<[Descriptor; 2], i32> {
        if domain != libc::AF_UNIX {
            return Err(libc::EOPNOTSUPP);
        }
        let host = self.host(core);
        let ends = [
            self.add_socket(host, domain, kind)?,
            self.add_socket(host, domain, kind)?,
        ];
        for (end, other) in [(ends[0], ends[1]), (ends[1], ends[0])] {
            match self.objects.get_mut(end).map(|object| &mut object.kind) {
                Some(Kind::Stream(stream)) => {
                    stream.stage = Stage::Connected;
                    stream.peer = Some(other);
                }
                Some(Kind::Datagrams(datagrams)) => datagrams.peer = Some(other),
                _ => {}
            }
        }
        Ok(ends.map(|end| self.objects.name(end)))
    }

    pub(super) fn make_pipe(&mut self, core: usize, descriptors: Address) -> Result<i32, i32> {
        let host = self.host(core);
        let mut end = || {
            let stream = Stream::new(Carrier::Pipe, Stage::Connected);
            self.objects.add(host, 0, Kind::Stream(Box::new(stream)))
        };
        let (reader, writer) = (end(), end());
        if let Some(stream) = self.objects.stream(reader) {
            stream.peer = Some(writer);
            stream.is_shut_for_writing = true;
        }
        if let Some(stream) = self.objects.stream(writer) {
            stream.peer = Some(reader);
            stream.is_shut_for_reading = true;
        }
        let ends = [self.objects.name(reader), self.objects.name(writer)];
        memory::store_descriptors(descriptors, ends);
        Ok(0)
    }

    pub(super) fn bind(
        &mut self,
        core: usize,
        fd: Descriptor,
        address: Address,
        length: u32,
    ) -> Result<i32, i32> {
        let id = self.object(core, fd)?;
        let domain = self.objects.get(id).ok_or(libc::EBADF)?.domain;
        let name = SocketName::read(&memory::load(address, length as usize), domain)?;
        if self.local_name(id).is_some() {
            return Err(libc::EINVAL);
        }
        let host = self.host(core);
        let name = match name {
            SocketName::Internet(address) => {
                SocketName::Internet(self.free_address(id, host, address)?)
            }
            SocketName::Unix(path) => {
                let key = (host, path.clone());
                if self.unix_names.contains_key(&key) {
                    return Err(libc::EADDRINUSE);
                }
                self.unix_names.insert(key, Some(id));
                SocketName::Unix(path)
            }
            SocketName::Unnamed => return Err(libc::EINVAL),
        };
        self.set_local_name(id, name);
        Ok(0)
    }

    /// The address, with a port if it has none, if nobody has it who does not share it.
    fn free_address(
        &mut self,
        id: ObjectId,
        host: usize,
        address: SocketAddr,
    ) -> Result<SocketAddr, i32> {
        let ip = address.ip();
        let is_here = ip.is_unspecified() || self.host_of(ip, host) == Some(host);
        if !is_here {
            return Err(libc::EADDRNOTAVAIL);
        }
        if address.port() != 0 {
            return match self.is_free(id, host, address) {
                true => Ok(address),
                false => Err(libc::EADDRINUSE),
            };
        }
        for _ in FIRST_PORT..=LAST_PORT {
            let machine = &mut self.machines[host];
            let port = machine.next_port;
            machine.next_port = if port == LAST_PORT {
                FIRST_PORT
            } else {
                port + 1
            };
            let address = SocketAddr::new(ip, port);
            if self.is_free(id, host, address) {
                return Ok(address);
            }
        }
        Err(libc::EADDRINUSE)
    }

    fn is_free(&self, id: ObjectId, host: usize, address: SocketAddr) -> bool {
        let Some(own) = self.objects.get(id) else {
            return false;
        };
        let is_datagrams = matches!(own.kind, Kind::Datagrams(_));
        let conflicts = |other: ObjectId| -> bool {
            let Some(object) = self.objects.get(other).filter(|_| other != id) else {
                return false;
            };
            if object.host != host || matches!(object.kind, Kind::Datagrams(_)) != is_datagrams {
                return false;
            }
            let Some(bound) = self.local_name(other).and_then(|name| name.internet()) else {
                return false;
            };
            let overlaps =
                name::is_reached(bound, address, false) || name::is_reached(address, bound, false);
            let both = |option| own.is_on(option) && object.is_on(option);
            let shares = both(OptionName::ReusePort)
                || both(OptionName::ReuseAddress)
                    && (is_datagrams || !matches!(object.kind, Kind::Listener(_)));
            // The end of a connection takes nobody's place: it is known by both of its names.
            let is_connection =
                matches!(&object.kind, Kind::Stream(stream) if stream.remote.is_some());
            overlaps && !shares && !is_connection
        };
        !self.objects.iter().any(|(other, _)| conflicts(other))
    }

    pub(super) fn local_name(&self, id: ObjectId) -> Option<SocketName> {
        match &self.objects.get(id)?.kind {
            Kind::Stream(stream) => stream.local.clone(),
            Kind::Listener(listener) => Some(listener.local.clone()),
            Kind::Datagrams(datagrams) => datagrams.local.clone(),
            Kind::File(_) => None,
        }
    }

    fn set_local_name(&mut self, id: ObjectId, name: SocketName) {
        match self.objects.get_mut(id).map(|object| &mut object.kind) {
            Some(Kind::Stream(stream)) => stream.local = Some(name),
            Some(Kind::Datagrams(datagrams)) => datagrams.local = Some(name),
            Some(Kind::Listener(_) | Kind::File(_)) | None => {}
        }
    }

    /// The address that a socket is bound to; now, if it was not.
    ///
    /// # Errors
    ///
    /// EADDRINUSE if no port is left.
    pub(super) fn bound_or_any(&mut self, id: ObjectId, like: IpAddr) -> Result<SocketAddr, i32> {
        if let Some(address) = self.local_name(id).and_then(|name| name.internet()) {
            return Ok(address);
        }
        let any = match like {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let host = self.objects.get(id).ok_or(libc::EBADF)?.host;
        let address = self.free_address(id, host, SocketAddr::new(any, 0))?;
        self.set_local_name(id, SocketName::Internet(address));
        Ok(address)
    }

    /// The address that the other side sees of a socket that is bound to all.
    pub(super) fn seen_from(&self, bound: SocketAddr, host: usize, target: IpAddr) -> SocketAddr {
        if !bound.ip().is_unspecified() {
            return bound;
        }
        let ip = match target {
            _ if target.is_loopback() || target.is_unspecified() => match target {
                IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
                IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
            },
            IpAddr::V4(_) => name::addresses(host)[0],
            IpAddr::V6(_) => name::addresses(host)[1],
        };
        SocketAddr::new(ip, bound.port())
    }

    /// Who has bound a name of a Unix socket.
    ///
    /// # Errors
    ///
    /// ENOENT or ECONNREFUSED.
    pub(super) fn bound_to(&self, host: usize, name: &[u8]) -> Result<ObjectId, i32> {
        match self.unix_names.get(&(host, name.to_vec())) {
            Some(Some(id)) => Ok(*id),
            Some(None) => Err(libc::ECONNREFUSED),
            None if name.first() == Some(&0) => Err(libc::ECONNREFUSED),
            None => Err(libc::ENOENT),
        }
    }

    pub(super) fn listen(&mut self, core: usize, fd: Descriptor, backlog: i32) -> Result<i32, i32> {
        let id = self.object(core, fd)?;
        let host = self.host(core);
        let backlog = backlog.clamp(0, 4096) as usize;
        if let Some(listener) = self.objects.listener(id) {
            listener.backlog = backlog;
            return Ok(0);
        }
        let stream = self.objects.stream(id).ok_or(libc::EOPNOTSUPP)?;
        if stream.stage != Stage::Fresh || stream.carrier == Carrier::Pipe {
            return Err(libc::EINVAL);
        }
        let carrier = stream.carrier;
        let local = match (stream.local.clone(), carrier) {
            (Some(local), _) => local,
            (None, Carrier::Tcp) => {
                let like = match self.objects.get(id).map(|object| object.domain) {
                    Some(libc::AF_INET6) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
                    _ => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                };
                SocketName::Internet(self.bound_or_any(id, like)?)
            }
            (None, _) => return Err(libc::EINVAL),
        };
        if let Some(address) = local.internet()
            && !self.is_free(id, host, address)
        {
            return Err(libc::EADDRINUSE);
        }
        if let Some(object) = self.objects.get_mut(id) {
            object.kind = Kind::Listener(Box::new(Listener {
                local,
                backlog,
                waiting: Default::default(),
                is_shut: false,
            }));
        }
        Ok(0)
    }

    /// The listener that is reached by this address; among several that share it one is drawn.
    pub(super) fn listener_at(&mut self, host: usize, target: &SocketName) -> Option<ObjectId> {
        let target = target.internet()?;
        let is_it = |(id, object): (ObjectId, &super::objects::Object)| {
            let Kind::Listener(listener) = &object.kind else {
                return None;
            };
            let bound = listener.local.internet()?;
            let only_v6 = object.is_on(OptionName::OnlyV6);
            let is_reached = name::is_reached(bound, target, only_v6);
            (object.host == host && is_reached && !listener.is_shut).then_some(id)
        };
        let found: Vec<ObjectId> = self.objects.iter().filter_map(is_it).collect();
        let chosen = self.net.below(found.len().max(1) as u32);
        found.get(chosen as usize).copied()
    }

    /// The datagram socket that is reached by this address; one that is connected to the sender before others.
    pub(super) fn datagrams_at(
        &mut self,
        host: usize,
        target: &SocketName,
        sender: &SocketName,
    ) -> Option<ObjectId> {
        let target = target.internet()?;
        let mut open = Vec::new();
        for (id, object) in self
            .objects
            .iter()
            .filter(|(_, object)| object.host == host)
        {
            let Kind::Datagrams(datagrams) = &object.kind else {
                continue;
            };
            let only_v6 = object.is_on(OptionName::OnlyV6);
            let bound = datagrams.local.as_ref().and_then(SocketName::internet);
            let is_broadcast = target.ip() == Ipv4Addr::BROADCAST;
            let is_reached = bound.is_some_and(|bound| match is_broadcast {
                true => bound.port() == target.port(),
                false => name::is_reached(bound, target, only_v6),
            });
            match (&datagrams.remote, is_reached) {
                (_, false) => {}
                (Some(remote), true) if remote == sender => return Some(id),
                (Some(_), true) => {}
                (None, true) => open.push(id),
            }
        }
        let chosen = self.net.below(open.len().max(1) as u32);
        open.get(chosen as usize).copied()
    }

    pub(super) fn connect(
        &mut self,
        begun: &mut Begun,
        fd: Descriptor,
        address: Address,
        length: u32,
    ) -> Outcome {
        let core = begun.core;
        let result = self.object(core, fd).and_then(|id| {
            let domain = self.objects.get(id).ok_or(libc::EBADF)?.domain;
            Ok((id, domain))
        });
        let (id, domain) = match result {
            Ok(found) => found,
            Err(errno) => return Outcome::of(Err(errno)),
        };
        let bytes = memory::load(address, length as usize);
        if let Some(datagrams) = self.objects.datagrams(id)
            && bytes.get(..2) == Some(&(libc::AF_UNSPEC as u16).to_ne_bytes()[..])
        {
            (datagrams.remote, datagrams.peer) = (None, None);
            return Outcome::of(Ok(0));
        }
        let target = match SocketName::read(&bytes, domain) {
            Ok(name) => name,
            Err(errno) => return Outcome::of(Err(errno)),
        };
        match self.objects.get(id).map(|object| &object.kind) {
            Some(Kind::Datagrams(_)) => Outcome::of(self.connect_datagrams(id, target)),
            Some(Kind::Stream(_)) => self.connect_stream(begun, id, target),
            Some(Kind::File(_)) => Outcome::of(Err(libc::ENOTSOCK)),
            Some(Kind::Listener(_)) | None => Outcome::of(Err(libc::EISCONN)),
        }
    }

    fn connect_datagrams(&mut self, id: ObjectId, target: SocketName) -> Result<i32, i32> {
        let host = self.objects.get(id).ok_or(libc::EBADF)?.host;
        let peer = match &target {
            SocketName::Unix(name) => {
                let peer = self.bound_to(host, name)?;
                self.objects.datagrams(peer).ok_or(libc::EPROTOTYPE)?;
                Some(peer)
            }
            SocketName::Internet(address) => {
                self.host_of(address.ip(), host).ok_or(libc::ENETUNREACH)?;
                let bound = self.bound_or_any(id, address.ip())?;
                let seen = self.seen_from(bound, host, address.ip());
                self.set_local_name(id, SocketName::Internet(seen));
                None
            }
            SocketName::Unnamed => return Err(libc::EINVAL),
        };
        let datagrams = self.objects.datagrams(id).ok_or(libc::EBADF)?;
        datagrams.remote = Some(target);
        datagrams.peer = peer;
        Ok(0)
    }

    fn connect_stream(&mut self, begun: &mut Begun, id: ObjectId, target: SocketName) -> Outcome {
        let Some(stream) = self.objects.stream(id) else {
            return Outcome::of(Err(libc::EBADF));
        };
        match (stream.stage, begun.is_under_way) {
            (Stage::Connecting { .. }, true) => Outcome::Waits(id, Direction::Sending),
            (Stage::Connecting { .. }, false) => Outcome::of(Err(libc::EALREADY)),
            (Stage::Connected, true) => Outcome::of(Ok(0)),
            (Stage::Connected, false) => Outcome::of(Err(libc::EISCONN)),
            (Stage::Dead, _) => {
                let errno = stream.error.take().unwrap_or(libc::ECONNREFUSED);
                Outcome::of(Err(errno))
            }
            (Stage::Fresh, _) => match stream.carrier {
                Carrier::Tcp => {
                    begun.is_under_way = true;
                    match self.begin_connection(id, target) {
                        Ok(()) => Outcome::Waits(id, Direction::Sending),
                        Err(errno) => Outcome::of(Err(errno)),
                    }
                }
                Carrier::Unix => self.connect_unix(id, target),
                Carrier::Pipe => Outcome::of(Err(libc::ENOTSOCK)),
            },
        }
    }

    fn begin_connection(&mut self, id: ObjectId, target: SocketName) -> Result<(), i32> {
        let mut address = target.internet().ok_or(libc::EAFNOSUPPORT)?;
        let host = self.objects.get(id).ok_or(libc::EBADF)?.host;
        match address.ip() {
            IpAddr::V4(any) if any.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(any) if any.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        self.host_of(address.ip(), host).ok_or(libc::ENETUNREACH)?;
        let bound = self.bound_or_any(id, address.ip())?;
        let local = self.seen_from(bound, host, address.ip());
        let stream = self.objects.stream(id).ok_or(libc::EBADF)?;
        stream.local = Some(SocketName::Internet(local));
        stream.remote = Some(SocketName::Internet(address));
        self.ask_for_connection(id, 1);
        Ok(())
    }

    fn connect_unix(&mut self, id: ObjectId, target: SocketName) -> Outcome {
        let Some(host) = self.objects.get(id).map(|object| object.host) else {
            return Outcome::of(Err(libc::EBADF));
        };
        let SocketName::Unix(name) = &target else {
            return Outcome::of(Err(libc::EINVAL));
        };
        let listener = match self.bound_to(host, name) {
            Ok(listener) => listener,
            Err(errno) => return Outcome::of(Err(errno)),
        };
        match self.objects.listener(listener) {
            None => return Outcome::of(Err(libc::ECONNREFUSED)),
            Some(found) if found.is_shut => return Outcome::of(Err(libc::ECONNREFUSED)),
            // There is room when somebody is accepted.
            Some(found) if found.is_full() => {
                return Outcome::Waits(listener, Direction::Sending);
            }
            Some(_) => {}
        }
        let server = self.add_server_end(host, listener, Carrier::Unix, id);
        let local = self.local_name(id);
        if let Some(stream) = self.objects.stream(server) {
            stream.local = Some(target.clone());
            stream.remote = local;
        }
        if let Some(stream) = self.objects.stream(id) {
            stream.stage = Stage::Connected;
            stream.peer = Some(server);
            stream.remote = Some(target);
        }
        self.stir(id);
        Outcome::of(Ok(0))
    }

    /// `name`: where the peer's address is to go, and how long it may be; `None` if the operation goes on.
    pub(super) fn accept(
        &mut self,
        core: usize,
        fd: Descriptor,
        name: Option<(Address, Address)>,
    ) -> Outcome {
        let id = match self.object(core, fd) {
            Ok(id) => id,
            Err(errno) => return Outcome::of(Err(errno)),
        };
        let Some(listener) = self
            .objects
            .listener(id)
            .filter(|listener| !listener.is_shut)
        else {
            return Outcome::of(Err(libc::EINVAL));
        };
        let Some(server) = listener.waiting.pop_front() else {
            return Outcome::Waits(id, Direction::Receiving);
        };
        self.stirred.push_back((id, Direction::Sending));
        let remote = self
            .objects
            .stream(server)
            .and_then(|stream| stream.remote.clone());
        if let Some((address, length)) = name
            && address.0 != 0
        {
            let raw = remote.unwrap_or(SocketName::Unnamed).to_raw();
            let room = memory::load_length(length).min(raw.length() as usize);
            memory::store(address, &raw.as_bytes()[..room]);
            memory::store_length(length, raw.length() as usize);
        }
        let number = self.objects.name(server);
        Outcome::Completed(Completion {
            more: name.is_none(),
            ..Completion::last(number)
        })
    }

    pub(super) fn shut_down(&mut self, core: usize, fd: Descriptor, how: i32) -> Result<i32, i32> {
        let id = self.object(core, fd)?;
        let reading = how == libc::SHUT_RD || how == libc::SHUT_RDWR;
        let writing = how == libc::SHUT_WR || how == libc::SHUT_RDWR;
        let result = match self.objects.get_mut(id).map(|object| &mut object.kind) {
            Some(Kind::Listener(listener)) => {
                listener.is_shut |= reading;
                Ok(0)
            }
            Some(Kind::Datagrams(datagrams)) => {
                datagrams.is_shut_for_reading |= reading;
                datagrams.is_shut_for_writing |= writing;
                let is_connected = datagrams.remote.is_some() || datagrams.is_unix;
                is_connected.then_some(0).ok_or(libc::ENOTCONN)
            }
            Some(Kind::Stream(stream)) if stream.carrier == Carrier::Pipe => Err(libc::ENOTSOCK),
            Some(Kind::Stream(stream)) if stream.stage == Stage::Connected => {
                self.shut_down_stream(id, reading, writing);
                Ok(0)
            }
            Some(Kind::Stream(_)) => Err(libc::ENOTCONN),
            Some(Kind::File(_)) => Err(libc::ENOTSOCK),
            None => Err(libc::EBADF),
        };
        self.stir(id);
        result
    }

    fn shut_down_stream(&mut self, id: ObjectId, reading: bool, writing: bool) {
        let Some(stream) = self.objects.stream(id) else {
            return;
        };
        stream.is_shut_for_reading |= reading;
        let ends_now = writing && !stream.is_shut_for_writing;
        stream.is_shut_for_writing |= writing;
        let (carrier, peer) = (stream.carrier, stream.peer);
        if carrier == Carrier::Tcp {
            if ends_now {
                self.send_segment(id, Segment::End);
            }
            return;
        }
        let Some(peer) = peer else { return };
        if let Some(stream) = self.objects.stream(peer) {
            stream.has_ended |= writing;
            stream.is_shut_for_writing |= reading;
        }
        self.stir(peer);
    }

    pub(super) fn close(&mut self, core: usize, fd: Descriptor) -> Result<i32, i32> {
        self.object(core, fd)?;
        if let Some(id) = self.objects.forget(fd) {
            self.close_object(id);
        }
        Ok(0)
    }

    /// As [`close`](World::close), where nobody waits for the result.
    pub(super) fn close_unheard(&mut self, core: usize, fd: Descriptor) {
        if !self.is_dead(core) {
            let _ = self.close(core, fd);
            self.settle();
        }
    }

    /// Nobody has it open any more.
    pub(super) fn close_object(&mut self, id: ObjectId) {
        match self.objects.get(id).map(|object| &object.kind) {
            Some(Kind::Stream(_)) => self.close_stream(id),
            Some(Kind::File(_)) => self.unlock(id),
            Some(Kind::Datagrams(_) | Kind::Listener(_)) | None => {}
        }
        for bound in self.unix_names.values_mut() {
            if *bound == Some(id) {
                *bound = None;
            }
        }
        // Abstract names live as long as their sockets.
        self.unix_names
            .retain(|(_, name), bound| bound.is_some() || name.first() != Some(&0));
        let Some(object) = self.objects.remove(id) else {
            return;
        };
        for begun in object.receiving.into_iter().chain(object.sending) {
            // Who waits for room here asks again, and learns that it is gone.
            self.begin(begun.core, begun.key, begun.operation);
        }
        if let Kind::Listener(listener) = object.kind {
            self.reset_waiting(*listener);
        }
    }

    fn close_stream(&mut self, id: ObjectId) {
        let is_abrupt = self
            .objects
            .get(id)
            .is_some_and(|object| object.resets_when_closed);
        let Some(stream) = self.objects.stream(id) else {
            return;
        };
        let has_unread = !stream.incoming.is_empty();
        let was_ended = stream.is_shut_for_writing;
        let (carrier, stage, peer) = (stream.carrier, stream.stage, stream.peer);
        if stage != Stage::Connected {
            return;
        }
        match carrier {
            Carrier::Tcp if has_unread || is_abrupt => self.send_segment(id, Segment::Reset),
            Carrier::Tcp if was_ended => {}
            Carrier::Tcp => self.send_segment(id, Segment::End),
            Carrier::Unix | Carrier::Pipe => {
                let Some(peer) = peer else { return };
                if let Some(stream) = self.objects.stream(peer) {
                    stream.has_ended = true;
                    stream.is_shut_for_writing = true;
                    stream.peer = None;
                    if has_unread && carrier == Carrier::Unix {
                        stream.error = Some(libc::ECONNRESET);
                    }
                }
                self.stir(peer);
            }
        }
    }
}
