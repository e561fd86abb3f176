//! Connections on which nothing comes: the memory that each takes of its server, and what the server costs meanwhile.
//!
//! The server is a process of its own, so that its memory is its own. What the kernel holds for a socket is not counted: it is the same for
//! all. Every connection has been used once before it is idle.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::course::refusal;
use super::served;
use crate::floor::limits::raise_descriptor_limit;
use crate::harness::apart::Apart;
use crate::harness::machine::Machine;
use crate::harness::process::{Cost, anonymous_memory};
use crate::harness::report::{self, Line};
use crate::options::Options;
use crate::peers::{self, PEERS, Peer, RECV, WITHOUT_BUFFERS};

const CONNECTIONS: usize = 10_000;
const CONNECTIONS_QUICK: usize = 1000;
/// Those that are there before memory is looked at: what a server needs to serve at all does not count.
const WARM_UP: usize = 10;
/// Descriptors of each side that are no connections.
const OTHER_DESCRIPTORS: u64 = 100;
/// What each connection reads into, if it holds a buffer.
const BUFFER: usize = 4096;
const MESSAGE: &[u8] = &[7; 64];
/// For everything that was begun to come to its end.
const SETTLE: Duration = Duration::from_millis(100);
/// How long nothing happens, at least and at most.
const IDLE: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(10)];
/// A server that does not answer in this time never will.
const PATIENCE: Duration = Duration::from_secs(20);

/// The loops of the echo serve nobody before all are there: their connections cannot come one by one.
const SERVES_ALL_OR_NONE: [&str; 3] = ["floor", "floor-spin", "floor-epoll"];

/// What is compared, who holds it, and what it should come to.
const TIERS: [(&str, &[Peer], &str); 2] = [
    (
        "waiting without a buffer",
        WITHOUT_BUFFERS,
        "600 bytes or less",
    ),
    (
        "waiting with a buffer of 4096 bytes",
        PEERS,
        "little above 4096",
    ),
];

pub(crate) fn run(options: &Options, machine: &Machine) -> io::Result<()> {
    let wanted = if options.quick {
        CONNECTIONS_QUICK
    } else {
        CONNECTIONS
    };
    let granted = raise_descriptor_limit()?.saturating_sub(OTHER_DESCRIPTORS);
    let connections = wanted.min(usize::try_from(granted).unwrap_or(usize::MAX));
    if connections <= WARM_UP {
        println!("\nidle: skipped, as the system grants only {granted} descriptors");
        return Ok(());
    }
    if connections < wanted {
        println!("\nidle: {connections} connections instead of {wanted}, for want of descriptors");
    }
    let span = options.measured.clamp(IDLE[0], IDLE[1]);
    for (tier, all, bar) in TIERS {
        println!(
            "\nidle, {tier}: {connections} connections, nothing for {} s; wanted: {bar}",
            span.as_secs_f64()
        );
        println!(
            "{:<16} {:>10} {:>14} {:>10} {:>12} {:>8}",
            "", "bytes each", "µs of CPU a s", "ticks", "sleeps a s", "threads"
        );
        for peer in chosen(options, all)? {
            if let Some(reason) = refusal(peer.name.trim_end_matches(RECV)) {
                println!("{}: skipped: {reason}", peer.name);
                continue;
            }
            let seen = look(peer, connections, span)
                .map_err(|error| io::Error::other(format!("{}: {error}", peer.name)))?;
            tell(peer, &seen);
            keep(options, machine, tier, connections, (peer, &seen))?;
        }
    }
    Ok(())
}

/// All, or the subject and those that were named.
fn chosen<'a>(options: &Options, all: &'a [Peer]) -> io::Result<Vec<&'a Peer>> {
    let mut names = vec![peers::named(&options.subject())?.name];
    for name in options.peers() {
        names.push(peers::named(&name)?.name);
    }
    let is_chosen = |peer: &&Peer| {
        let name = peer.name.trim_end_matches(RECV);
        !SERVES_ALL_OR_NONE.contains(&peer.name) && (names.len() == 1 || names.contains(&name))
    };
    Ok(all.iter().filter(is_chosen).collect())
}

/// What was seen of a server whose connections are idle.
struct Seen {
    bytes_each: f64,
    span: Duration,
    busy: Duration,
    ticks: u64,
    sleeps: u64,
    threads: usize,
}

