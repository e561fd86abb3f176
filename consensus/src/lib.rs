//! Leaderless consensus: 33 heroes settle among themselves who says which letter.
#![forbid(unsafe_code)]

pub mod advance;
pub mod core;
pub mod lottery;
pub mod node;
pub mod program;
pub mod transport;
pub mod wire;
