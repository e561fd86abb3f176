//! [`UdpSocket`].

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::address::ToSocketAddr;
use super::connection::Connection;
use super::datagram_methods::{datagram_methods, into_std_method, send};
use super::udp_options::UdpOptions;
use crate::buf::{BufResult, IoBuf};
use crate::driver::RawAddress;
use crate::driver::{OptionName, OwnedDescriptor, SocketOption};
use crate::op::associate::Associate;
use crate::source::{self, Datagrams, SENDS_MAX, Traits, Transfer};

/// A UDP socket.
///
/// Methods take `&self`: one task can receive while another sends. Datagrams keep their borders; they
/// may be lost, doubled and reordered on their way, but not here: what the kernel has handed over is
/// never lost, whatever futures are dropped.
///
/// ```
/// use krug::net::UdpSocket;
///
/// # krug::Runtime::new().unwrap().block_on(async {
/// let server = UdpSocket::bind("127.0.0.1:0").await?;
/// let client = UdpSocket::bind("127.0.0.1:0").await?;
///
/// client.send_to("ping", server.local_addr()?).await.0?;
/// let (result, buf) = server.recv_from(Vec::with_capacity(1500)).await;
/// let (count, sender) = result?;
/// assert_eq!((&buf[..], count, sender), (&b"ping"[..], 4, client.local_addr()?));
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// # Errors that come from the net
///
/// A connected socket learns when nobody listens at the other end: the error `ConnectionRefused` comes with the next send
/// or receive, once; the operation after that works again.
#[derive(Debug)]
pub struct UdpSocket {
    connection: Connection,
}

impl UdpSocket {
    pub(super) fn new(fd: OwnedDescriptor, receives_ahead: bool) -> io::Result<UdpSocket> {
        let traits = Traits {
            sends_max: SENDS_MAX,
            receives_ahead,
        };
        Connection::of_datagrams(fd, traits).map(|connection| UdpSocket { connection })
    }

    /// A socket at a local address; port 0 lets the system choose. [`UdpOptions`] has options that must be set
    /// before.
    ///
    /// Dropping this future closes the socket, once the kernel has let go of it.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if `address` is not an address; what the kernel answers, for example `AddrInUse`; also
    /// outside a runtime.
    pub async fn bind(address: impl ToSocketAddr) -> io::Result<UdpSocket> {
        UdpOptions::new().bind(address).await
    }

    /// Takes over a socket made with the standard library. Its non-blocking flag may be
    /// either way and is not changed.
    ///
    /// # Errors
    ///
    /// Outside a runtime; the socket is closed then.
    pub fn from_std(socket: std::net::UdpSocket) -> io::Result<UdpSocket> {
        UdpSocket::new(source::inherit(socket), false)
    }

    fn address_of(raw: RawAddress) -> io::Result<SocketAddr> {
        raw.to_internet()
    }

    /// Names whom [`send`](UdpSocket::send) sends to; from then on only datagrams from there are received, beside those
    /// that came before. It can be called again. Sends that were begun before go first, unless they wait for room.
    ///
    /// Dropping this future may leave the socket connected or not.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if `address` is not an address; what the kernel answers, for example `ENETUNREACH`; also
    /// if the socket is used on a core that is not its own.
    pub async fn connect(&self, address: impl ToSocketAddr) -> io::Result<()> {
        let address = Box::new(RawAddress::from_internet(address.to_socket_addr()?));
        Transfer::<Associate, Datagrams>::new(self.connection.source(), address).await
    }

    /// As [`send`](UdpSocket::send), to `receiver`.
    ///
    /// Dropping this future before it was first polled, or while it waits for an earlier send, sends nothing. Dropped
    /// later, the datagram goes out whole all the same; if that fails, nobody is told.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if `receiver` is not an address; else as `send`.
    pub async fn send_to<B: IoBuf>(
        &self,
        buf: B,
        receiver: impl ToSocketAddr,
    ) -> BufResult<usize, B> {
        match receiver.to_socket_addr() {
            Ok(receiver) => {
                let receiver = RawAddress::from_internet(receiver);
                send(&self.connection, buf, Some(receiver)).await
            }
            Err(error) => (Err(error), buf),
        }
    }

    datagram_methods!(SocketAddr);
    into_std_method!(std::net::UdpSocket, SocketAddr);

    /// The address of this socket.
    ///
    /// # Errors
    ///
    /// If the socket is used on a core that is not its own.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.connection.local_name()?.to_internet()
    }

    /// With whom the socket is connected.
    ///
    /// # Errors
    ///
    /// `NotConnected` if it is not; also as `local_addr`.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.connection.peer_name()?.to_internet()
    }
}

/// Options. All of them err if the socket is used on a core that is not its own, and if the kernel does not have the
/// option for a socket of this family.
impl UdpSocket {
    fn is_on(&self, name: OptionName, on: SocketOption) -> io::Result<bool> {
        Ok(self.connection.option(name)? == on)
    }

    fn number(&self, name: OptionName) -> io::Result<u32> {
        match self.connection.option(name)? {
            SocketOption::TimeToLive(number)
            | SocketOption::HopLimit(number)
            | SocketOption::TypeOfService(number)
            | SocketOption::TrafficClass(number)
            | SocketOption::MulticastTimeToLive(number)
            | SocketOption::MulticastHopLimit(number) => Ok(number),
            other => unreachable!("{name:?} was asked for, the answer is {other:?}"),
        }
    }

