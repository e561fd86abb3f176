//! A server in a process of its own: what the kernel sees of it is its doing alone.

use std::io;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::floor::calls::Traced;
use crate::floor::{limits, load};
use crate::harness::apart::{self, Apart};
use crate::harness::serving::{Place, Traffic, joined, pin};
use crate::options::Options;
use crate::peers::{self, Peer};

/// Long enough, at the pace of a process that is stopped at each call: thousands of messages.
const COUNTED: Duration = Duration::from_millis(400);

/// What the kernel has seen of a server at work.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) threads: usize,
    /// System calls for each message, or why they cannot be counted.
    pub(super) calls: Result<f64, String>,
}

impl Seen {
    pub(super) fn describe_calls(&self) -> String {
        match &self.calls {
            Ok(calls) => format!("{calls:.3}"),
            Err(_) => "unknown".to_owned(),
        }
    }
}

/// What the process does: it serves, on its only thread.
pub(super) fn serve(who: &str, options: &Options) -> io::Result<()> {
    if options.scenario == IDLE {
        // Where this is refused the memory of connections is seen less exactly.
        let _ = limits::forbid_huge_pages();
    }
    apart::serve(peers::named(who)?.echo, options.connections, options.bytes)
}

/// The scenario that looks at the memory of its servers.
pub(super) const IDLE: &str = "idle";

/// Runs a server in another process, and looks at it.
pub(super) fn look(peer: &Peer, options: &Options, in_flight: usize) -> io::Result<Seen> {
    let traffic = Traffic {
        connections: options.connections,
        bytes: options.bytes,
        in_flight,
        warm_up: options.warm_up,
        measured: options.measured.min(COUNTED),
    };
    let server = Apart::begin(&mut command(
        "echo",
        peer,
        traffic.connections,
        traffic.bytes,
    )?)?;
    let load = traffic.to(Place {
        address: server.address(),
        thread: format!("/proc/{0}/task/{0}", server.id()),
    });
    let calls = load.server_calls.clone();
    let traced = Traced::begin(server.id());
    let generator = thread::spawn(move || {
        pin(1)?;
        load::generate_counted(&load)
    });
    let uncounted = match traced {
        Ok(traced) => {
            let ended_well = traced.count(&calls)?;
            server.was_waited_for();
            if !ended_well {
                // Its own words are on standard error.
                return Err(io::Error::other(
                    "the server in a process of its own failed",
                ));
            }
            None
        }
        Err(error) => {
            server.ended()?;
            Some(error.to_string())
        }
    };
    let counted = joined(generator)?;
    let each = counted.server_calls as f64 / counted.messages as f64;
    Ok(Seen {
        threads: counted.threads,
        calls: uncounted.map_or(Ok(each), Err),
    })
}

/// What makes this program serve.
pub(super) fn command(
    scenario: &str,
    peer: &Peer,
    connections: usize,
    bytes: usize,
) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([scenario, "--served", peer.name]);
    command.args(["--connections", &connections.to_string()]);
    command.args(["--bytes", &bytes.to_string()]);
    Ok(command)
}
