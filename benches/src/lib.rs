//! Completion versus readiness, measured.
//!
//! ```console
//! cargo run --release -p krug-benches -- all --quick                        # does it run?
//! cargo run --profile bench -p krug-benches -- echo --peer tokio            # a number worth telling
//! cargo run --profile bench -p krug-benches -- echo --driver epoll          # readiness against readiness
//! cargo run --profile bench -p krug-benches -- echo --peer krug-epoll       # our drivers against each other
//! cargo bench -p krug-benches --bench nop -- --instructions                 # repeatable to the instruction
//! cargo run --profile bench -p krug-benches -- tasks --peer tokio           # what tasks cost before there is any I/O
//! cargo run --profile bench -p krug-benches -- latency --rate 2000          # of one connection, also at a fixed rate
//! cargo bench -p krug-benches --bench sim                                   # what a simulation costs
//! cargo run --profile bench -p krug-benches -- files                        # ways to read a file
//! cargo run --profile bench -p krug-benches -- log                          # ways to append to a log
//! cargo run --profile bench -p krug-benches -- many-pipes                   # ways to read many pipes
//! cargo run --release -p krug-benches -- report out.jsonl                   # tables and pictures of what --json has kept
//! cargo run --release -p krug-benches -- instructions --check               # the gate
//! ```
//!
//! # How it measures
//!
//! - **Ratios, in pairs.** Machines change their speed from second to second. Every run of the
//!   subject (krug) is divided by runs of the baseline just before and just after it; the median of
//!   these ratios is reported with its quartiles and extremes. What lies within the noise is *tied*.
//! - **Equal terms.** The same buffer sizes, `TCP_NODELAY` and congestion control on both sides, one
//!   thread each, the same load generator, every reply compared with what was sent.
//! - **The server is what is measured.** It runs on the first core, the load generator on the second;
//!   both loads are printed, because a result with an idle server says nothing about the server.
//! - **What the kernel sees of it.** Threads, and system calls for each message, are those of a process
//!   that does nothing but serve, the same way for all. The calls are counted by stopping it at each (ptrace), in a pass
//!   that is not timed. A server that is stopped so often is slow, and finds more to do each time that it
//!   has waited: the share of calls that wait is smaller in that pass than in the timed ones.
//! - **With its circumstances.** Machine, kernel, versions, flags and commit stand above every result.
//!
//! Two kinds of baseline: `floor` is a loop written by hand on the bare `io-uring` crate, without any
//! executor: what there is to reach. `tokio` is what most programs use today.
//!
//! Files and pipes are read by *models*: each of the ways that Linux has had for it, from a thread that waits to a
//! ring, as a small program of its own that goes on after short reads and signals, and whose data is checked. Where a model
//! cannot go on, the output says so.
//!
//! # How it shows
//!
//! Tables go to standard output. With `--json` every result is kept as a line, and `report` makes Markdown and SVG of such lines. While scenarios run, a
//! line on the terminal says how far they are. `benches/README.md` says how to read all of it.
//!
//! `--profile bench`, which `cargo bench` takes, too, builds with fat link-time optimisation and one codegen unit; `--release` does not.
//! The first is for numbers, the second for looking; every result says how it was built.

mod file_models;
mod floor;
pub mod harness;
mod models;
mod options;
mod peers;
mod pipe_models;
mod report;
mod scenarios;

use std::process::ExitCode;

use options::{Options, Parsed};
use report::Refusal;

/// Runs what the arguments name; they are described by `--help`. `built` says how the program was compiled.
pub fn run(arguments: impl Iterator<Item = String>, built: &str) -> ExitCode {
    match options::parse(arguments) {
        Ok(Parsed::Run(options)) => run_scenarios(&options, built),
        Ok(Parsed::Report(request)) => write_report(&request),
        Ok(Parsed::Help) => {
            print!("{}", options::help());
            ExitCode::SUCCESS
        }
        Err(complaint) => {
            eprintln!("{complaint}; --help lists what there is");
            ExitCode::from(2)
        }
    }
}

/// The entry of a bench target: the scenario is fixed, and only `cargo bench` (which passes
/// `--bench`) measures at length.
pub fn run_as_bench(scenario: &str, built: &str) -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let measures = arguments.iter().any(|argument| argument == "--bench");
    arguments.retain(|argument| argument != "--bench");
    // Said all the same by a process that has started itself once more.
    if arguments
        .first()
        .is_some_and(|argument| argument == scenario)
    {
        arguments.remove(0);
    }
    if !measures {
        arguments.push("--quick".to_owned());
    }
    run(std::iter::once(scenario.to_owned()).chain(arguments), built)
}

fn write_report(request: &report::Request) -> ExitCode {
    match report::write(request) {
        Ok(files) => {
            for file in files {
                println!("{}", file.display());
            }
            ExitCode::SUCCESS
        }
        Err(Refusal::Input(complaints)) => {
            for complaint in complaints {
                eprintln!("{complaint}");
            }
            ExitCode::from(2)
        }
        Err(Refusal::Output(error)) => {
            eprintln!("report: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run_scenarios(options: &Options, built: &str) -> ExitCode {
    let outcome = scenarios::run(options, built);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", options.scenario);
            ExitCode::FAILURE
        }
    }
}
