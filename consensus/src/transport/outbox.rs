//! What waits to be sent over one link.

use std::cell::{Cell, RefCell};

use krug::sync::Notify;

/// How many bytes wait for a link at most.
pub const OUTBOX_BYTES_MAX: usize = 256 * 1024;

/// The bytes that a link has not taken yet: whole frames, one behind the other, so that
/// all that came together while the link was busy leaves in one write.
///
/// It is bounded, and never makes a hero wait for a slow neighbour: a frame that finds
/// no room is dropped. To the agreement that is a lost message like any other, and it is
/// sent again; what already waits is older, and is not sent again any sooner by throwing
/// it away.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: RefCell<Vec<u8>>,
    arrived: Notify,
    dropped: Cell<u64>,
}

impl Outbox {
    /// An empty one.
    pub fn new() -> Outbox {
        Outbox::default()
    }

    /// Adds a frame, or drops it if there is no room.
    pub fn push(&self, frame: &[u8]) {
        let mut bytes = self.bytes.borrow_mut();
        if bytes.len() + frame.len() > OUTBOX_BYTES_MAX {
            self.dropped.set(self.dropped.get() + 1);
            return;
        }
        let was_empty = bytes.is_empty();
        bytes.extend_from_slice(frame);
        drop(bytes);
        if was_empty {
            self.arrived.notify_one();
        }
    }

    /// Waits until there is something, and swaps it against `empty`, whose memory is
    /// filled next. For one task only. Dropping this future takes nothing.
    pub async fn take(&self, mut empty: Vec<u8>) -> Vec<u8> {
        empty.clear();
        while self.bytes.borrow().is_empty() {
            self.arrived.notified().await;
        }
        self.bytes.replace(empty)
    }

    /// How many frames found no room.
    pub fn dropped(&self) -> u64 {
        self.dropped.get()
    }
}
