//! `cargo bench -p krug-benches --bench echo -- --peer tokio --pairs 7`

use std::process::ExitCode;

fn main() -> ExitCode {
    krug_benches::run_as_bench("echo", krug_built::how!())
}
