//! Two pipes for each pair of heroes, one each way, laid before they are born.

use std::io;
use std::os::fd::OwnedFd;

use krug::pipe::{Receiver, Sender, pipe};

use super::{Link, Transport};

/// One hero's ends of the two pipes to another.
#[derive(Debug)]
pub struct PipeLink {
    sender: Sender,
    receiver: Receiver,
}

impl PipeLink {
    /// Lays two pipes and hands out both pairs of ends.
    ///
    /// # Errors
    ///
    /// What the kernel says when it makes no pipe.
    pub async fn pair() -> io::Result<(PipeLink, PipeLink)> {
        let (sender_there, receiver_here) = pipe().await?;
        let (sender_here, receiver_there) = pipe().await?;
        Ok((
            PipeLink {
                sender: sender_here,
                receiver: receiver_here,
            },
            PipeLink {
                sender: sender_there,
                receiver: receiver_there,
            },
        ))
    }
}

/// What a [`PipeLink`] is made of, before it belongs to a core.
#[derive(Debug)]
pub struct PipeEnds {
    writer: OwnedFd,
    reader: OwnedFd,
}

impl PipeEnds {
    /// Lays two pipes and hands out both pairs of ends.
    ///
    /// # Errors
    ///
    /// What the kernel says when it makes no pipe.
    pub fn pair() -> io::Result<(PipeEnds, PipeEnds)> {
        let (reader_here, writer_there) = io::pipe()?;
        let (reader_there, writer_here) = io::pipe()?;
        let ends = |writer: io::PipeWriter, reader: io::PipeReader| PipeEnds {
            writer: writer.into(),
            reader: reader.into(),
        };
        Ok((
            ends(writer_here, reader_here),
            ends(writer_there, reader_there),
        ))
    }
}

impl PipeLink {
    /// Of ends that belong to this core from now on.
    ///
    /// # Errors
    ///
    /// Outside a runtime; the pipes are closed then.
    pub fn over(ends: PipeEnds) -> io::Result<PipeLink> {
        Ok(PipeLink {
            sender: Sender::from_owned_fd(ends.writer)?,
            receiver: Receiver::from_owned_fd(ends.reader)?,
        })
    }
}

impl Link for PipeLink {
    async fn send(&self, bytes: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
        self.sender.write_all(bytes).await
    }

    async fn receive(&self, buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        self.receiver.read(buffer).await
    }
}

/// A hero's ends of all his pipes, in any order.
#[derive(Debug)]
pub struct Pipes(pub Vec<PipeLink>);

impl Transport for Pipes {
    type Link = PipeLink;

    async fn connect(self) -> Vec<PipeLink> {
        self.0
    }
}
