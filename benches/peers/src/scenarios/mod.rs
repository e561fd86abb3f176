//! One file for each scenario.

mod echo;
mod files;
mod idle;
mod tasks;
mod timers;
mod trips;

use std::io;
use std::process::Command;

use krug_benches::harness::apart;
use krug_benches::harness::machine::Machine;
use krug_benches::harness::serving::on_first_core;

use crate::options::Options;
use crate::peers::{self, Peer};
use crate::work::{Took, Work};

/// Something that can be measured.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// For `--help`: one line.
    pub(crate) about: &'static str,
    run: fn(&Options, &Machine, &[&'static Peer]) -> io::Result<()>,
}

/// In the order in which `all` runs them.
pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "echo",
        about: "messages sent back over TCP: 64 bytes, 50 connections",
        run: echo::run,
    },
    Scenario {
        name: "tasks",
        about: "spawning and joining, yielding, a channel there and back",
        run: tasks::run,
    },
    Scenario {
        name: "timers",
        about: "100000 tasks that sleep at the same time: processor time of each",
        run: timers::run,
    },
    Scenario {
        name: "files",
        about: "reads of 4 KiB from a file in the kernel's cache, 1, 32 and 128 at once",
        run: files::run,
    },
    Scenario {
        name: "pipes",
        about: "messages to another task and back through two pipes",
        run: trips::pipes,
    },
    Scenario {
        name: "unix",
        about: "messages to another task and back through a pair of Unix sockets",
        run: trips::unix,
    },
    Scenario {
        name: "idle",
        about: "memory of a process of its own for each connection that does nothing",
        run: idle::run,
    },
];

/// A process that only serves is told how many.
const CONNECTIONS: usize = 50;

/// What makes this program serve, and nothing else.
fn served(peer: &Peer, connections: usize, bytes: usize) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["echo", "--served", peer.name]);
    command.args(["--connections", &connections.to_string()]);
    command.args(["--bytes", &bytes.to_string()]);
    Ok(command)
}

/// The name that means every scenario.
pub(crate) const EVERY: &str = "all";

/// Of this package: what is compared is what is built.
const LOCK: &str = include_str!("../../Cargo.lock");

/// Runs what the options name, with a program that was built so.
pub(crate) fn run(options: &Options, built: &str) -> io::Result<()> {
    if let Some(who) = &options.served {
        let connections = options.connections.unwrap_or(CONNECTIONS);
        return apart::serve(peers::named(who)?.echo, connections, options.bytes);
    }
    let machine = Machine::look_with(built, LOCK, &peers::packages());
    println!("{}", machine.describe());
    if options.quick {
        println!("quick: shows that it runs; the numbers are not worth telling");
    }
    let chosen = starting(&chosen(options));
    for scenario in ALL {
        if options.scenario == scenario.name || options.scenario == EVERY {
            (scenario.run)(options, &machine, &chosen)?;
        }
    }
    Ok(())
}

/// Whom the options name, or all.
fn chosen(options: &Options) -> Vec<&'static Peer> {
    let is_chosen = |peer: &&Peer| {
        options.peers.is_empty() || options.peers.iter().any(|name| name == peer.name)
    };
    peers::ALL.iter().filter(is_chosen).collect()
}

/// Without those of ours that differ from the subject in how they receive from sockets only.
fn of_others(peers: &[&'static Peer]) -> Vec<&'static Peer> {
    let others = peers.iter().filter(|peer| !peer.is_ours());
    others.copied().collect()
}

/// Those of them that this machine lets start; of the others it is said why not.
fn starting(chosen: &[&'static Peer]) -> Vec<&'static Peer> {
    let starts = |peer: &&'static Peer| {
        let peer = *peer;
        match on_first_core(|| (peer.run)(&Work::Nothing)) {
            Ok(_) => true,
            Err(error) => {
                println!("skipped: {}, which does not start here: {error}", peer.name);
                false
            }
        }
    };
    chosen.iter().copied().filter(starts).collect()
}

/// By the clock.
fn per_second(took: &Took) -> f64 {
    took.operations as f64 / took.elapsed.as_secs_f64()
}
