//! Which compiler makes the code that is counted.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let compiler = env::var_os("RUSTC").expect("cargo says which");
    let output = Command::new(compiler).arg("--version").output();
    let version = String::from_utf8(output.expect("it can be run").stdout);
    println!(
        "cargo::rustc-env=KRUG_COUNTED_COMPILER={}",
        version.expect("it is text").trim()
    );
}
