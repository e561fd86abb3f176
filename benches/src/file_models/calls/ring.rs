//! A bare ring: reads into memory and of a file that it knows by numbers, and writes each with a sync behind it.

use std::fs::File;
use std::io;
use std::mem;
use std::ops::Range;
use std::time::Duration;

use io_uring::{opcode, squeue, types};

use crate::file_models::content::{BLOCK, RECORD};
use crate::file_models::read::{Block, Requests};
use crate::floor::ring::{Completed, Ring};

/// The number by which the ring knows the one file.
const FILE: types::Fixed = types::Fixed(0);

/// Reads in flight; the floor of what reading files can cost. It looks on for up to so many microseconds before it sleeps.
pub(in crate::file_models) struct RingReads<const LOOKS_ON: u64> {
    ring: Ring,
    blocks: Box<[Block]>,
    is_in_flight: Vec<bool>,
    completed: Vec<Completed>,
}

fn outcome(result: i32) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result))
}

impl<const LOOKS_ON: u64> RingReads<LOOKS_ON> {
    /// Takes what is over, as the kernel tells it.
    fn turn(&mut self) -> io::Result<()> {
        match Duration::from_micros(LOOKS_ON) {
            Duration::ZERO => self.ring.turn(1, &mut self.completed)?,
            longest => self.ring.turn_looking_on(longest, &mut self.completed)?,
        }
        for (user_data, _) in &self.completed {
            self.is_in_flight[slot_of(*user_data)] = false;
        }
        Ok(())
    }
}

fn slot_of(user_data: u64) -> usize {
    usize::try_from(user_data).expect("made from a usize")
}

impl<const LOOKS_ON: u64> Requests for RingReads<LOOKS_ON> {
    fn new(files: Vec<File>) -> io::Result<RingReads<LOOKS_ON>> {
        let depth = files.len();
        let ring = Ring::new(depth)?;
        ring.register_file(&files[0])?;
        let mut blocks: Box<[Block]> = vec![Block::EMPTY; depth].into();
        let vectors = blocks.iter_mut().map(|block| libc::iovec {
            iov_base: block.0.as_mut_ptr().cast(),
            iov_len: BLOCK,
        });
        // SAFETY: the blocks are freed after the ring, as their fields stand in this order, or never.
        unsafe { ring.register_buffers(&vectors.collect::<Vec<_>>()) }?;
        Ok(RingReads {
            ring,
            blocks,
            is_in_flight: vec![false; depth],
            completed: Vec::with_capacity(depth),
        })
    }

    fn ask(&mut self, slot: usize, part: Range<usize>, offset: u64) -> io::Result<()> {
        assert!(!self.is_in_flight[slot], "one request for each slot");
        let room = &mut self.blocks[slot].0[part];
        let length = u32::try_from(room.len()).expect("at most a block");
        let number = u16::try_from(slot).expect("few slots");
        let entry = opcode::ReadFixed::new(FILE, room.as_mut_ptr(), length, number).offset(offset);
        // SAFETY: the block belongs to this value, which neither touches nor frees it while the flag is set.
        unsafe { self.ring.push(&entry.build().user_data(slot as u64)) }?;
        self.is_in_flight[slot] = true;
        Ok(())
    }

    fn wait(&mut self, over: &mut Vec<(usize, io::Result<usize>)>) -> io::Result<()> {
        self.turn()?;
        let completed = self.completed.drain(..);
        over.extend(completed.map(|(user_data, result)| (slot_of(user_data), outcome(result))));
        Ok(())
    }

    fn block(&self, slot: usize) -> &[u8] {
        assert!(!self.is_in_flight[slot], "still being written to");
        &self.blocks[slot].0
    }

    fn calls(&self) -> Option<u64> {
        Some(self.ring.enters)
    }
}

impl<const LOOKS_ON: u64> Drop for RingReads<LOOKS_ON> {
    fn drop(&mut self) {
        while self.is_in_flight.contains(&true) {
            self.completed.clear();
            if self.turn().is_err() {
                // The kernel may still write to the blocks, also after the ring was closed.
                mem::forget(mem::take(&mut self.blocks));
                return;
            }
        }
    }
}

/// Writes a record and has it synced, by one system call.
pub(in crate::file_models) struct RingAppends {
    ring: Ring,
    record: Box<[u8; RECORD]>,
    in_flight: usize,
    completed: Vec<Completed>,
}

const WRITE: u64 = 0;
const SYNC: u64 = 1;

impl RingAppends {
    pub(in crate::file_models) fn new(file: &File) -> io::Result<RingAppends> {
        let ring = Ring::new(2)?;
        ring.register_file(file)?;
        Ok(RingAppends {
            ring,
            record: Box::new([0; RECORD]),
            in_flight: 0,
            completed: Vec::with_capacity(2),
        })
    }

    /// To be filled before it is written.
    pub(in crate::file_models) fn record(&mut self) -> &mut [u8; RECORD] {
        assert_eq!(self.in_flight, 0, "still being read from");
        &mut self.record
    }

    /// Writes a part of the record at this offset, and syncs the file's data. How much was written: if it is
    /// less than all, nothing was synced.
    pub(in crate::file_models) fn write_and_sync(
        &mut self,
        part: Range<usize>,
        offset: u64,
    ) -> io::Result<usize> {
        let data = &self.record[part];
        let length = u32::try_from(data.len()).expect("at most a record");
        let write = opcode::Write::new(FILE, data.as_ptr(), length).offset(offset);
        let write = write.build().flags(squeue::Flags::IO_LINK).user_data(WRITE);
        let sync = opcode::Fsync::new(FILE).flags(types::FsyncFlags::DATASYNC);
        let wanted = data.len();
        // SAFETY: the record belongs to this value, which neither touches nor frees it before both are over.
        unsafe { self.ring.push(&write) }?;
        self.in_flight += 1;
        // SAFETY: a sync names no memory.
        unsafe { self.ring.push(&sync.build().user_data(SYNC)) }?;
        self.in_flight += 1;
        let (mut written, mut synced) = (Ok(0), Ok(0));
        while self.in_flight > 0 {
            self.ring.turn(self.in_flight, &mut self.completed)?;
            for (user_data, result) in self.completed.drain(..) {
                self.in_flight -= 1;
                let place = if user_data == WRITE {
                    &mut written
                } else {
                    &mut synced
                };
                *place = outcome(result);
            }
        }
        let count = written?;
        // A short write breaks the chain: the sync was cancelled.
        if count == wanted {
            synced?;
        }
        Ok(count)
    }

    pub(in crate::file_models) fn calls(&self) -> u64 {
        self.ring.enters
    }
}

impl Drop for RingAppends {
    fn drop(&mut self) {
        if self.in_flight > 0 {
            // The kernel may still read from the record, also after the ring was closed.
            mem::forget(mem::replace(&mut self.record, Box::new([0; RECORD])));
        }
    }
}
