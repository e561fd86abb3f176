//! An echo server as a bare loop.

use std::io;
use std::net::TcpListener;
use std::time::Duration;

use super::connections::{Connections, Kind};
use super::ring::{Completed, Ring};
use crate::peers::{Job, Served};

/// Accepts the connections of the job, sends back what comes, and returns when all are closed: the
/// echo server as a bare loop.
///
/// # Errors
///
/// If there is no ring, or a connection breaks.
pub fn serve(job: &Job) -> io::Result<Served> {
    serve_in_pieces(job, job.bytes)
}

/// The same with buffers of another size.
pub(crate) fn serve_in_pieces(job: &Job, bytes: usize) -> io::Result<Served> {
    serve_by(job, bytes, |ring, completed| ring.turn(1, completed))
}

/// The same, and it looks on for up to so long before each sleep, whatever comes of it.
pub(crate) fn serve_looking_on(job: &Job, longest: Duration) -> io::Result<Served> {
    serve_by(job, job.bytes, |ring, completed| {
        ring.turn_looking_on(longest, completed)
    })
}

fn serve_by(
    job: &Job,
    bytes: usize,
    turn: impl Fn(&mut Ring, &mut Vec<Completed>) -> io::Result<()>,
) -> io::Result<Served> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    job.listening(listener.local_addr()?);
    let mut streams = Vec::with_capacity(job.connections);
    for _ in 0..job.connections {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        streams.push(stream);
    }

    let mut ring = Ring::new(job.connections * 2)?;
    let mut connections = Connections::new(streams, bytes);
    let mut to_send = vec![0..0; job.connections];
    for index in 0..connections.len() {
        connections.receive(&mut ring, index, 0)?;
    }
    let mut completed = Vec::new();
    while connections.in_flight() > 0 {
        turn(&mut ring, &mut completed)?;
        for completion in completed.drain(..) {
            let (index, kind, result) = connections.completed(completion);
            let count = result?;
            let rest = &mut to_send[index];
            match kind {
                // The end of this connection: nothing is asked for any more.
                Kind::Receive if count == 0 => continue,
                Kind::Receive => {
                    connections.swap(index);
                    *rest = 0..count;
                }
                Kind::Send => rest.start += count,
            }
            if rest.start == rest.end {
                connections.receive(&mut ring, index, 0)?;
            } else {
                connections.send(&mut ring, index, rest.start, rest.end)?;
            }
        }
    }
    Ok(Served {
        enters: Some(ring.enters),
        detail: Some(ring.flags.to_owned()),
    })
}
