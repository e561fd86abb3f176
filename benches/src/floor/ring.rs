//! A ring with the best flags that the kernel takes.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use io_uring::squeue::Entry;
use io_uring::{Builder, IoUring, opcode};

/// What came of one request: its `user_data` and its result.
pub(crate) type Completed = (u64, i32);

/// A ring used by the one thread that made it.
pub(crate) struct Ring {
    ring: IoUring,
    /// System calls made so far.
    pub(crate) enters: u64,
    /// For the report.
    pub(crate) flags: &'static str,
}

type Rung = (&'static str, fn(&mut Builder));

const LADDER: &[Rung] = &[
    (
        "SINGLE_ISSUER|DEFER_TASKRUN|TASKRUN_FLAG|SUBMIT_ALL|NO_SQARRAY",
        |builder| {
            builder
                .setup_single_issuer()
                .setup_defer_taskrun()
                .setup_taskrun_flag();
            builder.setup_submit_all().setup_no_sqarray();
        },
    ),
    (
        "SINGLE_ISSUER|DEFER_TASKRUN|TASKRUN_FLAG|SUBMIT_ALL",
        |builder| {
            builder
                .setup_single_issuer()
                .setup_defer_taskrun()
                .setup_taskrun_flag()
                .setup_submit_all();
        },
    ),
    ("COOP_TASKRUN|TASKRUN_FLAG|SUBMIT_ALL", |builder| {
        builder
            .setup_coop_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all();
    }),
    ("none", |_| {}),
];

impl Ring {
    pub(crate) fn new(entries: usize) -> io::Result<Ring> {
        let entries = u32::try_from(entries.next_power_of_two().clamp(8, 4096)).expect("clamped");
        let mut last = None;
        for (flags, set) in LADDER {
            let mut builder = IoUring::builder();
            builder.setup_clamp().setup_cqsize(entries * 4);
            set(&mut builder);
            match builder.build(entries) {
                Ok(ring) => {
                    return Ok(Ring {
                        ring,
                        enters: 0,
                        flags,
                    });
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.expect("the ladder has rungs"))
    }

    /// Makes the kernel know a file by the number 0, so that it need not look it up for each request.
    pub(crate) fn register_file(&self, file: &File) -> io::Result<()> {
        self.ring.submitter().register_files(&[file.as_raw_fd()])
    }

    /// Makes the kernel know memory by its place in the list, so that it need not map it for each request.
    ///
    /// # Safety
    ///
    /// The memory must stay valid until the ring is gone.
    pub(crate) unsafe fn register_buffers(&self, buffers: &[libc::iovec]) -> io::Result<()> {
        // SAFETY: the caller answers for the memory.
        unsafe { self.ring.submitter().register_buffers(buffers) }
    }

    /// Puts a request into the queue, which is emptied into the kernel if it is full.
    ///
    /// # Safety
    ///
    /// The memory that the entry names must stay valid, and be used by nobody else, until its
    /// completion was taken.
    pub(crate) unsafe fn push(&mut self, entry: &Entry) -> io::Result<()> {
        if self.ring.submission().is_full() {
            self.enters += 1;
            self.ring.submit()?;
        }
        // SAFETY: the caller answers for the memory that the entry names.
        unsafe { self.ring.submission().push(entry) }
            .map_err(|_| io::Error::other("the queue is full after it was submitted"))
    }

    /// Puts so many requests that do nothing into the queue, which must have room for them. Written
    /// apart from [`push`](Ring::push), because here the queue's own cost is what is measured.
    pub(crate) fn push_nops(&mut self, count: usize) {
        let entry = opcode::Nop::new().build();
        let mut queue = self.ring.submission();
        for _ in 0..count {
            // SAFETY: a NOP names no memory.
            unsafe { queue.push(&entry) }.expect("room for a batch");
        }
    }

    /// Submits everything, waits for `wanted` completions, and takes all that there are.
    pub(crate) fn turn(&mut self, wanted: usize, completed: &mut Vec<Completed>) -> io::Result<()> {
        self.enter(wanted)?;
        self.take(completed);
        Ok(())
    }

    /// The same for one completion, for which it looks on for up to so long before it waits.
    pub(crate) fn turn_looking_on(
        &mut self,
        longest: Duration,
        completed: &mut Vec<Completed>,
    ) -> io::Result<()> {
        self.enter(0)?;
        let begin = Instant::now();
        while !self.has_news() && begin.elapsed() < longest {
            std::hint::spin_loop();
        }
        if self.ring.completion().is_empty() {
            return self.turn(1, completed);
        }
        self.take(completed);
        Ok(())
    }

    fn take(&mut self, completed: &mut Vec<Completed>) {
        completed.extend(
            self.ring
                .completion()
                .map(|entry| (entry.user_data(), entry.result())),
        );
    }

    /// There are completions, or some wait for a system call that hands them out.
    fn has_news(&mut self) -> bool {
        !self.ring.completion().is_empty() || self.ring.submission().taskrun()
    }

    fn enter(&mut self, wanted: usize) -> io::Result<()> {
        self.enters += 1;
        match self.ring.submit_and_wait(wanted) {
            // Nothing is lost: what was not submitted or awaited is so the next time.
            Err(error)
                if !matches!(
                    error.raw_os_error(),
                    Some(libc::EINTR | libc::EBUSY | libc::EAGAIN)
                ) =>
            {
                Err(error)
            }
            _ => Ok(()),
        }
    }
}
