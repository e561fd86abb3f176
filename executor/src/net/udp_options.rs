//! [`UdpOptions`]: a UDP socket to be, with its options.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use super::address::ToSocketAddr;
use super::connection::set_option;
use super::tcp_socket::{bind, make_socket};
use super::udp_socket::UdpSocket;
use crate::driver::RawAddress;
use crate::driver::SocketOption;

/// A UDP socket to be: options, then [`bind`](UdpOptions::bind). It holds no descriptor and can be used again.
///
/// ```
/// use krug::net::UdpOptions;
///
/// # krug::Runtime::new().unwrap().block_on(async {
/// let socket = UdpOptions::new().reuse_port(true).broadcast(true).bind("127.0.0.1:0").await?;
/// assert!(socket.broadcast()?);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[derive(Clone, Debug, Default)]
pub struct UdpOptions {
    options: Vec<SocketOption>,
    receives_ahead: bool,
}

impl UdpOptions {
    /// A socket without options.
    pub fn new() -> UdpOptions {
        UdpOptions::default()
    }

    fn option(mut self, option: SocketOption) -> UdpOptions {
        self.options.push(option);
        self
    }

    /// Takes a local address although another socket with this option has it (`SO_REUSEADDR`), as is usual for
    /// receivers of multicast, who all get a copy; of other datagrams one of them gets all.
    pub fn reuse_address(self, reuse: bool) -> UdpOptions {
        self.option(SocketOption::ReuseAddress(reuse))
    }

    /// Shares a local address with other sockets that set this, too (`SO_REUSEPORT`): the kernel deals
    /// datagrams out among them by their addresses.
    pub fn reuse_port(self, reuse: bool) -> UdpOptions {
        self.option(SocketOption::ReusePort(reuse))
    }

    /// See [`UdpSocket::set_broadcast`].
    pub fn broadcast(self, broadcast: bool) -> UdpOptions {
        self.option(SocketOption::Broadcast(broadcast))
    }

    /// An IPv6 socket takes no IPv4 datagrams (`IPV6_V6ONLY`).
    pub fn only_v6(self, only: bool) -> UdpOptions {
        self.option(SocketOption::OnlyV6(only))
    }

    /// See [`UdpSocket::set_ttl`].
    pub fn ttl(self, hops: u32) -> UdpOptions {
        self.option(SocketOption::TimeToLive(hops))
    }

    /// See [`UdpSocket::set_receive_buffer_size`].
    pub fn receive_buffer_size(self, bytes: u32) -> UdpOptions {
        self.option(SocketOption::ReceiveBuffer(bytes))
    }

    /// See [`UdpSocket::set_send_buffer_size`].
    pub fn send_buffer_size(self, bytes: u32) -> UdpOptions {
        self.option(SocketOption::SendBuffer(bytes))
    }

    /// Receives datagrams before they are asked for, up to 64 of them or 256 KiB: from the first receive on, one
    /// operation in the kernel takes them as they come, and one system call brings many. They are copied once more, so
    /// this is for sockets that get many; where the kernel cannot do it, nothing changes. A datagram is never cut
    /// by it, whatever its length.
    ///
    /// With it, a receive that waits can be awaited on its own core only; elsewhere it errs, and nothing is lost.
    pub fn receive_ahead(mut self, ahead: bool) -> UdpOptions {
        self.receives_ahead = ahead;
        self
    }

    /// Makes the socket, with the options, and gives it its local address. Port 0 lets the system choose.
    ///
    /// Dropping this future closes the socket, once the kernel has let go of it.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if `address` is not an address; what the kernel answers, for example `AddrInUse`; also
    /// outside a runtime.
    pub async fn bind(&self, address: impl ToSocketAddr) -> io::Result<UdpSocket> {
        let address = address.to_socket_addr()?;
        let domain = match address {
            SocketAddr::V4(_) => libc::AF_INET,
            SocketAddr::V6(_) => libc::AF_INET6,
        };
        let socket = make_socket(domain, libc::SOCK_DGRAM).await?;
        for option in &self.options {
            set_option(socket.as_raw_fd(), *option)?;
        }
        let socket = bind(socket, RawAddress::from_internet(address)).await?;
        UdpSocket::new(socket, self.receives_ahead)
    }
}
