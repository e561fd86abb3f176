//! System calls that the standard library has no words for. All unsafe code of the models stands here, and nothing else does.

pub(crate) mod processes;
pub(crate) mod readiness;
pub(crate) mod sockets;
