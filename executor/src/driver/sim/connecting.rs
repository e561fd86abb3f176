//! Calls by which two sides find each other.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::attempt::Outcome;
use super::listener::Listener;
use super::memory;
use super::name::SocketName;
use super::objects::{Direction, Kind, ObjectId};
use super::progress::Begun;
use super::stream::{Carrier, Stage};
use super::world::World;
use crate::driver::{Address, Completion, Descriptor, OptionName};

impl World {
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
            datagrams.remote = None;
            self.part_from(id, None);
            return Outcome::of(Ok(0));
        }
        let target = match SocketName::read(&bytes, domain) {
            Ok(name) => name,
            Err(errno) => return Outcome::of(Err(errno)),
        };
        match self.objects.get(id).map(|object| &object.kind) {
            Some(Kind::Datagrams(_)) => Outcome::of(self.connect_datagrams(id, target)),
            Some(Kind::Stream(_)) => self.connect_stream(begun, id, target),
            Some(Kind::File(_) | Kind::Signal(_)) => Outcome::of(Err(libc::ENOTSOCK)),
            Some(Kind::Listener(_)) | None => Outcome::of(Err(libc::EISCONN)),
        }
    }

    fn connect_datagrams(&mut self, id: ObjectId, target: SocketName) -> Result<i32, i32> {
        let object = self.objects.get(id).ok_or(libc::EBADF)?;
        let (host, may_broadcast) = (object.host, object.is_on(OptionName::Broadcast));
        let peer = match &target {
            SocketName::Unix(name) => {
                let peer = self.bound_to(host, name)?;
                self.objects.datagrams(peer).ok_or(libc::EPROTOTYPE)?;
                self.may_send(id, peer)?;
                self.part_from(id, Some(peer));
                Some(peer)
            }
            SocketName::Internet(address) => {
                let is_broadcast = address.ip() == Ipv4Addr::BROADCAST;
                if is_broadcast && !may_broadcast {
                    return Err(libc::EACCES);
                }
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

    /// Who is connected with somebody takes Unix datagrams of nobody else.
    ///
    /// # Errors
    ///
    /// EPERM.
    pub(super) fn may_send(&mut self, sender: ObjectId, receiver: ObjectId) -> Result<(), i32> {
        let datagrams = self.objects.datagrams(receiver);
        match datagrams.and_then(|datagrams| datagrams.peer) {
            Some(only) if only != sender => Err(libc::EPERM),
            _ => Ok(()),
        }
    }

    /// A socket for Unix datagrams has another peer from now on. What the old one has sent is lost, and that is told to it.
    pub(super) fn part_from(&mut self, id: ObjectId, next: Option<ObjectId>) {
        let Some(datagrams) = self.objects.datagrams(id) else {
            return;
        };
        let Some(before) = std::mem::replace(&mut datagrams.peer, next) else {
            return;
        };
        if next == Some(before) || datagrams.queue.is_empty() {
            return;
        }
        datagrams.queue.clear();
        if let Some(other) = self.objects.datagrams(before)
            && other.peer == Some(id)
        {
            other.error = Some(libc::ECONNRESET);
            self.stir(before);
        }
        self.stir(id);
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
        if self.objects.datagrams(listener).is_some() {
            return Outcome::of(Err(libc::EPROTOTYPE));
        }
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
}
