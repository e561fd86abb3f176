//! What the load needs of sockets: many at once, from several addresses, that leave nothing behind.

use std::ffi::{c_int, c_void};
use std::io;
use std::mem;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::floor::system;

/// Lets as many connections wait for their accept as the kernel allows (`net.core.somaxconn`).
pub(crate) fn lengthen_queue(listener: &TcpListener) -> io::Result<()> {
    // SAFETY: plain numbers; the listener is open.
    checked(unsafe { libc::listen(listener.as_raw_fd(), c_int::from(u16::MAX)) })
}

/// Ends a listener for all processes that share it: whoever waits in an accept is told, and whoever comes is refused.
pub(crate) fn end(listener: &TcpListener) -> io::Result<()> {
    // SAFETY: plain numbers; the listener is open.
    checked(unsafe { libc::shutdown(listener.as_raw_fd(), libc::SHUT_RDWR) })
}

/// Begins to connect, from an address of its own if there is one, with a port that no other connection of the two addresses has. When it is
/// dropped, the connection is reset, so that neither side goes on remembering it.
pub(crate) fn begin_to_connect(to: SocketAddrV4, from: Option<Ipv4Addr>) -> io::Result<TcpStream> {
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: plain numbers.
    let number = unsafe { libc::socket(libc::AF_INET, kind, 0) };
    checked(number)?;
    // SAFETY: the kernel has just made it for us alone.
    let socket = unsafe { OwnedFd::from_raw_fd(number) };
    let reset = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    set(&socket, libc::SOL_SOCKET, libc::SO_LINGER, &reset)?;
    set(&socket, libc::IPPROTO_TCP, libc::TCP_NODELAY, &1)?;
    system::use_cubic(&socket)?;
    if let Some(from) = from {
        // Else the port is chosen now, and taken from all other destinations.
        set(&socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, &1)?;
        let address = raw(SocketAddrV4::new(from, 0));
        // SAFETY: the kernel reads the address, of the stated length, which lives on.
        checked(unsafe { libc::bind(number, (&raw const address).cast(), LENGTH) })?;
    }
    let address = raw(to);
    // SAFETY: as above.
    match checked(unsafe { libc::connect(number, (&raw const address).cast(), LENGTH) }) {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        outcome => outcome?,
    }
    Ok(socket.into())
}

const LENGTH: libc::socklen_t = mem::size_of::<libc::sockaddr_in>() as libc::socklen_t;

fn raw(address: SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from(*address.ip()).to_be(),
        },
        sin_zero: [0; 8],
    }
}

fn set<T>(socket: &OwnedFd, level: c_int, option: c_int, value: &T) -> io::Result<()> {
    let length = mem::size_of::<T>() as libc::socklen_t;
    let value = (&raw const *value).cast::<c_void>();
    // SAFETY: the kernel reads the value, of the stated length, which lives on.
    checked(unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, value, length) })
}

fn checked(status: c_int) -> io::Result<()> {
    match status {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
