//! The `consensus` program.

fn main() -> std::process::ExitCode {
    krug_consensus::program::main()
}
