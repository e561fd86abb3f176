//! TCP over any interface.

use std::io;
use std::net::SocketAddr;

use krug::net::{TcpListener, TcpStream};

use super::{Link, Socket};

/// TCP sockets.
#[derive(Clone, Copy, Debug)]
pub struct Tcp;

impl Socket for Tcp {
    type Address = SocketAddr;
    type Listener = TcpListener;
    type Stream = TcpStream;

    async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
        prompt(listener.accept().await?)
    }

    async fn dial(address: SocketAddr) -> io::Result<TcpStream> {
        prompt(TcpStream::connect(address).await?)
    }
}

/// A vote that waits for company costs a round trip.
fn prompt(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Link for TcpStream {
    async fn send(&self, bytes: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
        self.write_all(bytes).await
    }

    async fn receive(&self, buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        self.read(buffer).await
    }
}
