//! The `consensus` program.

fn main() {}
