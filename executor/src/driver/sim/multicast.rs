//! Groups that datagrams are sent to.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::name::SocketName;
use super::objects::{Direction, Kind, ObjectId};
use super::world::World;
use crate::driver::{OptionName, SocketOption};

/// Who has joined which group.
pub(super) type Memberships = BTreeSet<(IpAddr, ObjectId)>;

impl World {
    /// Joins or leaves, if the option is about that. Each host has one interface.
    ///
    /// # Errors
    ///
    /// EINVAL for what is no group, EADDRINUSE for one that was joined before, EADDRNOTAVAIL for one that was not.
    pub(super) fn change_membership(
        &mut self,
        id: ObjectId,
        option: SocketOption,
    ) -> Option<Result<(), i32>> {
        let (group, joins) = match option {
            SocketOption::JoinV4 { group, .. } => (IpAddr::V4(group), true),
            SocketOption::LeaveV4 { group, .. } => (IpAddr::V4(group), false),
            SocketOption::JoinV6 { group, .. } => (IpAddr::V6(group), true),
            SocketOption::LeaveV6 { group, .. } => (IpAddr::V6(group), false),
            _ => return None,
        };
        if !group.is_multicast() {
            return Some(Err(libc::EINVAL));
        }
        Some(match joins {
            true if self.memberships.insert((group, id)) => Ok(()),
            true => Err(libc::EADDRINUSE),
            false if self.memberships.remove(&(group, id)) => Ok(()),
            false => Err(libc::EADDRNOTAVAIL),
        })
    }

    /// The hosts that a datagram for a group goes to.
    pub(super) fn hosts_in_group(
        &self,
        group: IpAddr,
        sender: ObjectId,
        from: usize,
    ) -> Vec<usize> {
        let loops = self.objects.get(sender).is_none_or(|object| {
            object.is_on(match group {
                IpAddr::V4(_) => OptionName::MulticastLoopV4,
                IpAddr::V6(_) => OptionName::MulticastLoopV6,
            })
        });
        let hosts = 0..self.machines.len();
        let is_reached = |host: &usize| self.is_in_group(*host, group) && (loops || *host != from);
        hosts.filter(is_reached).collect()
    }

    fn is_in_group(&self, host: usize, group: IpAddr) -> bool {
        let mut members = self.memberships.iter().filter(|(of, _)| *of == group);
        members.any(|(_, id)| self.objects.get(*id).is_some_and(|it| it.host == host))
    }

    /// A datagram for a group has come to a host. As in Linux (`IP_MULTICAST_ALL`), one member there is enough for everybody who
    /// listens at the port and all addresses.
    pub(super) fn deliver_to_group(
        &mut self,
        host: usize,
        from: &SocketName,
        target: SocketAddr,
        bytes: &[u8],
    ) {
        if !self.is_in_group(host, target.ip()) {
            return;
        }
        let is_receiver = |bound: SocketAddr| {
            let ip = bound.ip();
            let is_of_family = ip.is_ipv4() == target.is_ipv4();
            let is_open = ip == target.ip() || (ip.is_unspecified() && is_of_family);
            bound.port() == target.port() && is_open
        };
        let mut receivers = Vec::new();
        for (id, object) in self.objects.iter_of(host) {
            let Kind::Datagrams(datagrams) = &object.kind else {
                continue;
            };
            let bound = datagrams.local.as_ref().and_then(SocketName::internet);
            let is_for_it = datagrams.remote.as_ref().is_none_or(|only| only == from);
            if bound.is_some_and(is_receiver) && is_for_it {
                receivers.push(id);
            }
        }
        for id in receivers {
            self.put_datagram(id, from.clone(), bytes.to_vec());
        }
    }

    /// A datagram for a socket, which drops it if there is no room.
    pub(super) fn put_datagram(&mut self, receiver: ObjectId, from: SocketName, bytes: Vec<u8>) {
        let buffer = self
            .objects
            .get(receiver)
            .map_or(0, |object| object.option(OptionName::ReceiveBuffer));
        if let Some(datagrams) = self.objects.datagrams(receiver)
            && datagrams.has_room(bytes.len(), buffer.max(0) as usize)
        {
            datagrams.queue.push_back((from, bytes));
            self.stirred.push_back((receiver, Direction::Receiving));
        }
    }
}
