//! What a connection costs that does nothing: memory of a process that only serves.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use krug_benches::harness::Job;
use krug_benches::harness::machine::Machine;
use krug_benches::harness::report::{self, Line};

use crate::limits;
use crate::options::Options;
use crate::peers::{self, Peer};

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
    let connections = wanted.min(limits::connections(1)?).max(FEW + 1);
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

/// What the process does: it serves, on its only thread.
pub(super) fn serve(peer: &Peer, options: &Options) -> io::Result<()> {
    limits::descriptors()?;
    let job = Job {
        connections: options.connections.unwrap_or(CONNECTIONS),
        bytes: options.bytes,
        announce: Box::new(|address| println!("{address}")),
    };
    (peer.echo)(&job).map(|_| ())
}

/// Memory of one connection, in bytes: what a server of many needs more than one of few.
fn each(peer: &Peer, options: &Options, connections: usize) -> io::Result<f64> {
    let few = weigh(peer, options, FEW)?;
    let many = weigh(peer, options, connections)?;
    Ok(many.saturating_sub(few) as f64 / (connections - FEW) as f64)
}

/// Memory of a server of so many connections, in bytes.
fn weigh(peer: &Peer, options: &Options, connections: usize) -> io::Result<u64> {
    let mut server = start(peer, options, connections)?;
    let outcome = connect_and_weigh(&mut server, options, connections);
    if outcome.is_err() {
        // It may have ended by itself.
        let _ = server.kill();
    }
    let status = server.wait()?;
    let bytes = outcome?;
    if status.success() {
        Ok(bytes)
    } else {
        Err(io::Error::other(format!("the server: {status}")))
    }
}

fn start(peer: &Peer, options: &Options, connections: usize) -> io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["idle", "--served", peer.name]);
    command.args(["--connections", &connections.to_string()]);
    command.args(["--bytes", &options.bytes.to_string()]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()
}

fn connect_and_weigh(server: &mut Child, options: &Options, connections: usize) -> io::Result<u64> {
    let output = server.stdout.take().expect("it has a pipe");
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    let address: SocketAddr = line.trim().parse().map_err(io::Error::other)?;
    let mut streams = Vec::with_capacity(connections);
    for _ in 0..connections {
        streams.push(TcpStream::connect(address)?);
    }
    for stream in &mut streams {
        greet(stream, options.bytes)?;
    }
    anonymous(server.id())
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

/// Memory of a process that no file stands behind, in bytes.
fn anonymous(process: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    in_rollup(&text).ok_or_else(|| io::Error::other("the kernel does not tell a process's memory"))
}

fn in_rollup(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Anonymous:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_off_what_the_kernel_tells() {
        let text = "5581-7ffc ---p 0 00:00 0 [rollup]\nRss:  900 kB\nAnonymous:      123 kB\n";
        assert_eq!(in_rollup(text), Some(123 * 1024));
        assert_eq!(in_rollup("Rss: 1 kB\n"), None);
        assert!(anonymous(std::process::id()).unwrap() > 0);
    }
}
