//! One connection: how long a message takes there and back.
//!
//! In the closed loop the next message is sent when the last one has come back. In the open loop messages are due at a fixed rate, whatever
//! became of the ones before, and each is measured from the moment at which it was due: one that had to wait behind a slow one is as late
//! as its user would find it.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::course::{field, skip, tell_ratios};
use super::served;
use crate::floor::system;
use crate::harness::apart;
use crate::harness::machine::Machine;
use crate::harness::pairs::{Who, interleave};
use crate::harness::report::{self, Line};
use crate::harness::serving::Place;
use crate::harness::statistics::Summary;
use crate::options::Options;
use crate::peers::{PEERS, Peer};

/// As of every echo over TCP.
const RESOLUTION: f64 = 0.04;
/// Nanoseconds that are told apart: what takes longer counts as this long.
const LONGEST: u64 = 60_000_000_000;
/// Before a message is due the client sleeps no longer than until so long before, then looks at the clock all the time.
const LOOK: Duration = Duration::from_micros(200);

/// When messages are sent.
#[derive(Debug, Clone, Copy)]
enum Arrival {
    Closed,
    /// So many a second.
    Open(u64),
}

impl Arrival {
    fn describe(self) -> String {
        match self {
            Arrival::Closed => "closed loop".to_owned(),
            Arrival::Open(rate) => format!("open loop, {rate} messages a second"),
        }
    }

    fn wanted(self) -> &'static str {
        match self {
            Arrival::Closed => "p50 of 20 µs or less",
            Arrival::Open(_) => "nobody ahead",
        }
    }
}

/// What one run has come to.
struct Run {
    /// In nanoseconds.
    times: Histogram<u64>,
    /// How long the server was on its core, of the time.
    server_load: f64,
}

impl Run {
    /// In microseconds.
    fn at(&self, quantile: f64) -> f64 {
        self.times.value_at_quantile(quantile) as f64 / 1e3
    }
}

/// Names of the quantiles in the results.
const QUANTILES: [(&str, f64); 3] = [("p50_us", 0.5), ("p99_us", 0.99), ("p999_us", 0.999)];

pub(crate) fn run(options: &Options, machine: &Machine) -> io::Result<()> {
    for arrival in [Arrival::Closed, Arrival::Open(options.rate)] {
        compare(options, machine, arrival)?;
    }
    Ok(())
}

fn compare(options: &Options, machine: &Machine, arrival: Arrival) -> io::Result<()> {
    let what = arrival.describe();
    let Some((subject, baselines)) = field(options, PEERS, |peer| peer.name)? else {
        skip(&format!("latency, {what}"));
        return Ok(());
    };
    println!(
        "\nlatency, {what}, {} bytes on one TCP connection; {} pairs of {} s; wanted: {}",
        options.bytes,
        options.pairs,
        options.measured.as_secs_f64(),
        arrival.wanted()
    );
    let runs = interleave(options.pairs, baselines.len(), |who| {
        let peer = match who {
            Who::Subject => subject,
            Who::Baseline(index) => baselines[index],
        };
        run_once(peer, options, arrival)
            .map_err(|error| io::Error::other(format!("{}: {error}", peer.name)))
    })?;
    println!(
        "{:<12} {:>9} {:>9} {:>9} {:>9} {:>12} {:>9}",
        "", "p50 µs", "p99 µs", "p999 µs", "most µs", "server load", "messages"
    );
    let all = std::iter::once((subject, &runs.subject))
        .chain(baselines.iter().copied().zip(&runs.baselines));
    for (peer, row) in all {
        tell(peer, row);
        let mut line = Line::of(machine, "latency", "runs");
        line.text("what", &what).text("peer", peer.name);
        line.number("bytes", options.bytes as f64);
        for (name, quantile) in QUANTILES {
            line.numbers(name, row.iter().map(|run| run.at(quantile)));
        }
        line.numbers("server_load", row.iter().map(|run| run.server_load));
        report::keep(options.json.as_deref(), &line)?;
    }
    println!("ratios are of 1 / p50: above 1 is sooner");
    let names: Vec<&str> = baselines.iter().map(|peer| peer.name).collect();
    let compared = ("latency", &*what, RESOLUTION);
    let field = (subject.name, &*names);
    tell_ratios(options, machine, compared, field, &runs, |run| {
        1.0 / run.at(0.5)
    })
}

fn tell(peer: &Peer, row: &[Run]) {
    let median = |measure: &dyn Fn(&Run) -> f64| {
        Summary::of(&row.iter().map(measure).collect::<Vec<_>>()).median
    };
    println!(
        "{:<12} {:>9.1} {:>9.1} {:>9.1} {:>9.0} {:>10.0} % {:>9.0}",
        peer.name,
        median(&|run| run.at(0.5)),
        median(&|run| run.at(0.99)),
        median(&|run| run.at(0.999)),
        median(&|run| run.times.max() as f64 / 1e3),
        median(&|run| run.server_load * 100.0),
        median(&|run| run.times.len() as f64),
    );
}

