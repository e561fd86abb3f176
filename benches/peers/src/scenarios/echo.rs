//! Messages sent back over TCP.

use std::io;
use std::time::Duration;

use krug_benches::harness::apart;
use krug_benches::harness::machine::Machine;
use krug_benches::harness::serving::Traffic;
use krug_benches::harness::{Generated, Served};

use crate::contest::{Contest, Run};
use crate::options::Options;
use crate::peers::Peer;
use crate::scenarios::{CONNECTIONS, served};

/// On TCP over loopback, smaller differences come and go with the placement of memory and timers.
const RESOLUTION: f64 = 0.04;

pub(super) fn run(options: &Options, machine: &Machine, peers: &[&'static Peer]) -> io::Result<()> {
    let connections = options.connections.unwrap_or(CONNECTIONS);
    let most = apart::connections_max()?;
    if connections > most {
        println!("\nskipped: echo × {connections}, as descriptors are allowed here for {most}");
        return Ok(());
    }
    for in_flight in &options.in_flight {
        let traffic = Traffic {
            connections,
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

/// No machine is so busy that nothing comes back in this time.
const LONGEST: Duration = Duration::from_secs(10);

fn run_once(peer: &'static Peer, traffic: Traffic) -> io::Result<Run> {
    run_by(traffic, |traffic| {
        let mut command = served(peer, traffic.connections, traffic.bytes)?;
        apart::serve_under(traffic, &mut command)
    })
}

fn run_by(
    mut traffic: Traffic,
    serve: impl Fn(Traffic) -> io::Result<(Generated, Served)>,
) -> io::Result<Run> {
    let (generated, served) = loop {
        let (generated, served) = serve(traffic)?;
        if generated.messages > 0 {
            break (generated, served);
        }
        if traffic.measured > LONGEST {
            return Err(io::Error::other("nothing comes back"));
        }
        traffic.measured *= 4;
    };
    let seconds = generated.elapsed.as_secs_f64();
    let messages = generated.messages as f64;
    let busy = generated.server_busy.as_secs_f64();
    let mut measures = vec![
        ("server_cpu_us", busy * 1e6 / messages),
        ("server_load", busy / seconds),
        ("p50_us", generated.p50.as_secs_f64() * 1e6),
        ("p99_us", generated.p99.as_secs_f64() * 1e6),
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
    use std::sync::mpsc;
    use std::thread;

    use krug_benches::harness::serving::serve_under;

    use super::*;
    use crate::peers;

    /// A server that keeps a byte back leaves the load generator waiting.
    const PATIENCE: Duration = Duration::from_secs(120);

    /// The load generator compares every byte. More are under way than the buffers of a socket hold, so that reads and writes
    /// stop half-way; or they come one by one.
    #[test]
    fn every_peer_that_starts_here_sends_back_what_came_also_in_parts() {
        let all: Vec<_> = peers::ALL.iter().collect();
        for peer in crate::scenarios::starting(&all) {
            for (bytes, in_flight) in [(64, 1), (1, 100), (20_000, 256)] {
                let traffic = Traffic {
                    connections: 3,
                    bytes,
                    in_flight,
                    warm_up: Duration::ZERO,
                    measured: Duration::from_millis(20),
                };
                let (tell, told) = mpsc::channel();
                // A test is no process that could serve.
                let serve = |traffic| serve_under(traffic, peer.name, peer.echo);
                thread::spawn(move || tell.send(run_by(traffic, serve)));
                told.recv_timeout(PATIENCE)
                    .unwrap_or_else(|_| panic!("{}, {traffic:?}: it hangs", peer.name))
                    .unwrap_or_else(|error| panic!("{}, {traffic:?}: {error}", peer.name));
            }
        }
    }
}
