//! `cargo run --profile bench -p krug-benches -- <scenario>`

use std::process::ExitCode;

fn main() -> ExitCode {
    krug_benches::run(std::env::args().skip(1), krug_built::how!())
}
