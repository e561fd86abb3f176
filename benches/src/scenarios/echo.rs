//! Messages sent back over TCP.

use std::io;

use super::contestants;
use super::served::{self, Seen};
use crate::harness::apart;
use crate::harness::limit;
use crate::harness::machine::Machine;
use crate::harness::pairs::interleave;
use crate::harness::report::{self, Comparison, Line};
use crate::harness::serving::Traffic;
use crate::harness::statistics::Summary;
use crate::harness::{Generated, Served};
use crate::options::Options;
use crate::peers::Peer;

pub(super) use crate::harness::serving::{joined, pin_among as pin};

/// On TCP over loopback, smaller differences come and go with the placement of memory and timers.
const RESOLUTION: f64 = 0.04;

/// One run of one server.
pub(super) struct Run {
    generated: Generated,
    served: Served,
}

impl Run {
    pub(super) fn rate(&self) -> f64 {
        self.generated.messages as f64 / self.generated.elapsed.as_secs_f64()
    }

    /// Time on the processor for each message: says something also when the machine is shared.
    pub(super) fn server_cost(&self) -> f64 {
        self.generated.server_busy.as_secs_f64() * 1e6 / self.generated.messages as f64
    }

    fn server_load(&self) -> f64 {
        self.generated.server_busy.as_secs_f64() / self.generated.elapsed.as_secs_f64()
    }

    fn generator_load(&self) -> f64 {
        self.generated.load_busy.as_secs_f64() / self.generated.elapsed.as_secs_f64()
    }

    fn p50_us(&self) -> f64 {
        self.generated.p50.as_secs_f64() * 1e6
    }

    fn p99_us(&self) -> f64 {
        self.generated.p99.as_secs_f64() * 1e6
    }

    pub(super) fn enters_per_message(&self) -> Option<f64> {
        self.served
            .enters
            .map(|enters| enters as f64 / self.generated.messages_of_run as f64)
    }
}

/// What is sent, and what krug on io_uring should come to with that on the machine of the bars.
struct Point {
    connections: usize,
    bytes: usize,
    in_flight: usize,
    wanted: &'static str,
}

const fn point(
    (connections, bytes, in_flight): (usize, usize, usize),
    wanted: &'static str,
) -> Point {
    Point {
        connections,
        bytes,
        in_flight,
        wanted,
    }
}

const POINTS: &[Point] = &[
    point(
        (50, 64, 1),
        "0.97 of the floor or more, and no peer ahead; 0.08 system calls per message or fewer",
    ),
    point((50, 64, 16), "0.97 of the floor or more, and no peer ahead"),
    point(
        (1000, 64, 1),
        "0.97 of the floor, 1.03 of tokio or more; 0.05 system calls per message or fewer; p99 at most 1.3 of p50",
    ),
    point((10_000, 64, 1), "1.0 of the floor and of tokio or more"),
    point(
        (1, 64, 1),
        "2.5 of tokio or more, and p50 at most 20 µs; without spin parity",
    ),
    point((50, 16 << 10, 1), "0.98 of the floor or more"),
];

/// Enough of them to see that all runs.
const POINTS_QUICK: usize = 3;

/// What the options ask for, or all of the points.
fn points(options: &Options) -> Vec<Point> {
    if options.is_traffic_given {
        let given = |in_flight: &usize| {
            let traffic = (options.connections, options.bytes, *in_flight);
            let is_it =
                |point: &&Point| traffic == (point.connections, point.bytes, point.in_flight);
            let known = POINTS.iter().find(is_it);
            point(
                traffic,
                known.map_or("no bar for this", |known| known.wanted),
            )
        };
        return options.in_flight.iter().map(given).collect();
    }
    let count = if options.quick {
        POINTS_QUICK
    } else {
        POINTS.len()
    };
    let all = POINTS.iter().take(count);
    all.map(|known| {
        let traffic = (known.connections, known.bytes, known.in_flight);
        point(traffic, known.wanted)
    })
    .collect()
}

pub(crate) fn run(options: &Options, machine: &Machine) -> io::Result<()> {
    for point in points(options) {
        if limit::is_over() {
            let Point { connections, .. } = point;
            println!("\nskipped: echo × {connections}, the time of --quick is over");
            continue;
        }
        let mut options = options.clone();
        (options.connections, options.bytes) = (point.connections, point.bytes);
        let most = apart::connections_max()?;
        if most == 0 {
            println!("\nskipped: echo, for want of descriptors");
            continue;
        }
        if point.connections > most {
            println!(
                "\n{most} connections instead of {}: a process may not have more descriptors here",
                point.connections
            );
            options.connections = most;
        }
        compare(&options, point.in_flight, machine, point.wanted)?;
    }
    Ok(())
}

