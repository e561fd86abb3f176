//! [`Listener`]: a socket that waits for clients.

use std::collections::VecDeque;

use super::name::SocketName;
use super::objects::ObjectId;

pub(super) struct Listener {
    pub(super) local: SocketName,
    pub(super) backlog: usize,
    /// Connections that nobody has taken.
    pub(super) waiting: VecDeque<ObjectId>,
    pub(super) is_shut: bool,
}

impl Listener {
    /// As the kernel, which takes one more than it was told.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() > self.backlog
    }

    /// The events of a poll that are there.
    pub(super) fn events(&self) -> i32 {
        let is_ready = !self.waiting.is_empty() || self.is_shut;
        i32::from(if is_ready { libc::POLLIN } else { 0 })
    }
}
