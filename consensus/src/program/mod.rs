//! The program `consensus`: arguments, faults, the two worlds it runs in, and what it prints.

pub mod arguments;
pub mod faults;
pub mod limits;
pub mod word;
