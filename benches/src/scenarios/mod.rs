//! One file for each scenario.

mod cores;
mod echo;
mod hog;
mod hotspot;
mod instructions;
mod models;
mod nop;
mod served;
mod sim;

use std::io;

use crate::harness::machine::Machine;
use crate::options::Options;
use crate::peers::{self, Peer};

/// Something that can be measured.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// For `--help`: one line.
    pub(crate) about: &'static str,
    run: fn(&Options, &Machine) -> io::Result<()>,
}

/// In the order in which `all` runs them.
pub(crate) const ALL: &[Scenario] = &[
    Scenario {
        name: "cores",
        about: "messages between cores: one way, with two producers, there and back",
        run: cores::run,
    },
    Scenario {
        name: "hotspot",
        about: "stealable tasks against tokio on as many threads: all spawned on one core, evenly spread",
        run: hotspot::run,
    },
    Scenario {
        name: "nop",
        about: "requests that do nothing: what an executor adds to a bare loop",
        run: nop::run,
    },
    Scenario {
        name: "echo",
        about: "messages sent back over TCP: 64 bytes, 50 connections",
        run: echo::run,
    },
    Scenario {
        name: "hog",
        about: "an echo beside a task that computes for 5 ms at a time: how long its clients wait",
        run: hog::run,
    },
    Scenario {
        name: "models",
        about: "the classic ways to write a server, a small one for files each, against the number of users",
        run: models::run,
    },
    Scenario {
        name: "sim",
        about: "messages sent back over a simulated network: completions a second of real time",
        run: sim::run,
    },
];

/// The name that means every scenario.
pub(crate) const EVERY: &str = "all";

/// Runs what the options name.
pub(crate) fn run(options: &Options) -> io::Result<()> {
    if let Some((who, batch)) = &options.counted {
        return instructions::work(who, *batch, options.operations);
    }
    if let Some(who) = &options.served {
        return match options.scenario.as_str() {
            "models" => models::serve(who, options),
            _ => served::serve(who, options),
        };
    }
    let machine = Machine::look();
    println!("{}", machine.describe());
    if options.quick {
        println!("quick: shows that it runs; the numbers are not worth telling");
    }
    for scenario in ALL {
        if options.scenario == scenario.name || options.scenario == EVERY {
            (scenario.run)(options, &machine)?;
        }
    }
    Ok(())
}

/// The subject and its baselines, of those that `can` take part. A peer may be compared with itself
/// if it is named: what is seen then is the noise.
fn contestants(
    options: &Options,
    can: impl Fn(&Peer) -> bool,
) -> io::Result<(&'static Peer, Vec<&'static Peer>)> {
    let subject = peers::named(&options.subject())?;
    let mut baselines = Vec::new();
    for name in options.peers() {
        baselines.push(peers::named(&name)?);
    }
    if baselines.is_empty() {
        baselines.extend(
            peers::PEERS
                .iter()
                .filter(|peer| !peer.is_ours() && peer.name != subject.name),
        );
    }
    baselines.retain(|peer| can(peer));
    if baselines.is_empty() || !can(subject) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "nothing is left to compare",
        ));
    }
    Ok((subject, baselines))
}
