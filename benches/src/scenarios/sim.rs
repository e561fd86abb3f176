//! Simulated operations: how many complete in a second of real time, on one core; and how long 33 heroes take.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use krug::net::{TcpListener, TcpStream};
use krug::runtime::Driver;
use krug::sim::{Sim, address_of};
use krug::{Runtime, spawn};
use krug_consensus::program::arguments::Arguments;
use krug_consensus::program::report::Narrator;
use krug_consensus::program::world;

use crate::floor::system;
use crate::harness::limit;
use crate::harness::machine::Machine;
use crate::harness::progress::Progress;
use crate::harness::report::{self, Line};
use crate::harness::statistics::Summary;
use crate::options::Options;

const PORT: u16 = 7;

/// What one run has come to.
struct Run {
    completions: u64,
    /// Real time.
    took: Duration,
    /// How far the clock of the world has gone.
    simulated: Duration,
}

/// Where the two sides are.
type Place = (&'static str, fn(&Options, u64) -> io::Result<Run>);

const PLACES: [Place; 2] = [
    ("one host, a plain runtime", within_a_runtime),
    ("two hosts of a world", between_hosts),
];

pub(crate) fn run(options: &Options, machine: &Machine) -> io::Result<()> {
    println!(
        "\nsim, messages sent back over simulated TCP: {} bytes, {} connections; {} rounds, each under a seed of its own",
        options.bytes, options.connections, options.pairs
    );
    for (place, run) in PLACES {
        let mut speeds = Vec::new();
        let mut paces = Vec::new();
        let progress = Progress::begin(place, options.pairs + 1);
        for round in 0..=options.pairs {
            let run = pinned(options, round as u64, run)?;
            progress.step();
            // The first one warms up.
            if round > 0 {
                speeds.push(run.completions as f64 / run.took.as_secs_f64());
                paces.push(run.simulated.as_secs_f64() / run.took.as_secs_f64());
                if limit::is_over() {
                    break;
                }
            }
        }
        drop(progress);
        let (speed, pace) = (Summary::of(&speeds), Summary::of(&paces));
        println!(
            "{place:<26} {:>6.0} k completions/s ({:.0}…{:.0}), {:.0} ns each; its clock runs {:.2} times as fast as ours",
            speed.median / 1e3,
            speed.minimum / 1e3,
            speed.maximum / 1e3,
            1e9 / speed.median,
            pace.median,
        );
        let mut line = Line::of(machine, "sim", "runs");
        line.text("place", place);
        line.numbers("completions_per_second", speeds.iter().copied());
        report::keep(options.json.as_deref(), &line)?;
    }
    speak(options, machine)
}

/// The heroes of the demo on hosts of their own, from their birth to their last letter.
fn speak(options: &Options, machine: &Machine) -> io::Result<()> {
    let mut times = Vec::new();
    for round in 0..=options.pairs {
        let run = pinned(options, round as u64, say_the_word)?;
        // The first one warms up.
        if round > 0 {
            times.push(run.took.as_secs_f64());
        }
    }
    let time = Summary::of(&times);
    println!(
        "33 heroes say 33 letters   {:>6.1} ms of real time ({:.1}…{:.1}), each on a host of its own, over simulated TCP",
        time.median * 1e3,
        time.minimum * 1e3,
        time.maximum * 1e3,
    );
    let mut line = Line::of(machine, "sim", "runs");
    line.text("place", "33 hosts that say a word");
    line.numbers("seconds", times.iter().copied());
    report::keep(options.json.as_deref(), &line)
}

fn say_the_word(_: &Options, seed: u64) -> io::Result<Run> {
    let line = ["consensus", "--driver", "sim"].map(Into::into);
    let arguments = Arguments::read(line).map_err(|_| io::Error::other("it is a right line"))?;
    let start = Instant::now();
    let course = world::run(&arguments, seed, Narrator::silent())?;
    let took = start.elapsed();
    if course.spoken.len() != 33 {
        return Err(io::Error::other("they have not said the word"));
    }
    Ok(Run {
        completions: 0,
        took,
        simulated: course.elapsed,
    })
}

/// On a thread of its own, on the first core.
fn pinned(
    options: &Options,
    seed: u64,
    run: fn(&Options, u64) -> io::Result<Run>,
) -> io::Result<Run> {
    let core = system::allowed_cores().first().copied();
    std::thread::scope(|scope| {
        let measured = scope.spawn(|| {
            core.map_or(Ok(()), system::pin_to)?;
            run(options, seed)
        });
        measured
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the simulation panicked")))
    })
}

fn within_a_runtime(options: &Options, seed: u64) -> io::Result<Run> {
    let runtime = Runtime::builder().driver(Driver::Sim).seed(seed).build()?;
    let load = Load::of(options);
    let start = Instant::now();
    let simulated = runtime.block_on(async {
        let begin = krug::time::now();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, PORT)).await?;
        spawn(serve(listener, load.bytes));
        load.ask(Ipv4Addr::LOCALHOST.into()).await?;
        io::Result::Ok(krug::time::now() - begin)
    })?;
    Ok(Run {
        completions: runtime.metrics().completions,
        took: start.elapsed(),
        simulated,
    })
}

fn between_hosts(options: &Options, seed: u64) -> io::Result<Run> {
    let load = Load::of(options);
    let mut sim = Sim::new(seed);
    sim.host("server", move || async move {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await;
        serve(listener.expect("the port is free"), load.bytes).await;
    });
    sim.client("client", async move {
        let asked = load.ask(address_of("server")).await;
        asked.expect("the server answers");
    });
    let start = Instant::now();
    sim.run().map_err(io::Error::other)?;
    Ok(Run {
        completions: sim.completions(),
        took: start.elapsed(),
        simulated: sim.elapsed(),
    })
}

/// What the clients of a run do.
#[derive(Clone, Copy)]
struct Load {
    bytes: usize,
    connections: usize,
    /// On each connection.
    messages: u64,
}

impl Load {
    fn of(options: &Options) -> Load {
        // A message is sent and received on both sides.
        let messages = options.operations / 4 / options.connections as u64;
        Load {
            bytes: options.bytes,
            connections: options.connections,
            messages: messages.max(1),
        }
    }

    async fn ask(self, server: IpAddr) -> io::Result<()> {
        let connection = move || async move {
            let stream = TcpStream::connect((server, PORT)).await?;
            let (mut message, mut answer) = (vec![0; self.bytes], vec![0; self.bytes]);
            for number in 0..self.messages {
                message.fill(number as u8);
                let (written, said) = stream.write_all(message).await;
                written?;
                let (read, heard) = stream.read_exact(answer).await;
                read?;
                if said != heard {
                    return Err(io::Error::other("something else has come back"));
                }
                (message, answer) = (said, heard);
            }
            Ok(())
        };
        let connections: Vec<_> = (0..self.connections).map(|_| spawn(connection())).collect();
        for connection in connections {
            connection.await.map_err(io::Error::other)??;
        }
        Ok(())
    }
}

/// Sends everything back.
async fn serve(listener: TcpListener, bytes: usize) {
    while let Ok(stream) = listener.accept().await {
        spawn(async move {
            let mut buffer = Vec::with_capacity(bytes);
            loop {
                buffer.clear();
                let (read, filled) = stream.read(buffer).await;
                if !matches!(read, Ok(1..)) {
                    return;
                }
                let (written, sent) = stream.write_all(filled).await;
                if written.is_err() {
                    return;
                }
                buffer = sent;
            }
        });
    }
}
