//! What all scenarios share: runs in pairs, statistics, and the circumstances of a result.

pub(crate) mod callgrind;
pub(crate) mod limit;
pub(crate) mod machine;
pub(crate) mod pairs;
pub(crate) mod progress;
pub(crate) mod report;
pub(crate) mod statistics;
