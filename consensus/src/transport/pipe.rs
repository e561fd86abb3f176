//! Two pipes for each pair of heroes, one each way, laid before they are born.

use std::io;

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
