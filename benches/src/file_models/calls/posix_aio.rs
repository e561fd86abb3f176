//! POSIX AIO, as the C library has it: `aio_read`, `aio_suspend`. In glibc a thread does the work, one for each
//! descriptor, twenty at most; requests of one descriptor wait for each other, which is why there is
//! one for each slot.

use std::fs::File;
use std::io;
use std::mem;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::ptr;

use crate::file_models::read::{Block, Requests};

/// One request, which the C library knows by its address.
struct Slot {
    control: Box<libc::aiocb>,
    block: Box<Block>,
    is_in_flight: bool,
    file: File,
}

pub(in crate::file_models) struct PosixAio {
    slots: Vec<Slot>,
}

impl Slot {
    /// How the request stands: `None` while it is in flight.
    fn look(&mut self) -> Option<io::Result<usize>> {
        // SAFETY: the request was begun with this control block, which has not moved since.
        let error = unsafe { libc::aio_error(&raw const *self.control) };
        if error == libc::EINPROGRESS {
            return None;
        }
        self.is_in_flight = false;
        // SAFETY: as above; the request is over, and this is asked once, as the flag says.
        let count = unsafe { libc::aio_return(&raw mut *self.control) };
        let result = usize::try_from(count).map_err(|_| io::Error::from_raw_os_error(error));
        Some(result)
    }
}

impl PosixAio {
    /// Returns when one of those in flight may be over, or a signal came.
    fn suspend(&self) -> io::Result<()> {
        let in_flight = self.slots.iter().filter(|slot| slot.is_in_flight);
        let list: Vec<*const libc::aiocb> =
            in_flight.map(|slot| &raw const *slot.control).collect();
        let count = libc::c_int::try_from(list.len()).expect("few slots");
        // SAFETY: the list and the control blocks in it, all of requests that were begun, outlive the call.
        let status = unsafe { libc::aio_suspend(list.as_ptr(), count, ptr::null()) };
        if status == 0 {
            return Ok(());
        }
        match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            error => Err(error),
        }
    }
}

impl Requests for PosixAio {
    fn new(files: Vec<File>) -> io::Result<PosixAio> {
        let slot = |file| {
            // SAFETY: a control block is numbers and pointers, for which all zeros are valid.
            let mut control: libc::aiocb = unsafe { mem::zeroed() };
            control.aio_sigevent.sigev_notify = libc::SIGEV_NONE;
            Slot {
                control: Box::new(control),
                block: Box::new(Block::EMPTY),
                is_in_flight: false,
                file,
            }
        };
        Ok(PosixAio {
            slots: files.into_iter().map(slot).collect(),
        })
    }

    fn ask(&mut self, slot: usize, part: Range<usize>, offset: u64) -> io::Result<()> {
        loop {
            let others_in_flight = self.slots.iter().any(|other| other.is_in_flight);
            let Slot {
                control,
                block,
                is_in_flight,
                file,
            } = &mut self.slots[slot];
            assert!(!*is_in_flight, "one request for each slot");
            let room = &mut block.0[part.clone()];
            control.aio_fildes = file.as_raw_fd();
            control.aio_buf = room.as_mut_ptr().cast();
            control.aio_nbytes = room.len();
            control.aio_offset = libc::off_t::try_from(offset).map_err(io::Error::other)?;
            // SAFETY: control block and memory are boxed and belong to the slot, which neither touches nor
            // frees them while the flag is set; `drop` waits.
            if unsafe { libc::aio_read(&raw mut **control) } == 0 {
                *is_in_flight = true;
                return Ok(());
            }
            let error = io::Error::last_os_error();
            // Too many at once: there is room when another one is over.
            if error.raw_os_error() != Some(libc::EAGAIN) || !others_in_flight {
                return Err(error);
            }
            self.suspend()?;
        }
    }

    fn wait(&mut self, over: &mut Vec<(usize, io::Result<usize>)>) -> io::Result<()> {
        loop {
            for (index, slot) in self.slots.iter_mut().enumerate() {
                if slot.is_in_flight
                    && let Some(result) = slot.look()
                {
                    over.push((index, result));
                }
            }
            if !over.is_empty() {
                return Ok(());
            }
            self.suspend()?;
        }
    }

    fn block(&self, slot: usize) -> &[u8] {
        assert!(!self.slots[slot].is_in_flight, "still being written to");
        &self.slots[slot].block.0
    }

    fn calls(&self) -> Option<u64> {
        None
    }
}

impl Drop for PosixAio {
    fn drop(&mut self) {
        for slot in &mut self.slots {
            while slot.is_in_flight && slot.look().is_none() {
                // It is a read of a file, which ends by itself.
                std::thread::yield_now();
            }
        }
    }
}
