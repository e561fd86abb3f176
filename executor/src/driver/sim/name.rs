//! [`SocketName`]: by what a socket is known.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;

use crate::driver::RawAddress;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SocketName {
    Internet(SocketAddr),
    /// A path, or an abstract name, which begins with a zero byte.
    Unix(Vec<u8>),
    /// Of a Unix socket that was not bound.
    Unnamed,
}

impl SocketName {
    /// # Errors
    ///
    /// EAFNOSUPPORT or EINVAL.
    pub(super) fn read(bytes: &[u8], domain: i32) -> Result<SocketName, i32> {
        if bytes.len() < 2 {
            return Err(libc::EINVAL);
        }
        let raw = RawAddress::new(bytes);
        if raw.family() != domain {
            return Err(libc::EAFNOSUPPORT);
        }
        match domain {
            libc::AF_UNIX => Ok(match raw.to_path() {
                Some(path) => SocketName::Unix(path.as_os_str().as_bytes().to_vec()),
                None => SocketName::Unnamed,
            }),
            _ => match raw.to_internet() {
                Ok(address) => Ok(SocketName::Internet(address)),
                Err(_) => Err(libc::EAFNOSUPPORT),
            },
        }
    }

    pub(super) fn to_raw(&self) -> RawAddress {
        match self {
            SocketName::Internet(address) => RawAddress::from_internet(*address),
            SocketName::Unix(path) => {
                let path = std::path::Path::new(std::ffi::OsStr::from_bytes(path));
                RawAddress::from_path(path).unwrap_or_else(|_| unnamed())
            }
            SocketName::Unnamed => unnamed(),
        }
    }

    pub(super) fn internet(&self) -> Option<SocketAddr> {
        match self {
            SocketName::Internet(address) => Some(*address),
            _ => None,
        }
    }
}

fn unnamed() -> RawAddress {
    RawAddress::new(&(libc::AF_UNIX as u16).to_ne_bytes())
}

/// The addresses of the host of this number: 10.0.x.y and fd00::n.
pub(crate) fn addresses(host: usize) -> [IpAddr; 2] {
    let number = host as u16 + 1;
    let [high, low] = number.to_be_bytes();
    let v4 = Ipv4Addr::new(10, 0, high, low);
    let v6 = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number);
    [v4.into(), v6.into()]
}

/// The host that an address leads to, seen from another one; `None` if it leads nowhere.
pub(super) fn host_of(address: IpAddr, from: usize, hosts: usize) -> Option<usize> {
    if address.is_loopback() || address.is_unspecified() {
        return Some(from);
    }
    (0..hosts).find(|host| addresses(*host).contains(&address.to_canonical()))
}

/// Whether a socket that is bound to `bound` is reached by what is sent to `target`. A socket on all addresses of version 6
/// takes version 4, too, unless it was told not to.
pub(super) fn is_reached(bound: SocketAddr, target: SocketAddr, only_v6: bool) -> bool {
    if bound.port() != target.port() {
        return false;
    }
    let (bound, target) = (bound.ip(), target.ip().to_canonical());
    match bound {
        IpAddr::V6(any) if any.is_unspecified() => target.is_ipv6() || !only_v6,
        IpAddr::V4(any) if any.is_unspecified() => target.is_ipv4(),
        _ => bound.to_canonical() == target,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_the_way_to_the_kernels_layout_and_back() {
        let names = [
            (
                SocketName::Internet("10.0.0.1:80".parse().unwrap()),
                libc::AF_INET,
            ),
            (
                SocketName::Internet("[fd00::7]:9".parse().unwrap()),
                libc::AF_INET6,
            ),
            (SocketName::Unix(b"/tmp/a".to_vec()), libc::AF_UNIX),
            (SocketName::Unix(b"\0abstract".to_vec()), libc::AF_UNIX),
            (SocketName::Unnamed, libc::AF_UNIX),
        ];
        for (name, domain) in names {
            let raw = name.to_raw();
            assert_eq!(SocketName::read(raw.as_bytes(), domain), Ok(name));
            let other = libc::AF_PACKET;
            let read = SocketName::read(raw.as_bytes(), other);
            assert_eq!(read, Err(libc::EAFNOSUPPORT));
        }
        assert_eq!(SocketName::read(&[], libc::AF_INET), Err(libc::EINVAL));
    }

    #[test]
    fn every_host_has_addresses_of_its_own_and_loopback_leads_home() {
        for host in [0, 1, 254, 255, 256, 700] {
            for address in addresses(host) {
                assert_eq!(host_of(address, 3, 1000), Some(host));
            }
        }
        assert_eq!(host_of("127.0.0.1".parse().unwrap(), 3, 5), Some(3));
        assert_eq!(host_of("::1".parse().unwrap(), 3, 5), Some(3));
        assert_eq!(host_of("10.0.0.9".parse().unwrap(), 3, 5), None);
        assert_eq!(host_of("8.8.8.8".parse().unwrap(), 3, 5), None);
    }

    #[test]
    fn a_socket_is_reached_by_its_address_or_by_all() {
        let reached = |bound: &str, target: &str, only_v6| {
            is_reached(bound.parse().unwrap(), target.parse().unwrap(), only_v6)
        };
        assert!(reached("0.0.0.0:1", "10.0.0.1:1", false));
        assert!(!reached("0.0.0.0:1", "10.0.0.1:2", false));
        assert!(!reached("0.0.0.0:1", "[fd00::1]:1", false));
        assert!(reached("[::]:1", "10.0.0.1:1", false));
        assert!(!reached("[::]:1", "10.0.0.1:1", true));
        assert!(reached("[::]:1", "[fd00::1]:1", true));
        assert!(reached("127.0.0.1:1", "127.0.0.1:1", false));
        assert!(!reached("127.0.0.1:1", "10.0.0.1:1", false));
    }
}
