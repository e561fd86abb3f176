//! What all scenarios share: runs in pairs, statistics, and the circumstances of a result. Public for
//! the comparison with other runtimes, a package of its own.

pub mod apart;
pub mod arguments;
pub(crate) mod callgrind;
pub(crate) mod limit;
pub mod machine;
pub(crate) mod meter;
pub mod pairs;
pub mod process;
pub(crate) mod progress;
pub(crate) mod random;
pub mod report;
pub mod serving;
pub mod statistics;

pub use crate::floor::load::Generated;
pub use crate::floor::server::serve as serve_floor;
pub use crate::peers::{Job, Served};
