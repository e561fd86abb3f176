//! Names of sockets: who has which, and who is reached by one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::inode::Content;
use super::memory;
use super::name::{self, SocketName};
use super::objects::{Kind, Object, ObjectId};
use super::world::{FIRST_PORT, World};
use crate::driver::{Address, Descriptor, OptionName};

/// The last port that sockets get which want any, as Linux has it.
const LAST_PORT: u16 = 60_999;

impl World {
    pub(super) fn host_of(&self, address: IpAddr, from: usize) -> Option<usize> {
        name::host_of(address, from, self.machines.len())
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
                let key = self.new_unix_key(host, &path)?;
                if self.unix_names.contains_key(&key) {
                    return Err(libc::EADDRINUSE);
                }
                self.unix_names.insert(key, id);
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

    pub(super) fn is_free(&self, id: ObjectId, host: usize, address: SocketAddr) -> bool {
        let Some(own) = self.objects.get(id) else {
            return false;
        };
        let is_datagrams = matches!(own.kind, Kind::Datagrams(_));
        let conflicts = |(other, object): (ObjectId, &Object)| -> bool {
            // The end of a connection takes nobody's place: it is known by both of its names.
            let is_connection =
                matches!(&object.kind, Kind::Stream(stream) if stream.remote.is_some());
            let is_same_kind = matches!(object.kind, Kind::Datagrams(_)) == is_datagrams;
            if other == id || is_connection || !is_same_kind {
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
            overlaps && !shares
        };
        !self.objects.iter_of(host).any(conflicts)
    }

    pub(super) fn local_name(&self, id: ObjectId) -> Option<SocketName> {
        match &self.objects.get(id)?.kind {
            Kind::Stream(stream) => stream.local.clone(),
            Kind::Listener(listener) => Some(listener.local.clone()),
            Kind::Datagrams(datagrams) => datagrams.local.clone(),
            Kind::File(_) | Kind::Signal(_) => None,
        }
    }

    pub(super) fn set_local_name(&mut self, id: ObjectId, name: SocketName) {
        match self.objects.get_mut(id).map(|object| &mut object.kind) {
            Some(Kind::Stream(stream)) => stream.local = Some(name),
            Some(Kind::Datagrams(datagrams)) => datagrams.local = Some(name),
            Some(Kind::Listener(_) | Kind::File(_) | Kind::Signal(_)) | None => {}
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
        let key = self.unix_key(host, name)?;
        let bound = self.unix_names.get(&key);
        bound.copied().ok_or(libc::ECONNREFUSED)
    }

    /// By what the socket of a name is known: an abstract name, or the number of what is on the disk under a path.
    fn unix_key(&self, host: usize, name: &[u8]) -> Result<(usize, Vec<u8>), i32> {
        if name.first() == Some(&0) {
            return Ok((host, name.to_vec()));
        }
        let disk = &self.machines[host].disk;
        let inode = disk.find(name, true)?.inode.ok_or(libc::ENOENT)?;
        match disk.inode(inode)?.content {
            Content::Socket => Ok((host, inode.0.to_be_bytes().to_vec())),
            _ => Err(libc::ECONNREFUSED),
        }
    }

    /// As the above, of a name that nobody has.
    fn new_unix_key(&mut self, host: usize, name: &[u8]) -> Result<(usize, Vec<u8>), i32> {
        if name.first() == Some(&0) {
            return self.unix_key(host, name);
        }
        let now = self.elapsed();
        let disk = &mut self.machines[host].disk;
        let found = disk.find_name(name)?;
        if found.inode.is_some() {
            return Err(libc::EADDRINUSE);
        }
        disk.create(&found, Content::Socket, 0o755, now)?;
        self.unix_key(host, name)
    }

    /// The listener that is reached by this address; among several that share it one is drawn.
    pub(super) fn listener_at(&mut self, host: usize, target: &SocketName) -> Option<ObjectId> {
        let target = target.internet()?;
        let is_it = |(id, object): (ObjectId, &Object)| {
            let Kind::Listener(listener) = &object.kind else {
                return None;
            };
            let bound = listener.local.internet()?;
            let only_v6 = object.is_on(OptionName::OnlyV6);
            let is_reached = name::is_reached(bound, target, only_v6);
            (is_reached && !listener.is_shut).then_some(id)
        };
        let found: Vec<ObjectId> = self.objects.iter_of(host).filter_map(is_it).collect();
        self.one_of(&found)
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
        for (id, object) in self.objects.iter_of(host) {
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
        self.one_of(&open)
    }

    /// One of several that share an address. Nothing is drawn where there is no choice, so that a packet more or less changes nothing for
    /// those that follow.
    fn one_of(&self, found: &[ObjectId]) -> Option<ObjectId> {
        let chosen = match found.len() {
            0 | 1 => 0,
            several => self.net.below(several as u32),
        };
        found.get(chosen as usize).copied()
    }
}
