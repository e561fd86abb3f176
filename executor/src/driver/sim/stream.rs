//! [`Stream`]: one end of a connection, or of a pipe.

use std::collections::VecDeque;
use std::time::Duration;

use super::name::SocketName;
use super::objects::ObjectId;

/// How bytes get from one end to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    /// Over the network.
    Tcp,
    /// At once.
    Unix,
    /// At once, and in one direction.
    Pipe,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Neither connected nor about to be.
    Fresh,
    Connecting {
        /// How often it was tried.
        tries: u32,
    },
    Connected,
    /// It was reset, or given up.
    Dead,
}

pub(super) struct Stream {
    pub(super) carrier: Carrier,
    pub(super) stage: Stage,
    pub(super) peer: Option<ObjectId>,
    pub(super) local: Option<SocketName>,
    pub(super) remote: Option<SocketName>,
    /// What has come and was not read.
    pub(super) incoming: VecDeque<u8>,
    /// Nothing follows what has come.
    pub(super) has_ended: bool,
    /// To be told once.
    pub(super) error: Option<i32>,
    pub(super) is_shut_for_reading: bool,
    pub(super) is_shut_for_writing: bool,
    /// Sent, and not read by the program on the other side.
    pub(super) outstanding: usize,
    /// How much may be.
    pub(super) capacity: usize,
    /// When the last segment arrives that was sent: the next one does not come before.
    pub(super) last_arrival: Duration,
    /// The end that a listener has made for this client.
    pub(super) answered_by: Option<ObjectId>,
}

/// As much as a connection keeps in the kernel, both buffers together: half of what sockets get from Linux at first.
const CAPACITY: usize = 106_496;
/// As the kernel's (`PIPE_DEF_BUFFERS` pages).
pub(super) const PIPE_CAPACITY: usize = 65_536;
/// What is written to a pipe in one piece (`PIPE_BUF`).
pub(super) const PIPE_ATOMIC_MAX: usize = 4096;

impl Stream {
    pub(super) fn new(carrier: Carrier, stage: Stage) -> Stream {
        Stream {
            carrier,
            stage,
            peer: None,
            local: None,
            remote: None,
            incoming: VecDeque::new(),
            has_ended: false,
            error: None,
            is_shut_for_reading: false,
            is_shut_for_writing: false,
            outstanding: 0,
            capacity: match carrier {
                Carrier::Pipe => PIPE_CAPACITY,
                Carrier::Tcp | Carrier::Unix => CAPACITY,
            },
            last_arrival: Duration::ZERO,
            answered_by: None,
        }
    }

    /// Both sides have ended their streams: the kernel is through with the connection.
    pub(super) fn is_through(&self) -> bool {
        self.carrier == Carrier::Tcp && self.has_ended && self.is_shut_for_writing
    }

    pub(super) fn room(&self) -> usize {
        self.capacity.saturating_sub(self.outstanding)
    }

    /// What can be read, or why nothing can; `None`: wait.
    pub(super) fn readable(&mut self) -> Option<Result<usize, i32>> {
        if !self.incoming.is_empty() {
            return Some(Ok(self.incoming.len()));
        }
        // The end of a stream that has come stays, whatever comes behind it.
        let stays = self.has_ended && self.carrier == Carrier::Tcp;
        if let Some(error) = self.error.filter(|_| !stays) {
            self.error = None;
            return Some(Err(error));
        }
        if self.has_ended || self.is_shut_for_reading || self.stage == Stage::Dead {
            return Some(Ok(0));
        }
        match self.stage {
            Stage::Fresh => Some(Err(libc::ENOTCONN)),
            _ => None,
        }
    }

    /// How much can be written, or why nothing can; `None`: wait.
    pub(super) fn writable(&mut self, wanted: usize) -> Option<Result<usize, i32>> {
        // The error of a Unix stream is for its reader.
        if self.carrier == Carrier::Unix && self.is_shut_for_writing {
            return Some(Err(libc::EPIPE));
        }
        if let Some(error) = self.error.take() {
            return Some(Err(error));
        }
        if self.is_shut_for_writing || self.stage == Stage::Dead {
            return Some(Err(libc::EPIPE));
        }
        match self.stage {
            Stage::Fresh => return Some(Err(self.unconnected())),
            Stage::Connecting { .. } => return None,
            Stage::Connected | Stage::Dead => {}
        }
        let is_atomic = self.carrier == Carrier::Pipe && wanted <= PIPE_ATOMIC_MAX;
        match self.room() {
            _ if wanted == 0 => Some(Ok(0)),
            room if is_atomic && room < wanted => None,
            0 => None,
            room => Some(Ok(room.min(wanted))),
        }
    }

    fn unconnected(&self) -> i32 {
        match self.carrier {
            Carrier::Tcp => libc::EPIPE,
            Carrier::Unix | Carrier::Pipe => libc::ENOTCONN,
        }
    }

    /// The events of a poll that are there.
    pub(super) fn events(&self) -> i32 {
        let mut events = 0;
        let is_over = self.stage == Stage::Dead;
        let is_end = self.has_ended || self.is_shut_for_reading || is_over;
        if !self.incoming.is_empty() || is_end {
            events |= i32::from(libc::POLLIN);
        }
        if is_end {
            events |= i32::from(libc::POLLRDHUP);
        }
        let may_write = match self.stage {
            Stage::Connected => self.room() > 0 || self.is_shut_for_writing,
            Stage::Dead => true,
            Stage::Fresh | Stage::Connecting { .. } => false,
        };
        if may_write {
            events |= i32::from(libc::POLLOUT);
        }
        let is_hung_up = is_over || self.stage == Stage::Fresh;
        if is_hung_up || (is_end && self.is_shut_for_writing) {
            events |= i32::from(libc::POLLHUP);
        }
        if self.error.is_some() {
            events |= i32::from(libc::POLLERR);
        }
        events
    }
}
