//! [`Control`]: what is asked of the outside and answered at once.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::Descriptor;
use crate::sys;

pub(crate) use crate::sys::{Name, Status};

/// A request that never waits, so it needs neither key nor completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    /// Answered by [`Answer::Done`].
    SetOption {
        fd: Descriptor,
        option: SocketOption,
    },
    /// Answered by [`Answer::Option`] of the same kind.
    GetOption {
        fd: Descriptor,
        option: OptionName,
    },
    /// Answered by [`Answer::Number`]: the pending `SO_ERROR`, 0 if there is none. Reading clears it.
    TakeError {
        fd: Descriptor,
    },
    /// Answered by [`Answer::Name`].
    SocketName {
        fd: Descriptor,
    },
    /// Answered by [`Answer::Name`].
    PeerName {
        fd: Descriptor,
    },
    /// Answered by [`Answer::Pair`]: two connected sockets.
    SocketPair {
        domain: i32,
        kind: i32,
        protocol: i32,
    },
    /// Answered by [`Answer::Offset`]: where the file's own cursor is, or `ESPIPE` if it can have none.
    Position {
        fd: Descriptor,
    },
    /// Moves the file's own cursor. Answered by [`Answer::Offset`].
    SetPosition {
        fd: Descriptor,
        offset: u64,
    },
    /// Answered by [`Answer::Number`]: the `O_…` flags that it was opened with.
    StatusFlags {
        fd: Descriptor,
    },
    /// Clears `O_NONBLOCK`, for all who share the open file.
    MakeBlocking {
        fd: Descriptor,
    },
    /// Answered by [`Answer::Descriptor`]: another number for the same open file, closed on exec.
    Duplicate {
        fd: Descriptor,
    },
    /// Takes the advisory lock of an open file, or fails with `EWOULDBLOCK`.
    Lock {
        fd: Descriptor,
        exclusive: bool,
    },
    Unlock {
        fd: Descriptor,
    },
    /// What can be read of an event descriptor is taken, if there is something.
    Hush {
        fd: Descriptor,
    },
    /// This number may mean something else from now on: the descriptor has come from outside, or leaves. Nothing is in
    /// flight on it.
    Forget {
        fd: Descriptor,
    },
}

/// What a [`Control`] is answered with; each says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    Number(i32),
    Option(SocketOption),
    Name(Name),
    Pair([Descriptor; 2]),
    Offset(u64),
    Descriptor(Descriptor),
}

/// A socket option with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SocketOption {
    NoDelay(bool),
    KeepAlive(bool),
    ReuseAddress(bool),
    ReusePort(bool),
    /// Bytes. The kernel doubles what it is given, and tells the double.
    ReceiveBuffer(u32),
    /// Bytes. The kernel doubles what it is given, and tells the double.
    SendBuffer(u32),
    /// Whole seconds: the kernel counts no finer, fractions are rounded up.
    Linger(Option<Duration>),
    /// Of IPv4.
    TimeToLive(u32),
    OnlyV6(bool),
    Broadcast(bool),
    /// Of IPv4: the byte for the type of service.
    TypeOfService(u32),
    /// Of IPv6: the same byte there.
    TrafficClass(u32),
    /// Of IPv6.
    HopLimit(u32),
    MulticastLoopV4(bool),
    MulticastLoopV6(bool),
    /// Of IPv4.
    MulticastTimeToLive(u32),
    /// Of IPv6.
    MulticastHopLimit(u32),
    JoinV4 {
        group: Ipv4Addr,
        interface: Ipv4Addr,
    },
    LeaveV4 {
        group: Ipv4Addr,
        interface: Ipv4Addr,
    },
    JoinV6 {
        group: Ipv6Addr,
        interface: u32,
    },
    LeaveV6 {
        group: Ipv6Addr,
        interface: u32,
    },
}

/// A socket option without its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum OptionName {
    NoDelay,
    KeepAlive,
    ReuseAddress,
    ReusePort,
    ReceiveBuffer,
    SendBuffer,
    TimeToLive,
    OnlyV6,
    Broadcast,
    TypeOfService,
    TrafficClass,
    HopLimit,
    MulticastLoopV4,
    MulticastLoopV6,
    MulticastTimeToLive,
    MulticastHopLimit,
}

