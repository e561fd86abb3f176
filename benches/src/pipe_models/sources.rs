//! The pipes that have not ended yet, for the models that read when they know that there is something.

use std::io::{self, PipeReader, Read};
use std::os::fd::{AsRawFd, RawFd};
use std::time::Instant;

use super::record::{Ledger, Stream};
use super::{Incoming, ROOM, Received, calls};

struct Source {
    pipe: PipeReader,
    stream: Stream,
}

pub(super) struct Sources {
    list: Vec<Option<Source>>,
    open: usize,
    ledger: Ledger,
    room: Box<[u8; ROOM]>,
    /// System calls so far.
    pub(super) calls: u64,
}

impl Sources {
    /// Takes the pipes; none of them will be waited for in a read.
    pub(super) fn new(incoming: &mut Incoming) -> io::Result<Sources> {
        let pipes = std::mem::take(&mut incoming.pipes);
        for pipe in &pipes {
            calls::make_nonblocking(pipe)?;
        }
        let source = |pipe| {
            Some(Source {
                pipe,
                stream: Stream::default(),
            })
        };
        Ok(Sources {
            open: pipes.len(),
            ledger: Ledger::new(pipes.len()),
            list: pipes.into_iter().map(source).collect(),
            room: Box::new([0; ROOM]),
            calls: 0,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn is_any_open(&self) -> bool {
        self.open > 0
    }

    /// The descriptor of a pipe that has not ended.
    pub(super) fn descriptor(&self, index: usize) -> Option<RawFd> {
        let source = self.list[index].as_ref()?;
        Some(source.pipe.as_raw_fd())
    }

    /// Reads once, what there is. Closes the pipe at its end.
    pub(super) fn read(&mut self, index: usize) -> io::Result<()> {
        let Some(source) = &mut self.list[index] else {
            return Ok(());
        };
        self.calls += 1;
        match source.pipe.read(&mut self.room[..]) {
            Ok(0) => {
                source.stream.end()?;
                self.list[index] = None;
                self.open -= 1;
                Ok(())
            }
            Ok(count) => source.stream.feed(&self.room[..count], &mut self.ledger),
            Err(error) if is_passing(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(super) fn received(self) -> Received {
        Received {
            ledger: self.ledger,
            ended: Instant::now(),
            calls: Some(self.calls),
        }
    }
}

/// There is nothing now, or a signal came.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}
