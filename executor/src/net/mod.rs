//! TCP, UDP and Unix sockets.
//!
//! A handle names a socket that lives on the core where it was made. It is `Send` and
//! `Sync`; used on another core, every method errs and names both cores; dropped there, or
//! anywhere, the socket is closed at home, in good order.
//!
//! ```
//! use krug::net::{TcpListener, TcpStream};
//!
//! # krug::Runtime::new().unwrap().block_on(async {
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let client = TcpStream::connect(listener.local_addr()?).await?;
//! let server = listener.accept().await?;
//!
//! let (result, _buf) = client.write_all("hello").await;
//! result?;
//! let (result, buf) = server.read(vec![0; 64]).await;
//! assert_eq!(&buf[..result?], b"hello");
//! # std::io::Result::Ok(()) }).unwrap();
//! ```

mod address;
mod connection;
mod datagram_methods;
mod distribute;
mod migrate;
mod tcp_listener;
mod tcp_socket;
mod tcp_stream;
mod udp_options;
mod udp_socket;
mod unix_datagram;
mod unix_listener;
mod unix_stream;

pub use address::ToSocketAddr;
pub use connection::ReuniteError;
pub use datagram_methods::{Leftover, Received};
pub use migrate::MigrateError;
pub use tcp_listener::{Incoming, TcpListener};
pub use tcp_socket::TcpSocket;
pub use tcp_stream::{OwnedReadHalf, OwnedWriteHalf, TcpStream};
pub use udp_options::UdpOptions;
pub use udp_socket::UdpSocket;
pub use unix_datagram::UnixDatagram;
pub use unix_listener::{UnixIncoming, UnixListener};
pub use unix_stream::{OwnedUnixReadHalf, OwnedUnixWriteHalf, UnixStream};

pub(crate) use connection::Connection;
#[cfg(test)]
pub(crate) use tcp_socket::BACKLOG_DEFAULT;
