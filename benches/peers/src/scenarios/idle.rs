//! What a connection costs that does nothing: memory of a process that only serves.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use krug_benches::harness::apart::{self, Apart};
use krug_benches::harness::machine::Machine;
use krug_benches::harness::process::anonymous_memory;
use krug_benches::harness::report::{self, Line};

use crate::options::Options;
use crate::peers::{self, Peer};
use crate::scenarios::served;

const CONNECTIONS: usize = 10_000;
const CONNECTIONS_QUICK: usize = 500;
/// What a server needs with these is not theirs.
const FEW: usize = 10;
/// A server that does not answer is not waited for.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn run(
    options: &Options,
    machine: &Machine,
    others: &[&'static Peer],
) -> io::Result<()> {
    let default = if options.quick {
        CONNECTIONS_QUICK
    } else {
        CONNECTIONS
    };
    let wanted = options.connections.unwrap_or(default);
    // The server is another process.
    let connections = wanted.min(apart::connections_max()?).max(FEW + 1);
    let what = format!(
        "{connections} connections that have echoed {} bytes once",
        options.bytes
    );
    println!("\nidle, {what}; anonymous memory of the server's process for each");
    if connections < wanted {
        println!("fewer than {wanted}: no more descriptors are allowed here");
    }
    let subject = [peers::subject(), peers::subject_in_recv()];
    let others = others.iter().copied().filter(|peer| !peer.is_ours());
    for peer in subject.into_iter().chain(others) {
        let bytes = each(peer, options, connections)
            .map_err(|error| io::Error::other(format!("{}: {error}", peer.name)))?;
        println!("{:<13} {bytes:>8.0} bytes each", peer.name);
        let mut line = Line::of(machine, "peers-idle", "runs");
        line.text("what", &what).text("peer", peer.name);
        line.numbers("bytes_per_connection", [bytes]);
        report::keep(options.json.as_deref(), &line)?;
    }
    Ok(())
}

/// Memory of one connection, in bytes: what a server of many needs more than one of few.
fn each(peer: &Peer, options: &Options, connections: usize) -> io::Result<f64> {
    let few = weigh(peer, options, FEW)?;
    let many = weigh(peer, options, connections)?;
    Ok(many.saturating_sub(few) as f64 / (connections - FEW) as f64)
}

/// Memory of a server of so many connections, in bytes.
fn weigh(peer: &Peer, options: &Options, connections: usize) -> io::Result<u64> {
    let server = Apart::begin(&mut served(peer, connections, options.bytes)?)?;
    let mut streams = Vec::with_capacity(connections);
    for _ in 0..connections {
        streams.push(TcpStream::connect(server.address())?);
    }
    for stream in &mut streams {
        greet(stream, options.bytes)?;
    }
    let bytes = anonymous_memory(server.id())?;
    drop(streams);
    server.ended()?;
    Ok(bytes)
}

/// Once the server has answered, it waits for the next message.
fn greet(stream: &mut TcpStream, bytes: usize) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let message = vec![7; bytes];
    stream.write_all(&message)?;
    let mut answer = vec![0; bytes];
    stream.read_exact(&mut answer)?;
    if answer == message {
        Ok(())
    } else {
        Err(io::Error::other("the server sent back something else"))
    }
}
