//! What does this machine allow? Which driver a program gets here, why, and what to do about what is forbidden, missing or scarce.
//!
//! ```text
//! cargo run --release -p krug --example doctor
//! cargo run --release -p krug --example doctor -- --json
//! ```
//!
//! It succeeds (0) wherever a report can be written, also where there is only epoll, or nothing: what is wrong is in
//! the report. Its argument is wrong: 2.

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let text = match arguments.as_slice() {
        [] => krug::doctor().to_string(),
        [argument] if argument == "--json" => krug::doctor().to_json(),
        _ => {
            eprintln!("doctor takes no argument but --json");
            return ExitCode::from(2);
        }
    };
    // Whoever has read enough may close the pipe.
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            eprintln!("cannot write the report: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}
