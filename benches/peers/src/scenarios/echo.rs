//! Messages sent back over TCP.

use std::io;

use krug_benches::harness::machine::Machine;
use krug_benches::harness::serving::{Traffic, serve_under};

use crate::contest::{Contest, Run};
use crate::options::Options;
use crate::peers::Peer;

/// On TCP over loopback, smaller differences come and go with the placement of memory and timers.
const RESOLUTION: f64 = 0.04;

const CONNECTIONS: usize = 50;

pub(super) fn run(options: &Options, machine: &Machine, peers: &[&'static Peer]) -> io::Result<()> {
    for in_flight in &options.in_flight {
        let traffic = Traffic {
            connections: options.connections.unwrap_or(CONNECTIONS),
            bytes: options.bytes,
            in_flight: *in_flight,
            warm_up: options.warm_up,
            measured: options.measured,
        };
        let contest = Contest {
            options,
            machine,
            scenario: "echo",
            what: format!(
                "{} bytes × {} connections, {in_flight} in flight on each",
                traffic.bytes, traffic.connections
            ),
            resolution: RESOLUTION,
        };
        contest.hold(peers, |peer| Ok(run_once(peer, traffic)?))?;
    }
    Ok(())
}

fn run_once(peer: &'static Peer, traffic: Traffic) -> io::Result<Run> {
    let (generated, served) = serve_under(traffic, peer.name, peer.echo)?;
    let seconds = generated.elapsed.as_secs_f64();
    let messages = generated.messages as f64;
    let busy = generated.server_busy.as_secs_f64();
    let mut measures = vec![
        ("server_cpu_us", busy * 1e6 / messages),
        ("server_load", busy / seconds),
        (
            "generator_load",
            generated.load_busy.as_secs_f64() / seconds,
        ),
    ];
    if let Some(enters) = served.enters {
        let each = enters as f64 / generated.messages_of_run as f64;
        measures.push(("enters_per_message", each));
    }
    Ok(Run {
        rate: messages / seconds,
        measures,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::peers;

    /// More than the buffers of a socket hold at once, so that reads and writes stop half-way; the load
    /// generator compares every byte.
    #[test]
    fn every_peer_that_starts_here_sends_back_what_came_also_in_parts() {
        let names: Vec<&str> = peers::ALL.iter().map(|peer| peer.name).collect();
        for peer in crate::scenarios::starting(&peers::ALL.iter().collect::<Vec<_>>()) {
            for (bytes, in_flight) in [(64, 1), (1, 1000), (20_000, 256)] {
                let traffic = Traffic {
                    connections: 3,
                    bytes,
                    in_flight,
                    warm_up: Duration::ZERO,
                    measured: Duration::from_millis(50),
                };
                let run = run_once(peer, traffic);
                let run = run.unwrap_or_else(|error| panic!("{} of {names:?}: {error}", peer.name));
                assert!(run.rate > 0.0, "{}: nothing came back", peer.name);
            }
        }
    }
}