    /// May send to broadcast addresses (`SO_BROADCAST`).
    pub fn set_broadcast(&self, broadcast: bool) -> io::Result<()> {
        self.connection
            .set_option(SocketOption::Broadcast(broadcast))
    }

    /// Whether it may send to broadcast addresses.
    pub fn broadcast(&self) -> io::Result<bool> {
        self.is_on(OptionName::Broadcast, SocketOption::Broadcast(true))
    }

    /// The time to live of IPv4 packets, in hops (`IP_TTL`).
    pub fn set_ttl(&self, hops: u32) -> io::Result<()> {
        self.connection.set_option(SocketOption::TimeToLive(hops))
    }

    /// The time to live of IPv4 packets, in hops.
    pub fn ttl(&self) -> io::Result<u32> {
        self.number(OptionName::TimeToLive)
    }

    /// The hop limit of IPv6 packets (`IPV6_UNICAST_HOPS`).
    pub fn set_hop_limit_v6(&self, hops: u32) -> io::Result<()> {
        self.connection.set_option(SocketOption::HopLimit(hops))
    }

    /// The hop limit of IPv6 packets.
    pub fn hop_limit_v6(&self) -> io::Result<u32> {
        self.number(OptionName::HopLimit)
    }

    /// The type of service of IPv4 packets: the byte with the class and the congestion bits (`IP_TOS`).
    pub fn set_tos(&self, byte: u32) -> io::Result<()> {
        self.connection
            .set_option(SocketOption::TypeOfService(byte))
    }

    /// The type of service of IPv4 packets.
    pub fn tos(&self) -> io::Result<u32> {
        self.number(OptionName::TypeOfService)
    }

    /// The traffic class of IPv6 packets, the same byte there (`IPV6_TCLASS`).
    pub fn set_traffic_class_v6(&self, byte: u32) -> io::Result<()> {
        self.connection.set_option(SocketOption::TrafficClass(byte))
    }

    /// The traffic class of IPv6 packets.
    pub fn traffic_class_v6(&self) -> io::Result<u32> {
        self.number(OptionName::TrafficClass)
    }

    /// Receives what is sent to `group`, on the interface with this address; the unspecified address
    /// lets the system choose (`IP_ADD_MEMBERSHIP`).
    pub fn join_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.connection
            .set_option(SocketOption::JoinV4 { group, interface })
    }

    /// Undoes [`join_multicast_v4`](UdpSocket::join_multicast_v4).
    pub fn leave_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.connection
            .set_option(SocketOption::LeaveV4 { group, interface })
    }

    /// Receives what is sent to `group`, on the interface with this index; 0 lets the system
    /// choose (`IPV6_ADD_MEMBERSHIP`).
    pub fn join_multicast_v6(&self, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        self.connection
            .set_option(SocketOption::JoinV6 { group, interface })
    }

    /// Undoes [`join_multicast_v6`](UdpSocket::join_multicast_v6).
    pub fn leave_multicast_v6(&self, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        self.connection
            .set_option(SocketOption::LeaveV6 { group, interface })
    }

    /// Whether this machine sees the IPv4 multicasts that the socket sends (`IP_MULTICAST_LOOP`).
    pub fn set_multicast_loop_v4(&self, on: bool) -> io::Result<()> {
        self.connection
            .set_option(SocketOption::MulticastLoopV4(on))
    }

    /// Whether this machine sees the IPv4 multicasts that the socket sends.
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        let on = SocketOption::MulticastLoopV4(true);
        self.is_on(OptionName::MulticastLoopV4, on)
    }

    /// Whether the socket sees the IPv6 multicasts that it, or another socket of this machine, sends
    /// (`IPV6_MULTICAST_LOOP`).
    pub fn set_multicast_loop_v6(&self, on: bool) -> io::Result<()> {
        self.connection
            .set_option(SocketOption::MulticastLoopV6(on))
    }

    /// Whether IPv6 multicasts of this machine are seen.
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        let on = SocketOption::MulticastLoopV6(true);
        self.is_on(OptionName::MulticastLoopV6, on)
    }

    /// The time to live of IPv4 multicasts, in hops (`IP_MULTICAST_TTL`); 1 unless set: they stay in
    /// the local network.
    pub fn set_multicast_ttl_v4(&self, hops: u32) -> io::Result<()> {
        self.connection
            .set_option(SocketOption::MulticastTimeToLive(hops))
    }

    /// The time to live of IPv4 multicasts.
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        self.number(OptionName::MulticastTimeToLive)
    }

    /// The hop limit of IPv6 multicasts (`IPV6_MULTICAST_HOPS`).
    pub fn set_multicast_hop_limit_v6(&self, hops: u32) -> io::Result<()> {
        self.connection
            .set_option(SocketOption::MulticastHopLimit(hops))
    }

    /// The hop limit of IPv6 multicasts.
    pub fn multicast_hop_limit_v6(&self) -> io::Result<u32> {
        self.number(OptionName::MulticastHopLimit)
    }
}
