//! One file for each scenario.

mod cancels;
mod compared;
mod confirm;
mod consensus;
mod cores;
mod course;
mod echo;
mod files;
mod fio;
mod hog;
mod hotspot;
mod idle;
mod instructions;
mod latency;
mod log;
mod manners;
mod many_pipes;
mod models;
mod nop;
mod pipelined;
mod redis;
mod scratch;
mod served;
mod sim;
mod tasks;
mod threads;
mod timeouts;
mod timers;
mod trips;

use std::io;

use crate::harness::limit::Limit;
use crate::harness::machine::Machine;
use crate::harness::progress;
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
        name: "tasks",
        about: "spawn and join, yield, channels: what tasks cost before there is any I/O",
        run: tasks::run,
    },
    Scenario {
        name: "timers",
        about: "many sleeps at once: that all fire, and that are all dropped before",
        run: timers::run,
    },
    Scenario {
        name: "cores",
        about: "messages between cores: one way, with two producers, there and back; beside bare threads",
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
        about: "messages sent back over TCP, of 64 bytes and of 16 KiB, on 1 to 10000 connections",
        run: echo::run,
    },
    Scenario {
        name: "latency",
        about: "one TCP connection: p50, p99, p999 of messages back to back, and at a fixed rate",
        run: latency::run,
    },
    Scenario {
        name: "timeouts",
        about: "an echo with a timeout around every receive, against the same without",
        run: timeouts::run,
    },
    Scenario {
        name: "pipelined",
        about: "16 messages at once on each connection, received in large pieces, against one by one",
        run: pipelined::run,
    },
    Scenario {
        name: "cancels",
        about: "receives that are dropped as soon as they are started",
        run: cancels::run,
    },
    Scenario {
        name: "pipes",
        about: "messages there and back between two tasks, through pipes",
        run: trips::pipes,
    },
    Scenario {
        name: "unix",
        about: "messages there and back between two tasks, over Unix sockets",
        run: trips::unix,
    },
    Scenario {
        name: "idle",
        about: "connections on which nothing comes: memory of each, and what the server costs",
        run: idle::run,
    },
    Scenario {
        name: "consensus",
        about: "heroes that agree: the word over each transport, messages and decrees a second",
        run: consensus::run,
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
    Scenario {
        name: "files",
        about: "random reads of 4 KiB, cached and direct: threads, POSIX AIO, Linux AIO, io_uring",
        run: files::run,
    },
    Scenario {
        name: "log",
        about: "records appended to a log, each on the disk before it counts; group commit",
        run: log::run,
    },
    Scenario {
        name: "many-pipes",
        about: "many pipes to one reader: busy loop, processes, select, poll, epoll, krug",
        run: many_pipes::run,
    },
    Scenario {
        name: "confirm",
        about: "wrk, fio and redis-benchmark, where they are installed: the same servers, the same file",
        run: confirm::run,
    },
    Scenario {
        name: "instructions",
        about: "of user space, for each operation of the executor alone; --check is the gate",
        run: instructions::run,
    },
];

/// The name that means every scenario.
pub(crate) const EVERY: &str = "all";

/// Runs what the options name, with a program that was built so.
pub(crate) fn run(options: &Options, built: &str) -> io::Result<()> {
    if let Some((who, batch)) = &options.counted {
        return instructions::peers::work(who, *batch, options.operations);
    }
    if let Some(name) = &options.work {
        return instructions::work(name, options.operations);
    }
    if let Some(who) = &options.served {
        return match options.scenario.as_str() {
            "models" => models::serve(who, options),
            _ => served::serve(who, options),
        };
    }
    let machine = Machine::look(built);
    println!("{}", machine.describe());
    if options.quick {
        println!("quick: shows that it runs; the numbers are not worth telling");
    }
    let limit = Limit::begin(options.quick);
    for scenario in ALL {
        if options.scenario != scenario.name && options.scenario != EVERY {
            continue;
        }
        if !limit.begin_scenario() {
            println!("skipped: {}, the time of --quick is over", scenario.name);
            continue;
        }
        progress::of_scenario(scenario.name);
        (scenario.run)(options, &machine)?;
    }
    Ok(())
}

/// Who is compared unless somebody is named: what is not ours, and krug without completions.
fn takes_part(peer: &Peer) -> bool {
    !peer.is_ours() || peer.name == peers::OTHER_DRIVER
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
                .filter(|peer| takes_part(peer) && peer.name != subject.name),
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
