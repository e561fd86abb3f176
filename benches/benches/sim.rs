//! `cargo bench -p krug-benches --bench sim`

use std::process::ExitCode;

fn main() -> ExitCode {
    krug_benches::run_as_bench("sim", krug_built::how!())
}
