//! krug beside other runtimes: `cargo run --release -- <scenario> --peer tokio --peer monoio …`
//!
//! How it measures is how `krug-benches` does: ratios in interleaved pairs, equal terms, one thread each,
//! data that is checked. What each runtime is set to stands in its file under `peers/`, with the page of its
//! documentation that says so.

mod contest;
mod options;
mod peers;
mod scenarios;
mod work;

use std::process::ExitCode;

use options::Parsed;

fn main() -> ExitCode {
    let options = match options::parse(std::env::args().skip(1)) {
        Ok(Parsed::Run(options)) => options,
        Ok(Parsed::Help) => {
            print!("{}", options::help());
            return ExitCode::SUCCESS;
        }
        Err(complaint) => {
            eprintln!("{complaint}; --help lists what there is");
            return ExitCode::from(2);
        }
    };
    match scenarios::run(&options, krug_built::how!()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", options.scenario);
            ExitCode::FAILURE
        }
    }
}
