//! [`Datagrams`]: a datagram socket.

use std::collections::VecDeque;

use super::name::SocketName;
use super::objects::ObjectId;

/// The largest payload of UDP over version 4 of the internet protocol.
pub(super) const UDP_LENGTH_MAX: usize = 65_507;
/// How many datagrams a Unix socket keeps (`net.unix.max_dgram_qlen`, and one more).
pub(super) const UNIX_QUEUE_MAX: usize = 11;
/// What a datagram costs its receiver besides its bytes: as much as the kernel's bookkeeping, about.
const OVERHEAD: usize = 768;

pub(super) struct Datagrams {
    pub(super) is_unix: bool,
    pub(super) local: Option<SocketName>,
    /// To whom it is connected.
    pub(super) remote: Option<SocketName>,
    /// The other end of a Unix pair, or whoever has the name it is connected to.
    pub(super) peer: Option<ObjectId>,
    pub(super) queue: VecDeque<(SocketName, Vec<u8>)>,
    pub(super) error: Option<i32>,
    pub(super) is_shut_for_reading: bool,
    pub(super) is_shut_for_writing: bool,
}

impl Datagrams {
    pub(super) fn new(is_unix: bool) -> Datagrams {
        Datagrams {
            is_unix,
            local: None,
            remote: None,
            peer: None,
            queue: VecDeque::new(),
            error: None,
            is_shut_for_reading: false,
            is_shut_for_writing: false,
        }
    }

    /// Whether there is room for one more, of so many bytes.
    pub(super) fn has_room(&self, length: usize, buffer: usize) -> bool {
        if self.is_unix {
            return self.queue.len() < UNIX_QUEUE_MAX;
        }
        let used: usize = self
            .queue
            .iter()
            .map(|(_, bytes)| bytes.len() + OVERHEAD)
            .sum();
        used + length + OVERHEAD <= buffer
    }

    pub(super) fn events(&self) -> i32 {
        let mut events = i32::from(libc::POLLOUT);
        if !self.queue.is_empty() || self.is_shut_for_reading {
            events |= i32::from(libc::POLLIN);
        }
        if self.is_shut_for_reading {
            events |= i32::from(libc::POLLRDHUP);
        }
        if self.is_shut_for_reading && self.is_shut_for_writing {
            events |= i32::from(libc::POLLHUP);
        }
        if self.error.is_some() {
            events |= i32::from(libc::POLLERR);
        }
        events
    }
}
