//! The load generator: sends on every connection, waits until all has come back, compares, repeats.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::connections::{Connections, Kind};
use super::ring::Ring;
use super::system;

/// What to generate.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) bytes: usize,
    /// Messages sent at once; the next ones follow when all came back.
    pub(crate) in_flight: usize,
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
    /// The thread of the server, whose time on the processor is taken over the same span.
    pub(crate) server_thread: String,
    /// System calls of the server so far, if somebody counts them.
    pub(crate) server_calls: Arc<AtomicU64>,
}

/// What was seen between the end of the warm-up and the end.
#[derive(Debug, Clone, Copy)]
pub struct Generated {
    /// That came back.
    pub messages: u64,
    /// From the end of the warm-up to the end.
    pub elapsed: Duration,
    /// Time on a processor of the server's thread.
    pub server_busy: Duration,
    /// The same of the load generator.
    pub load_busy: Duration,
    /// Of the whole run, warm-up included: what system calls of the server are divided by.
    pub messages_of_run: u64,
    /// Half of the messages that were sent at once came back within this time.
    pub p50: Duration,
    /// The same of 99 in 100.
    pub p99: Duration,
}

/// What a server was seen to do between two moments at which nothing was under way, so that calls and messages belong together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted {
    pub(crate) messages: u64,
    pub(crate) server_calls: u64,
    /// Threads of the process in which the server runs, at work.
    pub(crate) threads: usize,
}

/// How far a connection has come with what it sends.
#[derive(Debug, Clone, Copy)]
struct Progress {
    sent: usize,
    received: usize,
    round: u64,
    began: Instant,
}

struct Generator {
    ring: Ring,
    connections: Connections,
    progress: Vec<Progress>,
    bytes: usize,
    length: usize,
    rounds: u64,
    /// The clock is read once for all that has come back meanwhile: one that is late makes all of them late.
    now: Instant,
    /// Of rounds, in nanoseconds.
    latencies: Histogram<u64>,
}

/// Longer ones are counted as this.
const LATENCY_MAX: u64 = 60_000_000_000;

/// A point in time, in every measure.
struct Mark {
    at: Instant,
    server: Duration,
    load: Duration,
    rounds: u64,
}

/// Connects, runs, closes. Fails if a byte comes back wrong or a connection ends early.
pub(crate) fn generate(load: &Load) -> io::Result<Generated> {
    let mut generator = Generator::connect(load)?;
    let own_thread = system::current_thread();
    let mark = |rounds| Mark {
        at: Instant::now(),
        server: system::busy_time(&load.server_thread),
        load: system::busy_time(&own_thread),
        rounds,
    };
    generator.run_for(load.warm_up)?;
    generator.latencies.clear();
    let start = mark(generator.rounds);
    generator.run_until(start.at + load.measured)?;
    let end = mark(generator.rounds);
    let quantile = |quantile| {
        let nanoseconds = generator.latencies.value_at_quantile(quantile);
        Duration::from_nanos(nanoseconds)
    };
    let (p50, p99) = (quantile(0.5), quantile(0.99));
    generator.finish()?;
    let in_flight = load.in_flight as u64;
    Ok(Generated {
        messages: (end.rounds - start.rounds) * in_flight,
        elapsed: end.at - start.at,
        server_busy: end.server.saturating_sub(start.server),
        load_busy: end.load.saturating_sub(start.load),
        messages_of_run: generator.rounds * in_flight,
        p50,
        p99,
    })
}

/// As [`generate`], for a server whose calls somebody counts.
pub(crate) fn generate_counted(load: &Load) -> io::Result<Counted> {
    let mut generator = Generator::connect(load)?;
    generator.run_for(load.warm_up)?;
    generator.finish()?;
    let calls = || load.server_calls.load(Ordering::Relaxed);
    let (calls_before, rounds_before) = (calls(), generator.rounds);
    generator.run_for(load.measured)?;
    let threads = system::threads_beside(&load.server_thread);
    generator.finish()?;
    Ok(Counted {
        messages: (generator.rounds - rounds_before) * load.in_flight as u64,
        server_calls: calls() - calls_before,
        threads,
    })
}

