//! One connection that is never waited for. Shared by the models that are told when it is ready.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use super::RECEIVED_MAX;
use super::conversation::{After, Conversation, Step};
use super::files::Files;

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interest {
    Readable,
    Writable,
}

/// A connection and what is said on it.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    conversation: Conversation,
    pub(crate) interest: Interest,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Connection> {
        stream.set_nonblocking(true)?;
        Ok(Connection {
            stream,
            conversation: Conversation::new(After::Keep),
            interest: Interest::Readable,
        })
    }

    pub(crate) fn descriptor(&self) -> RawFd {
        self.stream.as_raw_fd()
    }

    /// Goes on as far as it can when what it waits for has come. It reads once at most, so that nobody keeps the others waiting; if
    /// there is more, it is ready again at once. False when it is over.
    pub(crate) fn advance(&mut self, files: &Files) -> bool {
        let mut may_read = true;
        loop {
            match self.conversation.step() {
                Step::Receive if may_read => {
                    may_read = false;
                    let mut buffer = [0; RECEIVED_MAX];
                    match self.stream.read(&mut buffer) {
                        Ok(0) => self.conversation.ended(),
                        Ok(count) => self.conversation.received(&buffer[..count]),
                        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                        Err(error) if error.kind() == ErrorKind::Interrupted => may_read = true,
                        Err(_) => return false,
                    }
                }
                Step::Receive => {
                    self.interest = Interest::Readable;
                    return true;
                }
                Step::Send => match self.stream.write(self.conversation.unsent()) {
                    Ok(count) => self.conversation.sent(count),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        self.interest = Interest::Writable;
                        return true;
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => return false,
                },
                Step::Load(name) => {
                    let content = files.load(&name);
                    self.conversation.loaded(content.as_deref());
                }
                Step::Close => return false,
            }
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