fn run_once(peer: &'static Peer, options: &Options, arrival: Arrival) -> io::Result<Run> {
    let mut command = served::command("echo", peer, 1, options.bytes)?;
    apart::beside(&mut command, client(options, arrival)).map(|(run, _)| run)
}

fn client(options: &Options, arrival: Arrival) -> impl FnOnce(Place) -> io::Result<Run> + use<> {
    let (bytes, warm_up, measured) = (options.bytes, options.warm_up, options.measured);
    move |place: Place| {
        let mut client = Client::connect(&place, bytes)?;
        client.run(arrival, warm_up)?;
        let (begin, busy) = (Instant::now(), system::busy_time(&place.thread));
        let times = client.run(arrival, measured)?;
        let busy = system::busy_time(&place.thread).saturating_sub(busy);
        Ok(Run {
            times,
            server_load: busy.as_secs_f64() / begin.elapsed().as_secs_f64(),
        })
    }
}

/// The only user of a server.
struct Client {
    stream: TcpStream,
    message: Vec<u8>,
    answer: Vec<u8>,
    asked: u64,
}

impl Client {
    fn connect(place: &Place, bytes: usize) -> io::Result<Client> {
        let stream = TcpStream::connect(place.address)?;
        stream.set_nodelay(true)?;
        system::use_cubic(&stream)?;
        Ok(Client {
            stream,
            message: (0..bytes).map(|place| place as u8).collect(),
            answer: vec![0; bytes],
            asked: 0,
        })
    }

    /// At least one message.
    fn run(&mut self, arrival: Arrival, time: Duration) -> io::Result<Histogram<u64>> {
        let mut times = Histogram::new_with_max(LONGEST, 3).map_err(io::Error::other)?;
        let begin = Instant::now();
        let mut number = 0;
        loop {
            let due = match arrival {
                Arrival::Closed => Instant::now(),
                Arrival::Open(rate) => begin + due_after(number, rate),
            };
            if number > 0 && due >= begin + time {
                return Ok(times);
            }
            wait_until(due);
            self.ask()?;
            times.saturating_record(due.elapsed().as_nanos() as u64);
            number += 1;
        }
    }

    fn ask(&mut self) -> io::Result<()> {
        self.asked += 1;
        let stamp = self.asked.to_le_bytes();
        let length = stamp.len().min(self.message.len());
        self.message[..length].copy_from_slice(&stamp[..length]);
        self.stream.write_all(&self.message)?;
        self.stream.read_exact(&mut self.answer)?;
        if self.answer == self.message {
            Ok(())
        } else {
            Err(io::Error::other("the server sent back something else"))
        }
    }
}

/// When a message is due, counted from the first one.
fn due_after(number: u64, rate: u64) -> Duration {
    Duration::from_nanos((u128::from(number) * 1_000_000_000 / u128::from(rate)) as u64)
}

fn wait_until(moment: Instant) {
    if let Some(sleep) = moment
        .checked_duration_since(Instant::now())
        .and_then(|left| left.checked_sub(LOOK))
    {
        thread::sleep(sleep);
    }
    while Instant::now() < moment {
        std::hint::spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::harness::serving::beside_server;
    use crate::options::{Parsed, parse};

    #[test]
    fn every_server_answers_in_both_loops() {
        let line = "latency --quick --seconds 0.03";
        let Ok(Parsed::Run(options)) = parse(line.split_whitespace().map(str::to_owned)) else {
            panic!("{line}")
        };
        for peer in PEERS {
            let name = peer.name;
            for arrival in [Arrival::Closed, Arrival::Open(500)] {
                let server = (name, peer.echo);
                let seen = beside_server(server, 1, options.bytes, client(&options, arrival));
                let (run, _) = seen.unwrap();
                assert!(!run.times.is_empty(), "{name}: nothing came back");
                assert!(run.at(0.5) > 0.0 && run.at(0.5) <= run.at(0.999), "{name}");
            }
        }
    }

    #[test]
    fn who_waits_behind_a_slow_one_is_late_in_the_open_loop() {
        const STALL: Duration = Duration::from_millis(60);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = Place {
            address: listener.local_addr().unwrap(),
            thread: String::new(),
        };
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut message = [0; 8];
            // Once, and never again, it does not answer for long.
            let mut stall = STALL;
            while stream.read_exact(&mut message).is_ok() {
                thread::sleep(std::mem::take(&mut stall));
                stream.write_all(&message).unwrap();
            }
        });
        let mut client = Client::connect(&place, 8).unwrap();
        let times = client.run(Arrival::Open(1000), STALL * 2).unwrap();
        drop(client);
        server.join().unwrap();
        // 120 are due, of which half had to wait: 60 ms, 59 ms and so on. In a closed loop it would be one.
        assert_eq!(times.len(), 120);
        let late = times.count_between(20_000_000, LONGEST);
        assert!(late >= 40, "{late} were late");
    }

    #[test]
    fn messages_are_due_at_a_rate() {
        assert_eq!(due_after(0, 3), Duration::ZERO);
        assert_eq!(due_after(9, 3), Duration::from_secs(3));
    }
}
