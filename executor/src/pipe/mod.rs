//! Pipes: bytes from one end to the other, inside one process or between two.

use std::io;
use std::os::fd::OwnedFd;

use crate::driver::OwnedDescriptor;
use crate::inflight;
use crate::io::{read_methods, read_stream, stream_end_methods, write_methods, write_stream};
use crate::net::Connection;
use crate::op::pipe::Pipe;
use crate::source::{self, SourceId, StreamKind};

/// Makes a pipe.
///
/// Dropping this future closes both ends, if they were made.
///
/// ```
/// # krug::Runtime::new().unwrap().block_on(async {
/// let (sender, receiver) = krug::pipe::pipe().await?;
/// let (result, _buf) = sender.write_all("through the pipe").await;
/// result?;
/// drop(sender);
/// let (result, buf) = receiver.read(vec![0; 64]).await;
/// assert_eq!(&buf[..result?], b"through the pipe");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// # Errors
///
/// If there are no more descriptors; also outside a runtime.
pub async fn pipe() -> io::Result<(Sender, Receiver)> {
    let (receiver, sender) = inflight::submit(Pipe::new()).await?;
    Ok((Sender::new(sender)?, Receiver::new(receiver)?))
}

/// The end of a pipe to write to. The reader sees the end of the stream when it is closed.
///
/// A write to a pipe whose reader is gone is `BrokenPipe`. The signal `SIGPIPE` is ignored in Rust programs from the
/// start; a program that turns it on again is killed by it, as the kernel has no flag against it for pipes.
#[derive(Debug)]
pub struct Sender {
    connection: Connection,
}

/// The end of a pipe to read from.
#[derive(Debug)]
pub struct Receiver {
    connection: Connection,
}

impl Sender {
    fn new(fd: OwnedDescriptor) -> io::Result<Sender> {
        Connection::new(fd, StreamKind::Pipe).map(|connection| Sender { connection })
    }

    /// Takes over the writing end of a pipe, for example a child's standard input.
    ///
    /// # Errors
    ///
    /// Outside a runtime; the descriptor is closed then.
    pub fn from_owned_fd(fd: OwnedFd) -> io::Result<Sender> {
        Sender::new(source::inherit(fd))
    }

    write_methods!();
    stream_end_methods!();

    fn source(&self) -> SourceId {
        self.connection.source()
    }
}

impl Receiver {
    fn new(fd: OwnedDescriptor) -> io::Result<Receiver> {
        Connection::new(fd, StreamKind::Pipe).map(|connection| Receiver { connection })
    }

    /// Takes over the reading end of a pipe, for example a child's standard output.
    ///
    /// # Errors
    ///
    /// Outside a runtime; the descriptor is closed then.
    pub fn from_owned_fd(fd: OwnedFd) -> io::Result<Receiver> {
        Receiver::new(source::inherit(fd))
    }

    read_methods!();
    stream_end_methods!();

    fn source(&self) -> SourceId {
        self.connection.source()
    }
}

read_stream!(Receiver);
write_stream!(Close: Sender);
