//! An echo beside a task that computes for 5 ms at a time: how long its clients wait.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use super::echo::{joined, pin};
use crate::floor::system;
use crate::harness::machine::Machine;
use crate::harness::report::{self, Line};
use crate::options::Options;
use crate::peers::{BESIDE_A_HOG, Job, PeerBesideAHog, hog};

/// Each on a thread that waits for its answer.
const CLIENTS_MAX: usize = 16;

pub(crate) fn run(options: &Options, machine: &Machine) -> io::Result<()> {
    let clients = options.connections.min(CLIENTS_MAX);
    println!(
        "\nhog: an echo, {} bytes × {clients} connections, one message on each, beside a task that computes for {} ms at a time; {} s",
        options.bytes,
        hog::POLL.as_millis(),
        options.measured.as_secs_f64()
    );
    println!(
        "{:<26} {:>10} {:>10} {:>10} {:>10} {:>10}",
        "", "p50 µs", "p99 µs", "most µs", "messages", "hog polls"
    );
    for peer in BESIDE_A_HOG {
        let seen = run_once(peer, clients, options)
            .map_err(|error| io::Error::other(format!("{}: {error}", peer.name)))?;
        let (half, most_of_all, most) = (seen.at(50), seen.at(99), seen.at(100));
        println!(
            "{:<26} {half:>10.0} {most_of_all:>10.0} {most:>10.0} {:>10} {:>10}",
            peer.name,
            seen.waits.len(),
            seen.hog_polls
        );
        let mut line = Line::of(machine, "hog", "runs");
        line.text("peer", peer.name)
            .number("connections", clients as f64)
            .number("p50_us", half)
            .number("p99_us", most_of_all)
            .number("hog_polls", seen.hog_polls as f64);
        report::keep(options.json.as_deref(), &line)?;
    }
    Ok(())
}

struct Seen {
    /// Microseconds, in order.
    waits: Vec<f64>,
    hog_polls: u64,
}

impl Seen {
    fn at(&self, percent: usize) -> f64 {
        let last = self.waits.len().saturating_sub(1);
        let wait = self.waits.get(last * percent / 100);
        wait.copied().unwrap_or(f64::NAN)
    }
}

fn run_once(peer: &'static PeerBesideAHog, clients: usize, options: &Options) -> io::Result<Seen> {
    let cores = system::allowed_cores();
    let (report_address, address) = mpsc::channel();
    let job = Job {
        connections: clients,
        bytes: options.bytes,
        announce: Box::new(move |address| {
            // Nobody waits for it any more if a client failed; the server sees that by itself.
            let _ = report_address.send(address);
        }),
    };
    let of_server = cores.clone();
    let server = thread::spawn(move || pin(&of_server, 0).and_then(|()| (peer.echo)(&job)));
    let Ok(address) = address.recv() else {
        joined(server)?;
        return Err(io::Error::other("the server ended without a word"));
    };
    let begin = Instant::now();
    let (counted_from, end) = (
        begin + options.warm_up,
        begin + options.warm_up + options.measured,
    );
    let threads: Vec<_> = (0..clients)
        .map(|_| {
            let (cores, bytes) = (cores.clone(), options.bytes);
            thread::spawn(move || {
                pin(&cores, 1)?;
                ask(address, bytes, counted_from, end)
            })
        })
        .collect();
    let mut waits = Vec::new();
    for thread in threads {
        waits.extend(joined(thread)?);
    }
    waits.sort_by(f64::total_cmp);
    let hog_polls = joined(server)?;
    Ok(Seen { waits, hog_polls })
}

/// Sends a message, waits for it to come back, again and again. How long it waited each time, in microseconds; once at least, however slow the
/// machine is.
fn ask(
    address: SocketAddr,
    bytes: usize,
    counted_from: Instant,
    end: Instant,
) -> io::Result<Vec<f64>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let message: Vec<u8> = (0..bytes).map(|place| place as u8).collect();
    let mut answer = vec![0; bytes];
    let mut waits = Vec::new();
    loop {
        let sent = Instant::now();
        // On a machine with other work one answer may take longer than everything was to take.
        if sent >= end && !waits.is_empty() {
            return Ok(waits);
        }
        stream.write_all(&message)?;
        stream.read_exact(&mut answer)?;
        if answer != message {
            return Err(io::Error::other("the server sent back something else"));
        }
        if sent >= counted_from {
            waits.push(sent.elapsed().as_secs_f64() * 1e6);
        }
        answer.fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Parsed, parse};

    #[test]
    fn every_server_echoes_beside_its_hog() {
        let line = "hog --quick --connections 3";
        let Ok(Parsed::Run(options)) = parse(line.split_whitespace().map(str::to_owned)) else {
            panic!("{line}")
        };
        for peer in BESIDE_A_HOG {
            let seen = run_once(peer, 3, &options).unwrap();
            assert!(!seen.waits.is_empty(), "{}: nothing came back", peer.name);
            assert!(seen.hog_polls > 0, "{}: the hog never ran", peer.name);
            assert!(seen.at(50) <= seen.at(99));
        }
    }
}
