//! [`Connection`]: the handle inside every stream and datagram socket, and what is asked of it without waiting.

use std::fmt;
use std::io;
use std::net::Shutdown;

use crate::context;
use crate::driver::RawAddress;
use crate::driver::{Answer, Control, Descriptor, OptionName, OwnedDescriptor, SocketOption, own};
use crate::inflight::outside_error;
use crate::op;
use crate::source::{self, SourceId, StreamKind, Traits, Transfer};

/// Names a socket or the end of a pipe, and closes it when dropped.
#[derive(Debug)]
pub(crate) struct Connection(SourceId);

impl Connection {
    /// Takes over a connected descriptor.
    pub(crate) fn new(fd: OwnedDescriptor, kind: StreamKind) -> io::Result<Connection> {
        source::add_stream(fd, kind).map(Connection)
    }

    /// Names a source, which is closed with it.
    pub(crate) fn of(id: SourceId) -> Connection {
        Connection(id)
    }

    /// Takes over a datagram socket.
    pub(crate) fn of_datagrams(fd: OwnedDescriptor, traits: Traits) -> io::Result<Connection> {
        source::add_datagrams(fd, traits).map(Connection)
    }

    pub(crate) fn source(&self) -> SourceId {
        self.0
    }

    fn descriptor(&self) -> io::Result<Descriptor> {
        source::descriptor(self.0)
    }

    pub(crate) fn local_name(&self) -> io::Result<RawAddress> {
        name(Control::SocketName {
            fd: self.descriptor()?,
        })
    }

    pub(crate) fn peer_name(&self) -> io::Result<RawAddress> {
        name(Control::PeerName {
            fd: self.descriptor()?,
        })
    }

    pub(crate) fn set_option(&self, option: SocketOption) -> io::Result<()> {
        set_option(self.descriptor()?, option)
    }

    pub(crate) fn option(&self, option: OptionName) -> io::Result<SocketOption> {
        match control(Control::GetOption {
            fd: self.descriptor()?,
            option,
        })? {
            Answer::Option(option) => Ok(option),
            other => unreachable!("an option was asked for, the answer is {other:?}"),
        }
    }

    pub(crate) fn take_error(&self) -> io::Result<Option<io::Error>> {
        match control(Control::TakeError {
            fd: self.descriptor()?,
        })? {
            Answer::Number(0) => Ok(None),
            Answer::Number(errno) => Ok(Some(io::Error::from_raw_os_error(errno))),
            other => unreachable!("an error was asked for, the answer is {other:?}"),
        }
    }

    pub(crate) async fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        Transfer::<op::shutdown::Shutdown>::new(self.0, Some(number(how))).await
    }

    /// Sends the end of the stream in the background, after what was written.
    pub(crate) fn shutdown_write_later(&self) {
        source::shutdown_write(self.0);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        source::close(self.0);
    }
}

/// In the kernel's counting: `SHUT_…`.
pub(crate) fn number(how: Shutdown) -> i32 {
    match how {
        Shutdown::Read => libc::SHUT_RD,
        Shutdown::Write => libc::SHUT_WR,
        Shutdown::Both => libc::SHUT_RDWR,
    }
}

/// Asks the driver something that it answers at once.
pub(crate) fn control(control: Control) -> io::Result<Answer> {
    context::with(|core| core.driver.borrow_mut().control(control))
        .unwrap_or_else(|| Err(outside_error()))
}

pub(crate) fn set_option(fd: Descriptor, option: SocketOption) -> io::Result<()> {
    control(Control::SetOption { fd, option }).map(drop)
}

/// The name of a socket, or of its peer.
pub(crate) fn name(question: Control) -> io::Result<RawAddress> {
    match control(question)? {
        Answer::Name(name) => Ok(RawAddress::new(name.as_bytes())),
        other => unreachable!("a name was asked for, the answer is {other:?}"),
    }
}

/// Two sockets of this kind (`SOCK_…`) that are connected with each other.
pub(crate) fn pair(domain: i32, kind: i32) -> io::Result<(OwnedDescriptor, OwnedDescriptor)> {
    match control(Control::SocketPair {
        domain,
        kind: kind | libc::SOCK_CLOEXEC,
        protocol: 0,
    })? {
        Answer::Pair([first, second]) => Ok((own(first), own(second))),
        other => unreachable!("a pair was asked for, the answer is {other:?}"),
    }
}

/// Two halves that do not belong to the same stream; holds both.
pub struct ReuniteError<R, W>(pub R, pub W);

impl<R, W> fmt::Debug for ReuniteError<R, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReuniteError(..)")
    }
}

impl<R, W> fmt::Display for ReuniteError<R, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("these halves do not belong to the same stream")
    }
}

impl<R, W> std::error::Error for ReuniteError<R, W> {}
