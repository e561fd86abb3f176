//! Calls on sockets.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::{fmt, io, mem};

use super::check;

/// Room for the longest socket address that Linux has.
pub(crate) const NAME_CAPACITY: usize = size_of::<libc::sockaddr_storage>();

/// The address of a socket, as the kernel wrote it.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C, align(8))]
pub(crate) struct Name {
    bytes: [u8; NAME_CAPACITY],
    length: u32,
}

impl Name {
    /// Of the bytes of a `sockaddr`; what goes beyond the longest address there is cut off.
    pub(crate) fn new(bytes: &[u8]) -> Name {
        let length = bytes.len().min(NAME_CAPACITY);
        let mut name = Name {
            bytes: [0; NAME_CAPACITY],
            length: length as u32,
        };
        name.bytes[..length].copy_from_slice(&bytes[..length]);
        name
    }

    /// Room for any address.
    pub(crate) const CAPACITY: usize = NAME_CAPACITY;

    /// Where the kernel may write up to [`CAPACITY`](Name::CAPACITY) bytes, or read as many as there are.
    pub(crate) fn as_mut_ptr(&mut self) -> *mut u8 {
        self.bytes.as_mut_ptr()
    }

    /// Notes how long the address is that the kernel has written there.
    pub(crate) fn set_length(&mut self, length: u32) {
        // A Unix path of full length is reported with its missing terminator counted.
        self.length = length.min(NAME_CAPACITY as u32);
    }

    /// The family and what follows, as far as the kernel filled it. Aligned like a `sockaddr`.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length as usize]
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x?}", self.as_bytes())
    }
}

/// `socket(2)`.
pub(crate) fn socket(domain: i32, kind: i32, protocol: i32) -> io::Result<i32> {
    // SAFETY: takes no memory.
    check(unsafe { libc::socket(domain, kind, protocol) })
}

/// `socketpair(2)`.
pub(crate) fn socket_pair(domain: i32, kind: i32, protocol: i32) -> io::Result<[i32; 2]> {
    let mut ends = [-1; 2];
    // SAFETY: `ends` is an array of two for the call to fill.
    check(unsafe { libc::socketpair(domain, kind, protocol, ends.as_mut_ptr()) })?;
    Ok(ends)
}

/// `bind(2)`.
///
/// # Safety
///
/// `address` must be readable for `length` bytes.
pub(crate) unsafe fn bind(fd: i32, address: *const libc::sockaddr, length: u32) -> io::Result<()> {
    // SAFETY: the caller's promise is the one that the call asks for.
    check(unsafe { libc::bind(fd, address, length) }).map(drop)
}

/// `listen(2)`.
pub(crate) fn listen(fd: i32, backlog: i32) -> io::Result<()> {
    // SAFETY: takes no memory.
    check(unsafe { libc::listen(fd, backlog) }).map(drop)
}

/// `shutdown(2)`.
pub(crate) fn shutdown(fd: i32, how: i32) -> io::Result<()> {
    // SAFETY: takes no memory.
    check(unsafe { libc::shutdown(fd, how) }).map(drop)
}

/// `getsockname(2)`.
pub(crate) fn socket_name(fd: i32) -> io::Result<Name> {
    name(fd, libc::getsockname)
}

/// `getpeername(2)`.
pub(crate) fn peer_name(fd: i32) -> io::Result<Name> {
    name(fd, libc::getpeername)
}

type NameCall = unsafe extern "C" fn(i32, *mut libc::sockaddr, *mut libc::socklen_t) -> i32;

fn name(fd: i32, call: NameCall) -> io::Result<Name> {
    let mut name = Name {
        bytes: [0; NAME_CAPACITY],
        length: NAME_CAPACITY as u32,
    };
    // SAFETY: both calls write at most `length` bytes to `bytes`, which has as
    // many and is aligned to 8, and store the address's true length.
    check(unsafe { call(fd, name.bytes.as_mut_ptr().cast(), &mut name.length) })?;
    // A Unix path of full length is reported with its missing terminator counted.
    name.length = name.length.min(NAME_CAPACITY as u32);
    Ok(name)
}

/// `getsockopt(2)` for an option that is a number or a switch.
pub(crate) fn get_option(fd: i32, level: i32, option: i32) -> io::Result<i32> {
    // SAFETY: any bits are an `i32`.
    unsafe { get(fd, level, option) }
}

/// `setsockopt(SO_LINGER)`: seconds, or off.
pub(crate) fn set_linger(fd: i32, seconds: Option<u32>) -> io::Result<()> {
    let linger = libc::linger {
        l_onoff: i32::from(seconds.is_some()),
        l_linger: i32::try_from(seconds.unwrap_or(0)).unwrap_or(i32::MAX),
    };
    set(fd, libc::SOL_SOCKET, libc::SO_LINGER, linger)
}

/// `setsockopt(IP_ADD_MEMBERSHIP)` and `IP_DROP_MEMBERSHIP`.
pub(crate) fn set_membership_v4(
    fd: i32,
    option: i32,
    group: Ipv4Addr,
    interface: Ipv4Addr,
) -> io::Result<()> {
    let in_addr = |address: Ipv4Addr| libc::in_addr {
        s_addr: u32::from_ne_bytes(address.octets()),
    };
    let membership = libc::ip_mreq {
        imr_multiaddr: in_addr(group),
        imr_interface: in_addr(interface),
    };
    set(fd, libc::IPPROTO_IP, option, membership)
}

/// `setsockopt(IPV6_ADD_MEMBERSHIP)` and `IPV6_DROP_MEMBERSHIP`.
pub(crate) fn set_membership_v6(
    fd: i32,
    option: i32,
    group: Ipv6Addr,
    interface: u32,
) -> io::Result<()> {
    let membership = libc::ipv6_mreq {
        ipv6mr_multiaddr: libc::in6_addr {
            s6_addr: group.octets(),
        },
        ipv6mr_interface: interface,
    };
    set(fd, libc::IPPROTO_IPV6, option, membership)
}

/// `setsockopt(2)` for an option that is a number or a switch.
pub(crate) fn set_option(fd: i32, level: i32, option: i32, value: i32) -> io::Result<()> {
    set(fd, level, option, value)
}

/// # Safety
///
/// Every bit pattern must be a valid `T`.
unsafe fn get<T: Copy>(fd: i32, level: i32, option: i32) -> io::Result<T> {
    // SAFETY: all zeros is a valid `T` by the caller's promise.
    let mut value: T = unsafe { mem::zeroed() };
    let mut length = size_of::<T>() as libc::socklen_t;
    let (address, room) = (&raw mut value, &raw mut length);
    // SAFETY: the call writes at most `length` bytes to `value`, and any bits are a `T`.
    check(unsafe { libc::getsockopt(fd, level, option, address.cast(), room) })?;
    Ok(value)
}

fn set<T: Copy>(fd: i32, level: i32, option: i32, value: T) -> io::Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    let address = &raw const value;
    // SAFETY: the call reads `length` bytes of `value`, which lives until it returns.
    check(unsafe { libc::setsockopt(fd, level, option, address.cast(), length) }).map(drop)
}