impl Generator {
    fn connect(load: &Load) -> io::Result<Generator> {
        let mut streams = Vec::with_capacity(load.connections);
        for _ in 0..load.connections {
            let stream = TcpStream::connect(load.address)?;
            stream.set_nodelay(true)?;
            system::use_cubic(&stream)?;
            streams.push(stream);
        }
        let length = load.bytes * load.in_flight;
        let mut connections = Connections::new(streams, length);
        for index in 0..load.connections {
            for (place, byte) in connections.outgoing_mut(index).iter_mut().enumerate() {
                *byte = (place * 31 + index * 7) as u8;
            }
        }
        let now = Instant::now();
        let begun = Progress {
            sent: 0,
            received: 0,
            round: 0,
            began: now,
        };
        let latencies = Histogram::new_with_bounds(1, LATENCY_MAX, 2).map_err(io::Error::other)?;
        Ok(Generator {
            ring: Ring::new(load.connections * 2)?,
            connections,
            progress: vec![begun; load.connections],
            bytes: load.bytes,
            length,
            rounds: 0,
            now,
            latencies,
        })
    }

    /// Marks every message with the number of its round, so that an old one is not taken for it.
    fn begin_round(&mut self, index: usize) -> io::Result<()> {
        let progress = &mut self.progress[index];
        *progress = Progress {
            sent: 0,
            received: 0,
            round: progress.round + 1,
            began: self.now,
        };
        let stamp = progress.round.to_le_bytes();
        for message in self.connections.outgoing_mut(index).chunks_mut(self.bytes) {
            let length = message.len().min(stamp.len());
            message[..length].copy_from_slice(&stamp[..length]);
        }
        self.connections
            .send(&mut self.ring, index, 0, self.length)?;
        self.connections.receive(&mut self.ring, index, 0)
    }

    /// Begins on all connections, and goes on.
    fn run_for(&mut self, time: Duration) -> io::Result<()> {
        self.now = Instant::now();
        for index in 0..self.connections.len() {
            self.begin_round(index)?;
        }
        self.run_until(self.now + time)
    }

    fn run_until(&mut self, end: Instant) -> io::Result<()> {
        while self.now < end {
            self.turn(true)?;
        }
        Ok(())
    }

    /// Waits for what is under way and begins nothing new.
    fn finish(&mut self) -> io::Result<()> {
        while self.connections.in_flight() > 0 {
            self.turn(false)?;
        }
        Ok(())
    }

    fn turn(&mut self, goes_on: bool) -> io::Result<()> {
        let mut completed = Vec::with_capacity(self.connections.len() * 2);
        self.ring.turn(1, &mut completed)?;
        self.now = Instant::now();
        for completion in completed {
            let (index, kind, result) = self.connections.completed(completion);
            self.advance(index, kind, result?, goes_on)?;
        }
        Ok(())
    }

    fn advance(&mut self, index: usize, kind: Kind, count: usize, goes_on: bool) -> io::Result<()> {
        let progress = &mut self.progress[index];
        match kind {
            Kind::Receive if count == 0 => {
                return Err(io::Error::other("the server closed a connection"));
            }
            Kind::Receive => {
                progress.received += count;
                if progress.received < self.length {
                    return self
                        .connections
                        .receive(&mut self.ring, index, progress.received);
                }
            }
            Kind::Send => {
                progress.sent += count;
                if progress.sent < self.length {
                    return self.connections.send(
                        &mut self.ring,
                        index,
                        progress.sent,
                        self.length,
                    );
                }
            }
        }
        if progress.sent < self.length || progress.received < self.length {
            return Ok(());
        }
        if !self.connections.came_back(index) {
            return Err(io::Error::other("the server sent back something else"));
        }
        self.rounds += 1;
        let latency = self.now.duration_since(progress.began).as_nanos();
        let nanoseconds = u64::try_from(latency).unwrap_or(u64::MAX);
        self.latencies.saturating_record(nanoseconds);
        if goes_on {
            self.begin_round(index)
        } else {
            Ok(())
        }
    }
}