fn compare(options: &Options, in_flight: usize, machine: &Machine, wanted: &str) -> io::Result<()> {
    let (subject, baselines) = contestants(options, |_| true)?;
    println!(
        "\necho, {} bytes × {} connections, {in_flight} in flight on each; {} pairs of {} s, TCP_NODELAY, cubic; wanted: {wanted}",
        options.bytes,
        options.connections,
        options.pairs,
        options.measured.as_secs_f64()
    );
    let runs = interleave(options.pairs, baselines.len(), |who| {
        let peer = who.of(subject, &baselines);
        run_once(peer, options, in_flight)
            .map_err(|error| io::Error::other(format!("{}: {error}", peer.name)))
    })?;
    let mut rows = Vec::new();
    for (peer, runs) in runs.rows(subject, &baselines) {
        let seen = served::look(peer, options, in_flight)
            .map_err(|error| io::Error::other(format!("{}: {error}", peer.name)))?;
        rows.push(Row { peer, runs, seen });
    }
    let comparisons: Vec<Comparison> = (0..baselines.len())
        .map(|index| {
            let sides = (subject.name, (index, baselines[index].name));
            Comparison::of(&runs, sides, RESOLUTION, Run::rate)
        })
        .collect();
    tell(&rows, &comparisons);
    keep(options, in_flight, machine, &rows)?;
    keep_ratios(options, in_flight, machine, &comparisons)
}

/// Each run has a server of its own: where its memory comes to lie makes a difference of some percent, which is then in the spread.
pub(super) fn run_once(
    peer: &'static Peer,
    options: &Options,
    in_flight: usize,
) -> io::Result<Run> {
    let traffic = traffic(options, in_flight);
    let mut command = served::command("echo", peer, traffic.connections, traffic.bytes)?;
    let (generated, served) = apart::serve_under(traffic, &mut command)?;
    Ok(Run { generated, served })
}

/// The same in this process: a test is none that could serve.
#[cfg(test)]
pub(super) fn run_together(
    peer: &'static Peer,
    options: &Options,
    in_flight: usize,
) -> io::Result<Run> {
    let traffic = traffic(options, in_flight);
    let (generated, served) = crate::harness::serving::serve_under(traffic, peer.name, peer.echo)?;
    Ok(Run { generated, served })
}

fn traffic(options: &Options, in_flight: usize) -> Traffic {
    Traffic {
        connections: options.connections,
        bytes: options.bytes,
        in_flight,
        warm_up: options.warm_up,
        measured: options.measured,
    }
}

/// One contestant.
struct Row<'a> {
    peer: &'static Peer,
    runs: &'a [Run],
    seen: Seen,
}

impl Row<'_> {
    fn median(&self, measure: fn(&Run) -> f64) -> f64 {
        Summary::of(&self.runs.iter().map(measure).collect::<Vec<_>>()).median
    }

    fn enters_per_message(&self) -> Option<f64> {
        self.runs.last().and_then(Run::enters_per_message)
    }

    fn tell(&self) {
        let rate = self.median(Run::rate);
        let enters = self
            .enters_per_message()
            .map_or_else(|| "-".to_owned(), |enters| format!("{enters:.3}"));
        let detail = self.runs.last().and_then(|run| run.served.detail.clone());
        println!(
            "{:<17} {:>9.1} {:>11.2} {:>11.2} {:>9.1} {:>9.1} {:>10.0} % {:>8.0} % {:>8} {:>13} {:>14}  {}",
            self.peer.name,
            rate / 1e3,
            1e6 / rate,
            self.median(Run::server_cost),
            self.median(Run::p50_us),
            self.median(Run::p99_us),
            self.median(Run::server_load) * 100.0,
            self.median(Run::generator_load) * 100.0,
            self.seen.threads,
            self.seen.describe_calls(),
            enters,
            detail.unwrap_or_default(),
        );
    }
}

