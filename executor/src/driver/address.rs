//! Socket addresses as the kernel lays them out.

use std::ffi::OsStr;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Room for any address (`sockaddr_storage`).
const ROOM: usize = 128;
/// The bytes before the path in `sockaddr_un`.
const PATH_OFFSET: usize = 2;
/// The bytes of `sun_path`.
const PATH_MAX: usize = 108;

/// A `sockaddr` of any family, and its length.
#[repr(align(8))]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct RawAddress {
    bytes: [u8; ROOM],
    length: u32,
}

impl RawAddress {
    pub(crate) fn new(bytes: &[u8]) -> RawAddress {
        let mut address = RawAddress {
            bytes: [0; ROOM],
            length: bytes.len().min(ROOM) as u32,
        };
        let length = address.length as usize;
        address.bytes[..length].copy_from_slice(&bytes[..length]);
        address
    }

    fn with_family(family: i32, length: usize) -> RawAddress {
        let mut address = RawAddress {
            bytes: [0; ROOM],
            length: length as u32,
        };
        address.put(0, &(family as u16).to_ne_bytes());
        address
    }

    fn put(&mut self, offset: usize, bytes: &[u8]) {
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    fn get<const N: usize>(&self, offset: usize) -> [u8; N] {
        self.bytes[offset..offset + N]
            .try_into()
            .expect("the range has N bytes")
    }

    pub(crate) fn as_ptr(&self) -> *const u8 {
        self.bytes.as_ptr()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length as usize]
    }

    pub(crate) fn length(&self) -> u32 {
        self.length
    }

    pub(crate) fn family(&self) -> i32 {
        i32::from(u16::from_ne_bytes(self.get(0)))
    }

    pub(crate) fn from_internet(address: SocketAddr) -> RawAddress {
        match address {
            SocketAddr::V4(v4) => {
                let mut raw =
                    RawAddress::with_family(libc::AF_INET, size_of::<libc::sockaddr_in>());
                raw.put(2, &v4.port().to_be_bytes());
                raw.put(4, &v4.ip().octets());
                raw
            }
            SocketAddr::V6(v6) => {
                let mut raw =
                    RawAddress::with_family(libc::AF_INET6, size_of::<libc::sockaddr_in6>());
                raw.put(2, &v6.port().to_be_bytes());
                raw.put(4, &v6.flowinfo().to_ne_bytes());
                raw.put(8, &v6.ip().octets());
                raw.put(24, &v6.scope_id().to_ne_bytes());
                raw
            }
        }
    }

    pub(crate) fn to_internet(self) -> io::Result<SocketAddr> {
        let port = u16::from_be_bytes(self.get(2));
        match self.family() {
            libc::AF_INET => {
                let ip = Ipv4Addr::from(self.get::<4>(4));
                Ok(SocketAddrV4::new(ip, port).into())
            }
            libc::AF_INET6 => {
                let ip = Ipv6Addr::from(self.get::<16>(8));
                let flow = u32::from_ne_bytes(self.get(4));
                let scope = u32::from_ne_bytes(self.get(24));
                Ok(SocketAddrV6::new(ip, port, flow, scope).into())
            }
            family => Err(io::Error::other(format!(
                "not an internet address: family {family}"
            ))),
        }
    }

    /// A path in the file system, or, if it begins with a zero byte, an abstract name.
    pub(crate) fn from_path(path: &Path) -> io::Result<RawAddress> {
        let bytes = path.as_os_str().as_bytes();
        let is_abstract = bytes.first() == Some(&0);
        // A path ends with a zero byte, an abstract name with its length.
        let room = if is_abstract { PATH_MAX } else { PATH_MAX - 1 };
        let problem = match bytes {
            [] => Some("the path of a Unix socket is empty".to_owned()),
            _ if bytes.len() > room => Some(format!(
                "the path of a Unix socket has {} bytes, the kernel takes {room}: {}",
                bytes.len(),
                path.display()
            )),
            _ if !is_abstract && bytes.contains(&0) => {
                Some("the path of a Unix socket has a zero byte in it".to_owned())
            }
            _ => None,
        };
        if let Some(problem) = problem {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        let length = PATH_OFFSET + bytes.len() + usize::from(!is_abstract);
        let mut raw = RawAddress::with_family(libc::AF_UNIX, length);
        raw.put(PATH_OFFSET, bytes);
        Ok(raw)
    }

    /// The path, or the abstract name with its zero byte; `None` for an unnamed socket.
    pub(crate) fn to_path(self) -> Option<Box<Path>> {
        let name = &self.bytes[PATH_OFFSET..(self.length as usize).max(PATH_OFFSET)];
        let name = match name {
            [] => return None,
            [0, ..] => name,
            _ => name.split(|byte| *byte == 0).next().unwrap_or(name),
        };
        Some(Path::new(OsStr::from_bytes(name)).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn internet_addresses_survive_the_way_to_the_kernels_layout_and_back() {
        for text in [
            "127.0.0.1:80",
            "255.1.2.3:65535",
            "[::1]:443",
            "[fe80::1%7]:9",
        ] {
            let address: SocketAddr = text.parse().expect("a valid address");
            assert_eq!(
                RawAddress::from_internet(address).to_internet().ok(),
                Some(address)
            );
        }
    }

    #[test]
    fn paths_and_abstract_names_survive_the_way_and_bad_ones_are_refused() {
        for name in ["/tmp/a", "relative", "\0abstract\0name"] {
            let raw = RawAddress::from_path(Path::new(name)).expect("a valid name");
            assert_eq!(raw.to_path().as_deref(), Some(Path::new(name)));
        }
        for name in ["", "a\0b", &"x".repeat(108)] {
            let refused = RawAddress::from_path(Path::new(name))
                .err()
                .map(|error| error.kind());
            assert_eq!(refused, Some(io::ErrorKind::InvalidInput), "{name:?}");
        }
    }
}
