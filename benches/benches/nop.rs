//! `cargo bench -p krug-benches --bench nop -- --instructions`

use std::process::ExitCode;

fn main() -> ExitCode {
    krug_benches::run_as_bench("nop", krug_built::how!())
}