impl SocketOption {
    /// Which option it is, with its value as the kernel counts; `None` if it is more than a number.
    pub(super) fn number(self) -> Option<(OptionName, i32)> {
        Some(match self {
            SocketOption::NoDelay(on) => (OptionName::NoDelay, i32::from(on)),
            SocketOption::KeepAlive(on) => (OptionName::KeepAlive, i32::from(on)),
            SocketOption::ReuseAddress(on) => (OptionName::ReuseAddress, i32::from(on)),
            SocketOption::ReusePort(on) => (OptionName::ReusePort, i32::from(on)),
            SocketOption::ReceiveBuffer(bytes) => (OptionName::ReceiveBuffer, at_most_i32(bytes)),
            SocketOption::SendBuffer(bytes) => (OptionName::SendBuffer, at_most_i32(bytes)),
            SocketOption::TimeToLive(hops) => (OptionName::TimeToLive, at_most_i32(hops)),
            SocketOption::OnlyV6(on) => (OptionName::OnlyV6, i32::from(on)),
            SocketOption::Broadcast(on) => (OptionName::Broadcast, i32::from(on)),
            SocketOption::TypeOfService(byte) => (OptionName::TypeOfService, at_most_i32(byte)),
            SocketOption::TrafficClass(byte) => (OptionName::TrafficClass, at_most_i32(byte)),
            SocketOption::HopLimit(hops) => (OptionName::HopLimit, at_most_i32(hops)),
            SocketOption::MulticastLoopV4(on) => (OptionName::MulticastLoopV4, i32::from(on)),
            SocketOption::MulticastLoopV6(on) => (OptionName::MulticastLoopV6, i32::from(on)),
            SocketOption::MulticastTimeToLive(hops) => {
                (OptionName::MulticastTimeToLive, at_most_i32(hops))
            }
            SocketOption::MulticastHopLimit(hops) => {
                (OptionName::MulticastHopLimit, at_most_i32(hops))
            }
            SocketOption::Linger(_)
            | SocketOption::JoinV4 { .. }
            | SocketOption::LeaveV4 { .. }
            | SocketOption::JoinV6 { .. }
            | SocketOption::LeaveV6 { .. } => return None,
        })
    }
}

impl OptionName {
    /// The option, with a value as the kernel counts.
    pub(super) fn with(self, value: i32) -> SocketOption {
        let (on, count) = (value != 0, value.max(0).cast_unsigned());
        match self {
            OptionName::NoDelay => SocketOption::NoDelay(on),
            OptionName::KeepAlive => SocketOption::KeepAlive(on),
            OptionName::ReuseAddress => SocketOption::ReuseAddress(on),
            OptionName::ReusePort => SocketOption::ReusePort(on),
            OptionName::ReceiveBuffer => SocketOption::ReceiveBuffer(count),
            OptionName::SendBuffer => SocketOption::SendBuffer(count),
            OptionName::TimeToLive => SocketOption::TimeToLive(count),
            OptionName::OnlyV6 => SocketOption::OnlyV6(on),
            OptionName::Broadcast => SocketOption::Broadcast(on),
            OptionName::TypeOfService => SocketOption::TypeOfService(count),
            OptionName::TrafficClass => SocketOption::TrafficClass(count),
            OptionName::HopLimit => SocketOption::HopLimit(count),
            OptionName::MulticastLoopV4 => SocketOption::MulticastLoopV4(on),
            OptionName::MulticastLoopV6 => SocketOption::MulticastLoopV6(on),
            OptionName::MulticastTimeToLive => SocketOption::MulticastTimeToLive(count),
            OptionName::MulticastHopLimit => SocketOption::MulticastHopLimit(count),
        }
    }