fn tell(peer: &Peer, seen: &Seen) {
    let seconds = seen.span.as_secs_f64();
    println!(
        "{:<16} {:>10.0} {:>14.1} {:>10} {:>12.1} {:>8}",
        peer.name,
        seen.bytes_each,
        seen.busy.as_secs_f64() * 1e6 / seconds,
        seen.ticks,
        seen.sleeps as f64 / seconds,
        seen.threads,
    );
}

fn keep(
    options: &Options,
    machine: &Machine,
    tier: &str,
    connections: usize,
    (peer, seen): (&Peer, &Seen),
) -> io::Result<()> {
    let seconds = seen.span.as_secs_f64();
    let mut line = Line::of(machine, served::IDLE, "runs");
    line.text("what", tier)
        .text("peer", peer.name.trim_end_matches(RECV));
    line.number("connections", connections as f64)
        .number("seconds", seconds);
    line.numbers("bytes_each", [seen.bytes_each]);
    line.numbers(
        "cpu_us_per_second",
        [seen.busy.as_secs_f64() * 1e6 / seconds],
    );
    line.numbers("sleeps_per_second", [seen.sleeps as f64 / seconds]);
    line.number("threads", seen.threads as f64);
    report::keep(options.json.as_deref(), &line)
}

fn look(peer: &Peer, connections: usize, span: Duration) -> io::Result<Seen> {
    let server = Apart::begin(&mut served::command(
        served::IDLE,
        peer,
        connections,
        BUFFER,
    )?)?;
    let (process, address) = (server.id(), server.address());
    let mut clients = Vec::with_capacity(connections);
    while clients.len() < WARM_UP {
        clients.push(connect(address)?);
    }
    thread::sleep(SETTLE);
    let before = anonymous_memory(process)?;
    while clients.len() < connections {
        clients.push(connect(address)?);
    }
    thread::sleep(SETTLE);
    let after = anonymous_memory(process)?;
    let (begin, cost_before) = (Instant::now(), Cost::of(process)?);
    thread::sleep(span);
    let (cost_after, span) = (Cost::of(process)?, begin.elapsed());
    // They were idle, not dead.
    clients.iter_mut().try_for_each(use_once)?;
    drop(clients);
    server.ended()?;
    Ok(Seen {
        bytes_each: (after as f64 - before as f64) / (connections - WARM_UP) as f64,
        span,
        busy: cost_after.busy.saturating_sub(cost_before.busy),
        ticks: cost_after.ticks.saturating_sub(cost_before.ticks),
        sleeps: cost_after.sleeps.saturating_sub(cost_before.sleeps),
        threads: cost_after.threads,
    })
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    use_once(&mut stream)?;
    Ok(stream)
}

fn use_once(stream: &mut TcpStream) -> io::Result<()> {
    let mut answer = [0; MESSAGE.len()];
    stream.write_all(MESSAGE)?;
    stream.read_exact(&mut answer)?;
    if answer == MESSAGE {
        Ok(())
    } else {
        Err(io::Error::other("the server sent back something else"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::serving::beside_server;
    use crate::options::{Parsed, parse};

    #[test]
    fn servers_without_buffers_answer_each_of_their_connections_again() {
        for peer in WITHOUT_BUFFERS {
            let seen = beside_server((peer.name, peer.echo), 5, BUFFER, |place| {
                let mut clients = Vec::new();
                for _ in 0..5 {
                    clients.push(connect(place.address)?);
                }
                clients.iter_mut().try_for_each(use_once)
            });
            seen.unwrap_or_else(|error| panic!("{}: {error}", peer.name));
        }
    }

    #[test]
    fn who_is_named_is_looked_at_in_both_tiers_beside_the_subject() {
        let names = |line: &str, all: &'static [Peer]| {
            let Ok(Parsed::Run(options)) = parse(line.split_whitespace().map(str::to_owned)) else {
                panic!("{line}")
            };
            let chosen = chosen(&options, all).unwrap();
            chosen.iter().map(|peer| peer.name).collect::<Vec<_>>()
        };
        let line = "idle --driver epoll --peer tokio";
        assert_eq!(names(line, PEERS), ["krug-epoll", "tokio"]);
        let recv = ["krug-epoll-recv", "tokio-recv"];
        assert_eq!(names(line, WITHOUT_BUFFERS), recv);
        assert_eq!(
            names("idle", PEERS).len(),
            PEERS.len() - SERVES_ALL_OR_NONE.len()
        );
        assert_eq!(names("idle", WITHOUT_BUFFERS).len(), WITHOUT_BUFFERS.len());
    }
}