fn tell(rows: &[Row<'_>], comparisons: &[Comparison]) {
    println!(
        "{:<17} {:>9} {:>11} {:>11} {:>9} {:>9} {:>12} {:>10} {:>8} {:>13} {:>14}",
        "",
        "k msg/s",
        "µs per msg",
        "µs of CPU",
        "p50 µs",
        "p99 µs",
        "server load",
        "generator",
        "threads",
        "calls per msg",
        "enters per msg"
    );
    rows.iter().for_each(Row::tell);
    for comparison in comparisons {
        println!("{}", comparison.describe());
    }
    if let Some(reason) = rows.iter().find_map(|row| row.seen.calls.as_ref().err()) {
        println!("calls are unknown: the kernel does not let this process count them: {reason}");
    } else {
        println!(
            "calls were counted in a pass that is not timed, stopping the server at each (--help says more)"
        );
    }
    println!(
        "differences below {:.0} % are not resolved on TCP",
        RESOLUTION * 100.0
    );
}

fn keep(
    options: &Options,
    in_flight: usize,
    machine: &Machine,
    rows: &[Row<'_>],
) -> io::Result<()> {
    for Row { peer, runs, seen } in rows {
        let mut line = Line::of(machine, "echo", "runs");
        line.text("peer", peer.name)
            .numbers("messages_per_second", runs.iter().map(Run::rate));
        line.number("bytes", options.bytes as f64)
            .number("connections", options.connections as f64);
        line.number("in_flight", in_flight as f64)
            .number("seconds", options.measured.as_secs_f64());
        line.numbers("server_cpu_us", runs.iter().map(Run::server_cost));
        line.numbers("p50_us", runs.iter().map(Run::p50_us));
        line.numbers("p99_us", runs.iter().map(Run::p99_us));
        line.numbers("server_load", runs.iter().map(Run::server_load));
        line.numbers("generator_load", runs.iter().map(Run::generator_load));
        line.number("threads", seen.threads as f64);
        match &seen.calls {
            Ok(calls) => line.number("calls_per_message", *calls),
            Err(reason) => line.text("calls_unknown", reason),
        };
        if let Some(enters) = runs.last().and_then(Run::enters_per_message) {
            line.number("enters_per_message", enters);
        }
        report::keep(options.json.as_deref(), &line)?;
    }
    Ok(())
}

fn keep_ratios(
    options: &Options,
    in_flight: usize,
    machine: &Machine,
    comparisons: &[Comparison],
) -> io::Result<()> {
    for comparison in comparisons {
        let mut line = comparison.line(machine, "echo");
        line.number("bytes", options.bytes as f64)
            .number("connections", options.connections as f64)
            .number("in_flight", in_flight as f64);
        report::keep(options.json.as_deref(), &line)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::options::{Parsed, parse};
    use crate::peers::{PEERS, named};

    fn served_by(name: &str, line: &str) -> Run {
        let Ok(Parsed::Run(options)) = parse(line.split_whitespace().map(str::to_owned)) else {
            panic!("{line}")
        };
        let run = run_together(named(name).unwrap(), &options, options.in_flight[0]).unwrap();
        assert!(run.generated.messages > 0, "{name}: nothing came back");
        assert!(run.p50_us() > 0.0 && run.p99_us() >= run.p50_us());
        assert!(run.generated.messages_of_run >= run.generated.messages);
        assert!(run.generated.elapsed >= Duration::from_millis(100));
        run
    }

    #[test]
    fn without_numbers_all_points_are_measured_and_with_numbers_those() {
        let of = |line: &str| {
            let Ok(Parsed::Run(options)) = parse(line.split_whitespace().map(str::to_owned)) else {
                panic!("{line}")
            };
            let points = points(&options);
            let told = points.iter();
            told.map(|point| {
                (
                    point.connections,
                    point.bytes,
                    point.in_flight,
                    point.wanted,
                )
            })
            .collect::<Vec<_>>()
        };
        let all = of("echo");
        let connections: Vec<_> = all.iter().map(|point| point.0).collect();
        assert_eq!(connections, [50, 50, 1000, 10_000, 1, 50]);
        assert_eq!(of("echo --quick"), all[..POINTS_QUICK]);
        assert_eq!(of("echo --connections 1000 --in-flight 1"), all[2..3]);
        assert_eq!(of("echo --bytes 64"), all[..2]);
        let unknown = of("echo --quick --connections 7 --bytes 5 --in-flight 3");
        assert_eq!(unknown, [(7, 5, 3, "no bar for this")]);
    }

    #[test]
    fn the_bare_loop_echoes_every_byte() {
        let run = served_by("floor", "echo --quick --connections 5");
        assert!(run.enters_per_message().unwrap() < 2.0);
        // It submits before it looks on, and may have to enter again for what comes.
        let run = served_by("floor-spin", "echo --quick --connections 5");
        assert!(run.enters_per_message().unwrap() < 4.0);
    }

    #[test]
    fn tokio_echoes_every_byte() {
        served_by("tokio", "echo --quick --connections 5");
    }

    #[test]
    fn krug_echoes_every_byte_with_either_driver() {
        let run = served_by("krug-uring", "echo --quick --connections 5");
        assert!(run.enters_per_message().unwrap() < 2.0);
        let run = served_by("krug-epoll", "echo --quick --connections 5");
        assert!(run.enters_per_message().unwrap() < 2.0);
    }

    #[test]
    fn messages_sent_at_once_come_back_in_order_also_when_they_are_large() {
        for peer in PEERS {
            served_by(
                peer.name,
                "echo --quick --connections 3 --bytes 20000 --in-flight 16",
            );
        }
    }
}
