//! [`ToSocketAddr`]: what can be bound and connected to.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Something that is an internet address: a [`SocketAddr`], an IP address with a port, or text
/// such as `"127.0.0.1:80"` and `"[::1]:80"`.
///
/// Names are not looked up: `"localhost:80"` is an error that says so.
pub trait ToSocketAddr {
    /// The address.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the text is not an address with a port.
    fn to_socket_addr(&self) -> io::Result<SocketAddr>;
}

macro_rules! into_address {
    ($($type:ty),*) => {$(
        impl ToSocketAddr for $type {
            fn to_socket_addr(&self) -> io::Result<SocketAddr> {
                Ok(SocketAddr::from(*self))
            }
        }
    )*};
}

into_address!(
    SocketAddr,
    SocketAddrV4,
    SocketAddrV6,
    (IpAddr, u16),
    (Ipv4Addr, u16),
    (Ipv6Addr, u16)
);

impl ToSocketAddr for str {
    fn to_socket_addr(&self) -> io::Result<SocketAddr> {
        self.parse().map_err(|_| {
            let message = format!(
                "'{self}' is not an address with a port, such as 127.0.0.1:80 or [::1]:80 \
                 (host names are not looked up)"
            );
            io::Error::new(io::ErrorKind::InvalidInput, message)
        })
    }
}

impl ToSocketAddr for String {
    fn to_socket_addr(&self) -> io::Result<SocketAddr> {
        self.as_str().to_socket_addr()
    }
}

impl<T: ToSocketAddr + ?Sized> ToSocketAddr for &T {
    fn to_socket_addr(&self) -> io::Result<SocketAddr> {
        (**self).to_socket_addr()
    }
}
