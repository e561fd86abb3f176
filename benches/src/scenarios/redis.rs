//! `redis-benchmark` against the store of the executor's examples, on either driver: what it sees of completion and of readiness.

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use super::confirm::{Confirmation, is_there, output_of, skip};
use crate::floor::system;
use crate::harness::machine::Machine;
use crate::harness::serving::on_first_core;
use crate::options::Options;

const PROGRAM: &str = "redis-benchmark";
const STORE: &str = "keyvalue";
const CONNECTIONS: usize = 50;
const REQUESTS: usize = 200_000;
const REQUESTS_QUICK: usize = 5000;
const COMMANDS: [&str; 2] = ["GET", "SET"];

pub(super) fn confirm(options: &Options, machine: &Machine) -> io::Result<()> {
    if !is_there(options, machine, PROGRAM, "redis-tools")? {
        return Ok(());
    }
    let Some(store) = store_beside(&std::env::current_exe()?) else {
        let reason = format!(
            "no store is built beside this program; `cargo build --profile bench -p krug --example {STORE}` builds it"
        );
        return skip(options, machine, PROGRAM, &reason);
    };
    let requests = if options.quick {
        REQUESTS_QUICK
    } else {
        REQUESTS
    };
    let [uring, epoll] = ["uring", "epoll"].map(|driver| Server::begin(&store, driver));
    let (uring, epoll) = match (uring, epoll) {
        (Ok(uring), Ok(epoll)) => (uring, epoll),
        (Err(error), _) | (_, Err(error)) => {
            let reason = format!("the store does not start: {error}");
            return skip(options, machine, PROGRAM, &reason);
        }
    };
    for command in COMMANDS {
        let confirmation = Confirmation {
            what: &format!(
                "{PROGRAM}, {command}, {CONNECTIONS} connections, on the store of the examples"
            ),
            ours: "krug-uring",
            theirs: "krug-epoll",
        };
        let rate = |server: &Server| server.asked(command, requests);
        confirmation.measure(options, machine, || rate(&uring), || rate(&epoll))?;
    }
    Ok(())
}

/// Where cargo puts examples, if it was built.
fn store_beside(program: &Path) -> Option<PathBuf> {
    let store = program.parent()?.join("examples").join(STORE);
    store.exists().then_some(store)
}

/// The store in a process of its own, on the first core. It is killed when this is dropped.
struct Server {
    process: Child,
    address: SocketAddr,
    /// What it says goes nowhere, but may be said.
    _output: BufReader<ChildStdout>,
}

impl Server {
    fn begin(store: &Path, driver: &str) -> io::Result<Server> {
        let mut command = Command::new(store);
        command.args(["127.0.0.1:0", "--memory"]);
        command.env("KRUG_DRIVER", driver).stdin(Stdio::null());
        command.stdout(Stdio::piped());
        // It is where the thread is that begins it.
        let mut process = on_first_core(|| command.spawn())?;
        let mut output = BufReader::new(process.stdout.take().expect("it has a pipe"));
        let mut line = String::new();
        let address = match output.read_line(&mut line) {
            Ok(_) => address_in(&line).ok_or_else(|| io::Error::other(format!("it says {line:?}"))),
            Err(error) => Err(error),
        };
        match address {
            Ok(address) => Ok(Server {
                process,
                address,
                _output: output,
            }),
            Err(error) => {
                process.kill()?;
                process.wait()?;
                Err(error)
            }
        }
    }

    /// Requests a second.
    fn asked(&self, command: &str, requests: usize) -> io::Result<f64> {
        let mut program = Command::new(PROGRAM);
        program.args(["-h", "127.0.0.1", "-p", &self.address.port().to_string()]);
        program.args(["-c", &CONNECTIONS.to_string()]);
        program.args(["-n", &requests.to_string()]);
        program.args(["-t", &command.to_lowercase(), "--csv"]);
        // No store here is so slow that it answers fewer than this.
        let takes = Duration::from_secs(requests as u64 / 10_000);
        let output = std::thread::scope(|scope| {
            let asking = scope.spawn(|| {
                let cores = system::allowed_cores();
                if let Some(second) = cores.get(1) {
                    system::pin_to(*second)?;
                }
                output_of(&mut program, takes)
            });
            asking
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
        })?;
        rate_in(&output, command).map_err(io::Error::other)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn address_in(line: &str) -> Option<SocketAddr> {
    line.trim().strip_prefix("listening on ")?.parse().ok()
}

/// What it has printed, or what is wrong with that.
fn rate_in(output: &str, command: &str) -> Result<f64, String> {
    let rate = output.lines().find_map(|line| {
        let mut fields = line.split(',').map(|field| field.trim_matches('"'));
        let is_it = fields.next() == Some(command);
        fields.next().filter(|_| is_it)
    });
    let rate = rate.and_then(|rate| rate.parse().ok());
    rate.filter(|rate| *rate > 0.0)
        .ok_or_else(|| format!("{PROGRAM} says nothing of {command}: {output}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_read_off_what_it_prints() {
        let output = "\"test\",\"rps\",\"avg_latency_ms\"\n\"SET\",\"1.5\",\"2\"\n\"GET\",\"123456.79\",\"0.2\"\n";
        assert_eq!(rate_in(output, "GET"), Ok(123_456.79));
        assert_eq!(rate_in(output, "SET"), Ok(1.5));
        for (output, command) in [(output, "PING"), ("", "GET"), ("\"GET\",\"0\"", "GET")] {
            assert!(rate_in(output, command).is_err(), "{output}");
        }
    }

    #[test]
    fn the_store_says_where_it_listens() {
        let address = "127.0.0.1:6380".parse().unwrap();
        assert_eq!(address_in("listening on 127.0.0.1:6380\n"), Some(address));
        assert_eq!(address_in("Address already in use"), None);
    }

    #[test]
    fn a_store_that_was_not_built_is_not_there() {
        assert_eq!(store_beside(Path::new("/nowhere/krug-benches")), None);
    }
}
