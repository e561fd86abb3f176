//! The thread that writes to all pipes.

use std::io::{self, PipeWriter, Write};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use super::record::{RECORD, record};
use super::{Cut, Job};
use crate::floor::system;
use crate::harness::random::Random;

/// The clock is read once for so many records.
const STRIDE: u64 = 64;

pub(super) struct Written {
    /// Records on each channel.
    pub(super) counts: Vec<u64>,
    pub(super) began: Instant,
    /// How long the process had been on processors by then.
    pub(super) busy_before: Duration,
    /// How long this thread was on a processor.
    pub(super) busy: Duration,
}

struct Channel {
    end: PipeWriter,
    /// How many records have been begun.
    count: u64,
    /// The part of the last one that is not written yet.
    rest: Vec<u8>,
}

impl Channel {
    fn begin(&mut self, number: usize) {
        self.rest.extend_from_slice(&record(number, self.count));
        self.count += 1;
    }

    fn write(&mut self, length: usize) -> io::Result<()> {
        self.end.write_all(&self.rest[..length])?;
        self.rest.drain(..length);
        Ok(())
    }
}

/// Waits for `go`, then writes until the time is over, and closes the pipes.
pub(super) fn write(
    job: &Job,
    ends: Vec<PipeWriter>,
    go: &Receiver<Duration>,
) -> io::Result<Written> {
    let mut channels: Vec<Channel> = ends
        .into_iter()
        .map(|end| Channel {
            end,
            count: 0,
            rest: Vec::with_capacity(RECORD),
        })
        .collect();
    // The reader may have failed before it was ready.
    let busy_before = go.recv().ok();
    let began = Instant::now();
    let mut random = Random::new(job.seed);
    let mut records = 0;
    while busy_before.is_some() && records < job.records_max {
        if records.is_multiple_of(STRIDE) && began.elapsed() >= job.measured && records > 0 {
            break;
        }
        let number = usize::try_from(random.below(channels.len() as u64)).expect("an index");
        let channel = &mut channels[number];
        if channel.rest.is_empty() {
            channel.begin(number);
            records += 1;
        }
        let length = match job.cut {
            Cut::Nowhere => RECORD,
            Cut::Anywhere => 1 + random.below(channel.rest.len() as u64) as usize,
        };
        channel.write(length)?;
    }
    for channel in &mut channels {
        channel.write(channel.rest.len())?;
    }
    Ok(Written {
        counts: channels.iter().map(|channel| channel.count).collect(),
        began,
        busy_before: busy_before.unwrap_or_default(),
        busy: system::thread_time(),
    })
}
