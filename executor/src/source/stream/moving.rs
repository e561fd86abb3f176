//! How a stream goes to another core: as [`Luggage`], of which a stream is made there.

use std::cell::Cell;
use std::io;
use std::num::NonZero;
use std::rc::Rc;
use std::time::Duration;

use super::{HalfClose, Stream, StreamKind, Terminal};
use crate::buf::Chunk;
use crate::driver::OwnedDescriptor;
use crate::inflight::outside_error;
use crate::source::hand_over::Movable;
use crate::source::{Source, SourceId, find, forget, with};

/// A connection between two cores: all that a stream knows and its descriptor does not.
pub(crate) struct Luggage {
    fd: OwnedDescriptor,
    kind: StreamKind,
    /// What was received and nobody has read.
    unread: Vec<u8>,
    terminal: Option<Terminal>,
    poison: Option<NonZero<i32>>,
    half_close: HalfClose,
    linger: Option<Duration>,
}

/// Makes a stream of it on this core.
///
/// # Errors
///
/// Outside a runtime; the connection is closed then.
pub(crate) fn unpack(luggage: Luggage) -> io::Result<SourceId> {
    let Luggage {
        fd,
        kind,
        unread,
        terminal,
        poison,
        half_close,
        linger,
    } = luggage;
    // What this driver knew of the number was another descriptor.
    forget(&fd);
    let make = |id| {
        let mut stream = Stream::new(id, fd, kind);
        stream.receiving.terminal.set(terminal);
        stream.poison = Cell::new(poison);
        stream.half_close = Cell::new(half_close);
        if let Some(linger) = linger {
            stream.set_linger(linger);
        }
        if !unread.is_empty() {
            stream.inlet.push(Chunk::from(unread));
        }
        Source::Stream(Rc::new(stream))
    };
    let id = with(|sources| sources.insert(make)).ok_or_else(outside_error)?;
    find::stream(id)?.send_end();
    Ok(id)
}

impl Movable for Stream {
    type Luggage = Luggage;

    /// What was accepted for sending is sent first, however long that takes: the linger time is for a close.
    fn close_and_keep(&self) {
        if self.closing.begin() {
            self.is_moving.set(true);
            self.turn_away();
            self.progress();
        }
    }

    fn unwanted(&self) {
        self.is_moving.set(false);
        if self.closing.is_closed() {
            if let Some(fd) = self.owned.take() {
                forget(&fd);
            }
            // The buffers there know the stream, which would keep both for as long as there is a pool.
            return self.inlet.close();
        }
        self.stop_receiving();
        self.let_drain();
        self.progress();
    }

    fn take(&self) -> Option<Luggage> {
        let fd = self.owned.take()?;
        forget(&fd);
        let mut unread = Vec::new();
        while let Some(chunk) = self.inlet.pop() {
            unread.extend_from_slice(&chunk);
        }
        Some(Luggage {
            fd,
            kind: self.kind,
            unread,
            terminal: self.receiving.terminal.get(),
            poison: self.poison.get(),
            half_close: self.half_close.get(),
            linger: self.closing.linger_said(),
        })
    }
}
