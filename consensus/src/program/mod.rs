//! The program `consensus`: arguments, faults, the two worlds it runs in, and what it prints.

pub mod arguments;
pub mod course;
pub mod draws;
pub mod faults;
pub mod limits;
pub mod report;
pub mod word;
