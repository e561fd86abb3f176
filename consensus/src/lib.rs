//! Leaderless consensus: 33 heroes settle among themselves who says which letter.

pub mod core;
pub mod lottery;
