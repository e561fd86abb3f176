//! Our users beside `wrk`, against the same servers.

use std::io;
use std::process::Command;
use std::thread;
use std::time::Duration;

use super::serving::{Folder, Serving};
use super::{FILE, Outcome, content, generate, load_of};
use crate::harness::limit;
use crate::harness::machine::Machine;
use crate::harness::progress::Progress;
use crate::harness::serving::{joined, pin};
use crate::models;
use crate::options::Options;
use crate::scenarios::confirm::{Confirmation, is_there, output_of};

const PROGRAM: &str = "wrk";

/// It counts in whole seconds.
const SECOND: Duration = Duration::from_secs(1);

/// Models, what they run on, and what is said of them.
const SERVERS: [(&str, &str, &str); 3] = [
    ("epoll", "uring", "epoll"),
    ("krug-one-core", "uring", "krug-one-core on uring"),
    ("krug-one-core", "epoll", "krug-one-core on epoll"),
];

const CONNECTIONS: [usize; 2] = [50, 1000];

pub(in crate::scenarios) fn confirm(options: &Options, machine: &Machine) -> io::Result<()> {
    if !is_there(options, machine, PROGRAM, PROGRAM)? {
        return Ok(());
    }
    let content = content();
    let folder = Folder::with_file(FILE, &content)?;
    let count = if options.quick { 1 } else { CONNECTIONS.len() };
    for connections in CONNECTIONS.into_iter().take(count) {
        let mut all = Vec::new();
        for (model, driver, title) in SERVERS {
            let what = format!("HTTP/1.1, {connections} connections, {title}");
            if limit::is_over() {
                println!("\nconfirm, {what}: skipped, the time of --quick is over");
                continue;
            }
            let serving = Serving::begin(models::named(model)?, driver, &folder)?;
            let progress = Progress::unseen();
            let load = load_of(&serving, connections, options, &content, (title, &progress));
            let confirmation = Confirmation {
                what: &what,
                ours: "our users",
                theirs: PROGRAM,
            };
            let ours = || match generate(load)? {
                Outcome::Measured(measured) => Ok(measured.rate()),
                Outcome::Stuck { .. } => Err(io::Error::other(format!("{what}: it is stuck"))),
            };
            let theirs = || wrk(&serving, connections, options.measured);
            all.push((title, confirmation.measure(options, machine, ours, theirs)?));
            serving.end()?;
        }
        tell_ratios_of_both(&all);
    }
    Ok(())
}

/// How the servers stand to the first of them: that is what both have to agree about.
fn tell_ratios_of_both(all: &[(&str, [f64; 2])]) {
    let Some(((first, [our_base, their_base]), others)) = all.split_first() else {
        return;
    };
    for (title, [ours, theirs]) in others {
        println!(
            "{title} / {first}: {:.3} by our users, {:.3} by {PROGRAM}",
            ours / our_base,
            theirs / their_base
        );
    }
}

/// Requests a second. It is on the core of the load.
fn wrk(serving: &Serving, connections: usize, measured: Duration) -> io::Result<f64> {
    let seconds = Duration::from_secs(measured.max(SECOND).as_secs_f64().round() as u64);
    let url = format!("http://{}/{FILE}", serving.address);
    let mut command = Command::new(PROGRAM);
    command.args(["-t1", &format!("-c{connections}")]);
    command.args([&format!("-d{}s", seconds.as_secs()), &url]);
    let output = joined(thread::spawn(move || {
        pin(1)?;
        output_of(&mut command, seconds)
    }))?;
    rate_in(&output).map_err(io::Error::other)
}

/// What it has printed, or what is wrong with that.
fn rate_in(output: &str) -> Result<f64, String> {
    let after = |word: &str| {
        let line = output
            .lines()
            .find_map(|line| line.trim().strip_prefix(word))?;
        Some(line.trim())
    };
    for trouble in ["Socket errors:", "Non-2xx or 3xx responses:"] {
        if let Some(rest) = after(trouble) {
            return Err(format!("{PROGRAM}: {trouble} {rest}"));
        }
    }
    let rate = after("Requests/sec:").and_then(|rate| rate.parse().ok());
    rate.filter(|rate| *rate > 0.0)
        .ok_or_else(|| format!("{PROGRAM} says nothing of requests: {output}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "Running 1s test @ http://127.0.0.1:8000/index.html
  1 threads and 50 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   240.04us   57.20us   1.34ms   85.94%
  204561 requests in 1.00s, 800.00MB read
Requests/sec: 204560.82
Transfer/sec:    800.00MB
";

    #[test]
    fn the_rate_is_read_off_what_it_prints() {
        assert_eq!(rate_in(OUTPUT), Ok(204_560.82));
    }

    #[test]
    fn what_did_not_go_well_is_no_rate() {
        let errors = "  Socket errors: connect 0, read 3, write 0, timeout 0\n";
        let answers = "  Non-2xx or 3xx responses: 17\n";
        for (more, word) in [(errors, "read 3"), (answers, "17")] {
            let complaint = rate_in(&format!("{more}{OUTPUT}")).unwrap_err();
            assert!(complaint.contains(word), "{complaint}");
        }
        assert!(rate_in("Requests/sec: 0.00\n").is_err());
        assert!(rate_in("").is_err());
    }
}
