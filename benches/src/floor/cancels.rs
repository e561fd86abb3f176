//! Receives that are started and cancelled, as a bare loop: one on every connection, then a cancel of each, again and again.

use std::io::{self, Write};
use std::net::TcpStream;

use super::connections::{CANCEL, Connections, Kind};
use super::ring::Ring;

/// Starts and cancels at least so many; says how many. In the end `message` comes in on every connection, sent by `peers`.
pub(crate) fn run(
    streams: Vec<TcpStream>,
    mut peers: Vec<TcpStream>,
    message: &[u8],
    operations: u64,
) -> io::Result<u64> {
    let count = streams.len();
    let mut ring = Ring::new(count * 2)?;
    let mut connections = Connections::new(streams, message.len());
    let mut completed = Vec::with_capacity(count * 2);
    let mut done = 0;
    while done < operations {
        for index in 0..count {
            connections.receive(&mut ring, index, 0)?;
        }
        // They are with the kernel before anybody changes his mind.
        ring.turn(0, &mut completed)?;
        for index in 0..count {
            connections.cancel_receive(&mut ring, index)?;
        }
        while completed.len() < count * 2 {
            ring.turn(count * 2 - completed.len(), &mut completed)?;
        }
        for completion in completed.drain(..) {
            if completion.0 == CANCEL {
                continue;
            }
            match connections.completed(completion) {
                (_, _, Err(error)) if error.raw_os_error() == Some(libc::ECANCELED) => done += 1,
                _ => return Err(io::Error::other("something has come that nobody sent")),
            }
        }
    }
    for (index, peer) in peers.iter_mut().enumerate() {
        peer.write_all(message)?;
        connections.receive(&mut ring, index, 0)?;
    }
    while connections.in_flight() > 0 {
        ring.turn(1, &mut completed)?;
        for completion in completed.drain(..) {
            let (index, kind, received) = connections.completed(completion);
            let is_whole = kind == Kind::Receive && received? == message.len();
            if !is_whole || connections.incoming(index) != message {
                return Err(io::Error::other("something else has come"));
            }
        }
    }
    Ok(done)
}
