//! What all scenarios share: runs in pairs, statistics, and the circumstances of a result.

pub(crate) mod machine;
pub(crate) mod meter;
pub(crate) mod pairs;
pub(crate) mod process;
pub(crate) mod random;
pub(crate) mod report;
pub(crate) mod statistics;
