//! Linux AIO, by its system calls: `io_submit`, `io_getevents`. It is asynchronous for direct reads only: of a
//! file that is read through the cache, `io_submit` reads itself.

use std::ffi::{c_long, c_ulong};
use std::fs::File;
use std::io;
use std::mem;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::ptr;

use crate::file_models::read::{Block, Requests};

const IOCB_CMD_PREAD: u16 = 0;

/// `struct io_event` of the kernel.
#[derive(Clone, Copy)]
#[repr(C)]
struct Event {
    data: u64,
    object: u64,
    result: i64,
    result2: i64,
}

/// A context of the kernel, and the memory that it works on.
pub(in crate::file_models) struct LinuxAio {
    context: c_ulong,
    files: Vec<File>,
    blocks: Box<[Block]>,
    controls: Box<[libc::iocb]>,
    /// Asked for, and not yet submitted.
    asked: Vec<usize>,
    submitted: usize,
    /// Asked for, and not yet over.
    is_in_flight: Vec<bool>,
    events: Vec<Event>,
    calls: u64,
}

impl LinuxAio {
    fn call(&mut self, number: c_long, arguments: [usize; 4]) -> io::Result<usize> {
        self.calls += 1;
        let [second, third, fourth, fifth] = arguments;
        // SAFETY: the calls below name lists of this value, with their lengths. They, and the memory that the
        // control blocks name, stay where they are until the context is gone.
        let answer = unsafe { libc::syscall(number, self.context, second, third, fourth, fifth) };
        usize::try_from(answer).map_err(|_| io::Error::last_os_error())
    }

    /// Submits what was asked, as far as the kernel takes it.
    fn submit(&mut self) -> io::Result<()> {
        while !self.asked.is_empty() {
            let slots = self.asked.iter();
            let list: Vec<*mut libc::iocb> =
                slots.map(|slot| &raw mut self.controls[*slot]).collect();
            match self.call(
                libc::SYS_io_submit,
                [list.len(), list.as_ptr().expose_provenance(), 0, 0],
            ) {
                Ok(count) => {
                    self.asked.drain(..count);
                    self.submitted += count;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // There is room when another one is over.
                Err(error) if error.raw_os_error() == Some(libc::EAGAIN) && self.submitted > 0 => {
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Requests for LinuxAio {
    fn new(files: Vec<File>) -> io::Result<LinuxAio> {
        let depth = files.len();
        let mut context: c_ulong = 0;
        // SAFETY: the kernel writes the number of the context into `context`, which lives on.
        let status = unsafe { libc::syscall(libc::SYS_io_setup, depth, &raw mut context) };
        if status != 0 {
            let error = io::Error::last_os_error();
            let text =
                format!("io_setup for {depth} requests (see /proc/sys/fs/aio-max-nr): {error}");
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
        Ok(LinuxAio {
            context,
            files,
            blocks: vec![Block::EMPTY; depth].into(),
            // SAFETY: a control block is plain numbers, for which all zeros are valid.
            controls: (0..depth).map(|_| unsafe { mem::zeroed() }).collect(),
            asked: Vec::with_capacity(depth),
            submitted: 0,
            is_in_flight: vec![false; depth],
            events: vec![
                Event {
                    data: 0,
                    object: 0,
                    result: 0,
                    result2: 0
                };
                depth
            ],
            calls: 0,
        })
    }

    fn ask(&mut self, slot: usize, part: Range<usize>, offset: u64) -> io::Result<()> {
        assert!(!self.is_in_flight[slot], "one request for each slot");
        let room = &mut self.blocks[slot].0[part];
        let control = &mut self.controls[slot];
        control.aio_data = slot as u64;
        control.aio_lio_opcode = IOCB_CMD_PREAD;
        control.aio_fildes = self.files[slot].as_raw_fd().cast_unsigned();
        // Exposed, as the kernel writes there by this number.
        control.aio_buf = room.as_mut_ptr().expose_provenance() as u64;
        control.aio_nbytes = room.len() as u64;
        control.aio_offset = i64::try_from(offset).map_err(io::Error::other)?;
        self.is_in_flight[slot] = true;
        self.asked.push(slot);
        Ok(())
    }

    fn wait(&mut self, over: &mut Vec<(usize, io::Result<usize>)>) -> io::Result<()> {
        self.submit()?;
        let arguments = [
            1,
            self.events.len(),
            self.events.as_mut_ptr().expose_provenance(),
            ptr::null::<libc::timespec>().addr(),
        ];
        let count = match self.call(libc::SYS_io_getevents, arguments) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) => return Err(error),
        };
        self.submitted -= count;
        for event in &self.events[..count] {
            let slot = usize::try_from(event.data).expect("made from a usize");
            self.is_in_flight[slot] = false;
            let result = usize::try_from(event.result).map_err(|_| {
                io::Error::from_raw_os_error(i32::try_from(-event.result).unwrap_or(libc::EIO))
            });
            over.push((slot, result));
        }
        Ok(())
    }

    fn block(&self, slot: usize) -> &[u8] {
        assert!(!self.is_in_flight[slot], "still being written to");
        &self.blocks[slot].0
    }

    fn calls(&self) -> Option<u64> {
        Some(self.calls)
    }
}

impl Drop for LinuxAio {
    fn drop(&mut self) {
        // SAFETY: the context was made by `new`, and nobody else has it. The kernel comes back when nothing
        // that was submitted is in flight any more.
        unsafe { libc::syscall(libc::SYS_io_destroy, self.context) };
    }
}
