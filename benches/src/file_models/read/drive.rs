//! One thread with several reads in flight, by whatever interface of the system.

use std::fs::File;
use std::io;
use std::ops::Range;

use super::{Asked, Job, Reads};
use crate::file_models::{ends_early, is_passing};
use crate::harness::meter::Measured;

/// Reads in flight, each into a block of memory of its own, called a slot.
pub(crate) trait Requests: Sized {
    /// With so many slots. Each of the files is the same one, opened once for each slot.
    fn new(files: Vec<File>) -> io::Result<Self>;

    /// Asks for some bytes of the slot's block to be read from this offset of the file. Nothing may be in flight for the slot.
    fn ask(&mut self, slot: usize, part: Range<usize>, offset: u64) -> io::Result<()>;

    /// Waits until at least one is over, and tells which, with the counts of bytes.
    fn wait(&mut self, over: &mut Vec<(usize, io::Result<usize>)>) -> io::Result<()>;

    /// The memory of a slot for which nothing is in flight.
    fn block(&self, slot: usize) -> &[u8];

    /// System calls so far, where they are counted.
    fn calls(&self) -> Option<u64>;
}

/// What is in flight for one slot.
struct InFlight {
    asked: Asked,
    length: usize,
    done: usize,
}

/// What is in flight when this fails, the requests wait for when they are dropped.
pub(super) fn read<R: Requests>(job: &Job) -> io::Result<Measured> {
    let files = (0..job.depth).map(|_| job.open());
    let mut driven = Driven {
        job,
        requests: R::new(files.collect::<io::Result<_>>()?)?,
        reads: Reads::new(job),
        slots: (0..job.depth).map(|_| None).collect(),
        in_flight: 0,
    };
    driven.run()?;
    let calls = driven.requests.calls();
    Ok(Measured {
        calls,
        ..driven.reads.measured()
    })
}

struct Driven<'a, R> {
    job: &'a Job,
    requests: R,
    reads: Reads,
    slots: Vec<Option<InFlight>>,
    in_flight: usize,
}

impl<R: Requests> Driven<'_, R> {
    fn run(&mut self) -> io::Result<()> {
        for slot in 0..self.slots.len() {
            self.begin(slot)?;
        }
        let mut over = Vec::with_capacity(self.slots.len());
        while self.in_flight > 0 {
            self.requests.wait(&mut over)?;
            for (slot, result) in over.drain(..) {
                self.came(slot, result)?;
            }
        }
        Ok(())
    }

    fn begin(&mut self, slot: usize) -> io::Result<()> {
        if let Some(asked) = self.reads.next() {
            let length = self.reads.length(&asked);
            self.ask(
                slot,
                InFlight {
                    asked,
                    length,
                    done: 0,
                },
            )?;
        }
        Ok(())
    }

    fn ask(&mut self, slot: usize, now: InFlight) -> io::Result<()> {
        let offset = now.asked.offset() + now.done as u64;
        self.requests
            .ask(slot, self.job.piece_after(now.done), offset)?;
        self.slots[slot] = Some(now);
        self.in_flight += 1;
        Ok(())
    }

    /// Goes on with the block, or with the next one.
    fn came(&mut self, slot: usize, result: io::Result<usize>) -> io::Result<()> {
        let mut now = self.slots[slot].take().expect("what is over was asked for");
        self.in_flight -= 1;
        match result {
            Ok(0) => return Err(ends_early()),
            Ok(count) => now.done += count,
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(error),
        }
        if now.done < now.length {
            return self.ask(slot, now);
        }
        self.reads.done(now.asked, self.requests.block(slot))?;
        self.begin(slot)
    }
}