    /// Level and number in the kernel's counting.
    fn numbers(self) -> (i32, i32) {
        match self {
            OptionName::NoDelay => (libc::IPPROTO_TCP, libc::TCP_NODELAY),
            OptionName::KeepAlive => (libc::SOL_SOCKET, libc::SO_KEEPALIVE),
            OptionName::ReuseAddress => (libc::SOL_SOCKET, libc::SO_REUSEADDR),
            OptionName::ReusePort => (libc::SOL_SOCKET, libc::SO_REUSEPORT),
            OptionName::ReceiveBuffer => (libc::SOL_SOCKET, libc::SO_RCVBUF),
            OptionName::SendBuffer => (libc::SOL_SOCKET, libc::SO_SNDBUF),
            OptionName::TimeToLive => (libc::IPPROTO_IP, libc::IP_TTL),
            OptionName::OnlyV6 => (libc::IPPROTO_IPV6, libc::IPV6_V6ONLY),
            OptionName::Broadcast => (libc::SOL_SOCKET, libc::SO_BROADCAST),
            OptionName::TypeOfService => (libc::IPPROTO_IP, libc::IP_TOS),
            OptionName::TrafficClass => (libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
            OptionName::HopLimit => (libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS),
            OptionName::MulticastLoopV4 => (libc::IPPROTO_IP, libc::IP_MULTICAST_LOOP),
            OptionName::MulticastLoopV6 => (libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_LOOP),
            OptionName::MulticastTimeToLive => (libc::IPPROTO_IP, libc::IP_MULTICAST_TTL),
            OptionName::MulticastHopLimit => (libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_HOPS),
        }
    }
}

/// Does what `control` says with plain system calls. Every driver that has a
/// kernel under it answers with this.
pub(super) fn perform(control: Control) -> io::Result<Answer> {
    match control {
        Control::SetOption { fd, option } => set_option(fd, option).map(|()| Answer::Done),
        Control::GetOption { fd, option } => get_option(fd, option).map(Answer::Option),
        Control::TakeError { fd } => {
            sys::get_option(fd, libc::SOL_SOCKET, libc::SO_ERROR).map(Answer::Number)
        }
        Control::SocketName { fd } => sys::socket_name(fd).map(Answer::Name),
        Control::PeerName { fd } => sys::peer_name(fd).map(Answer::Name),
        Control::SocketPair {
            domain,
            kind,
            protocol,
        } => sys::socket_pair(domain, kind, protocol).map(Answer::Pair),
        Control::Position { fd } => sys::position(fd).map(Answer::Offset),
        Control::SetPosition { fd, offset } => sys::set_position(fd, offset).map(Answer::Offset),
        Control::StatusFlags { fd } => sys::status_flags(fd).map(Answer::Number),
        Control::MakeBlocking { fd } => sys::set_nonblocking(fd, false).map(|()| Answer::Done),
        Control::Duplicate { fd } => sys::duplicate(fd).map(Answer::Descriptor),
        Control::Lock { fd, exclusive } => sys::try_lock(fd, exclusive).map(|()| Answer::Done),
        Control::Unlock { fd } => sys::unlock(fd).map(|()| Answer::Done),
        Control::Hush { fd } => match sys::hush_event(fd) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(Answer::Done),
        },
        // A kernel remembers nothing of numbers; a driver that does sees to it itself.
        Control::Forget { .. } => Ok(Answer::Done),
    }
}

fn set_option(fd: Descriptor, option: SocketOption) -> io::Result<()> {
    let Some((name, value)) = option.number() else {
        return set_structure(fd, option);
    };
    let (level, number) = name.numbers();
    sys::set_option(fd, level, number, value)
}

/// Options that are more than a number.
fn set_structure(fd: Descriptor, option: SocketOption) -> io::Result<()> {
    match option {
        SocketOption::Linger(time) => sys::set_linger(fd, time.map(whole_seconds)),
        SocketOption::JoinV4 { group, interface } => {
            sys::set_membership_v4(fd, libc::IP_ADD_MEMBERSHIP, group, interface)
        }
        SocketOption::LeaveV4 { group, interface } => {
            sys::set_membership_v4(fd, libc::IP_DROP_MEMBERSHIP, group, interface)
        }
        SocketOption::JoinV6 { group, interface } => {
            sys::set_membership_v6(fd, libc::IPV6_ADD_MEMBERSHIP, group, interface)
        }
        SocketOption::LeaveV6 { group, interface } => {
            sys::set_membership_v6(fd, libc::IPV6_DROP_MEMBERSHIP, group, interface)
        }
        _ => unreachable!("an option that is a number: {option:?}"),
    }
}

fn get_option(fd: Descriptor, name: OptionName) -> io::Result<SocketOption> {
    let (level, option) = name.numbers();
    let value = sys::get_option(fd, level, option)?;
    Ok(name.with(value))
}

/// Rounded up: a linger of half a second must not become "do not wait, reset".
fn whole_seconds(time: Duration) -> u32 {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

fn at_most_i32(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}
