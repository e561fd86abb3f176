//! Unix stream sockets, by path.

use std::io;
use std::path::PathBuf;

use krug::net::{UnixListener, UnixStream};

use super::{Link, Socket};

/// Unix stream sockets.
#[derive(Clone, Copy, Debug)]
pub struct Unix;

impl Socket for Unix {
    type Address = PathBuf;
    type Listener = UnixListener;
    type Stream = UnixStream;

    async fn accept(listener: &UnixListener) -> io::Result<UnixStream> {
        listener.accept().await
    }

    async fn dial(address: PathBuf) -> io::Result<UnixStream> {
        UnixStream::connect(address).await
    }
}

impl Link for UnixStream {
    async fn send(&self, bytes: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
        self.write_all(bytes).await
    }

    async fn receive(&self, buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        self.read(buffer).await
    }
}
