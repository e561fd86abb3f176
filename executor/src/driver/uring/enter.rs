//! The one system call of a turn: shows the kernel what is staged, waits, and
//! copes with every answer.

use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring};

use super::decode::{self, Event};
use super::{Uring, encode, fallback, user_data};
use crate::driver::staging::Request;
use crate::driver::{Completion, Key, Wait, time_left};
use crate::sys;

/// What one `io_uring_enter` is asked to wait for.
#[derive(Clone, Copy, Debug)]
struct Sleep {
    completions_min: u32,
    /// `None`: for ever.
    timeout: Option<Duration>,
}

/// How many deferred completions one system call hands out, unless it is asked to
/// wait for more than that.
const HANDED_OUT_MAX: u64 = 20;

impl Sleep {
    /// Submit, let what is ready complete, and come back.
    const NO: Sleep = Sleep {
        completions_min: 0,
        timeout: None,
    };
}

/// What came of one `io_uring_enter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entered {
    Through,
    /// The kernel could not take entries now: short of memory, or it wants its
    /// backlog of completions taken first.
    Busy,
}

impl Uring {
    /// Walks the completion queue. No system call.
    #[inline]
    pub(crate) fn reap(&mut self, completions: &mut Vec<(Key, Completion)>) {
        for entry in self.ring.0.completion() {
            self.counters.completions += 1;
            let (user_data, result) = (entry.user_data(), entry.result());
            if let Some((key, completion)) = decode::operation(user_data, result, entry.flags()) {
                if self.staging.complete(key, completion.more) {
                    completions.push((key, completion));
                } else {
                    self.counters.stale_completions += 1;
                }
                continue;
            }
            match decode::event(user_data, result) {
                Event::Cancel(..) | Event::Close(_) if self.own_in_flight == 0 => {
                    self.counters.stale_completions += 1;
                }
                Event::Cancel(key, result) => {
                    self.own_in_flight -= 1;
                    debug_assert!(
                        [0, -libc::ENOENT, -libc::EALREADY].contains(&result),
                        "cancelling {key:?} was answered with {result}"
                    );
                    self.counters.cancels_too_late += u64::from(result != 0);
                    // On its way from its first attempt to a thread of the kernel an operation
                    // is nowhere where a cancel looks for it (seen with a connect to a Unix
                    // socket whose queue is full). A lost cancel could block a shutdown.
                    if result == -libc::ENOENT && self.staging.is_under_way(key) {
                        self.missed_cancels.add(key);
                    }
                }
                Event::Close(_) => self.own_in_flight -= 1,
                Event::Bell => {
                    self.bell.rung();
                    self.counters.bells += 1;
                }
                Event::Message => self.counters.bells += 1,
                Event::Unknown => self.counters.stale_completions += 1,
            }
        }
    }

    pub(crate) fn enter(
        &mut self,
        wait: Wait,
        completions: &mut Vec<(Key, Completion)>,
    ) -> io::Result<()> {
        let before = (completions.len(), self.counters.completions);
        self.reap(completions);
        let entered = self.submit_and_wait(wait, before, completions);
        if wait != Wait::No {
            self.bells_heard = self.counters.bells;
        }
        entered
    }

    /// `before`: how many completions there were of operations, and of everything.
    fn submit_and_wait(
        &mut self,
        wait: Wait,
        before: (usize, u64),
        completions: &mut Vec<(Key, Completion)>,
    ) -> io::Result<()> {
        let mut patience = Patience::new();
        loop {
            self.ask_missed_again();
            self.fill(completions);
            let nothing_yet = before == (completions.len(), self.counters.completions)
                && self.bells_heard == self.counters.bells;
            let sleep = self.sleep(wait, nothing_yet);
            if !self.needs_enter(sleep) {
                return Ok(());
            }
            let entered = self.enter_once(sleep);
            let taken = self.counters.completions;
            self.reap(completions);
            let taken = self.counters.completions - taken;
            self.unsubmitted = self.queued() > 0;
            if entered? == Entered::Busy {
                if taken == 0 && !patience.wait() {
                    return Ok(());
                }
                continue;
            }
            patience = Patience::new();
            self.many_ready = taken >= HANDED_OUT_MAX && self.ring.0.submission().taskrun();
            let submitted = !self.unsubmitted && self.staging.is_empty();
            let something = before != (completions.len(), self.counters.completions);
            if submitted && (something || !nothing_yet || time_left(wait).is_none()) {
                return Ok(());
            }
        }
    }

    /// What the next system call waits for. It sleeps only if the caller wants to,
    /// nothing has come yet, and everything staged goes with it or went before.
    fn sleep(&mut self, wait: Wait, nothing_yet: bool) -> Sleep {
        if !self.staging.is_empty() {
            return Sleep::NO;
        }
        if self.many_ready {
            // Without the time limit it would wait until there are so many.
            return Sleep {
                completions_min: self.capabilities.completion_entries,
                timeout: Some(Duration::ZERO),
            };
        }
        match time_left(wait) {
            Some(timeout) if nothing_yet && self.arm_bell() => Sleep {
                completions_min: 1,
                timeout: self.missed_cancels.shorten(timeout),
            },
            _ => Sleep::NO,
        }
    }

    /// Stages the cancels anew that did not find their operation, once their pause is over.
    fn ask_missed_again(&mut self) {
        for key in self.missed_cancels.take_due() {
            if self.staging.is_under_way(key) {
                self.staging.cancel(key);
            }
        }
    }

    /// False if the system call would do nothing.
    fn needs_enter(&mut self, sleep: Sleep) -> bool {
        sleep.completions_min > 0 || self.queued() > 0 || self.kernel_has_work()
    }

    /// Completions are there, or wait for a system call to hand them out.
    #[inline]
    pub(crate) fn has_news(&mut self) -> bool {
        !self.ring.0.completion().is_empty() || self.kernel_has_work()
    }

    /// Completions wait for a system call to hand them out.
    fn kernel_has_work(&mut self) -> bool {
        let queue = self.ring.0.submission();
        queue.taskrun() || queue.cq_overflow()
    }

    /// Entries in the submission queue that the kernel has not consumed.
    fn queued(&mut self) -> usize {
        self.ring.0.submission().len()
    }

    /// False if the bell could not be heard yet for want of a submission entry.
    fn arm_bell(&mut self) -> bool {
        if self.bell.is_armed() {
            return true;
        }
        let mut queue = self.ring.0.submission();
        if queue.is_full() {
            return false;
        }
        if let Some((event, sink, length)) = self.bell.arm() {
            // SAFETY: `sink` is a static of `length` bytes. The queue is not full.
            let pushed = unsafe { queue.push(&encode::bell(event, sink, length)) };
            debug_assert!(pushed.is_ok());
        }
        true
    }

    /// One `io_uring_enter`.
    fn enter_once(&mut self, sleep: Sleep) -> io::Result<Entered> {
        let to_submit = self.queued();
        #[cfg(any(test, feature = "fault-injection"))]
        let sleep = match self.enter_errors.pop_front() {
            // An interrupted wait does not undo the submission.
            Some(libc::EINTR) if to_submit > 0 => Sleep::NO,
            Some(0) => sleep,
            Some(errno) => return judge(io::Error::from_raw_os_error(errno)),
            None => sleep,
        };
        self.counters.enters += 1;
        let result = system_call(&self.ring.0, to_submit as u32, sleep, self.enter_flags());
        let queue = self.ring.0.submission();
        self.counters.overflows += u64::from(queue.cq_overflow());
        drop(queue);
        match result {
            Ok(submitted) => {
                self.counters.submitted += submitted as u64;
                if submitted > 0 {
                    self.counters.batches.record(submitted as u64);
                }
                Ok(Entered::Through)
            }
            Err(error) => judge(error),
        }
    }

    /// GETEVENTS always: deferred completions are handed out by nothing else.
    fn enter_flags(&self) -> EnterFlags {
        match self.capabilities.no_iowait {
            true => EnterFlags::GETEVENTS | EnterFlags::NO_IOWAIT,
            false => EnterFlags::GETEVENTS,
        }
    }

    /// Does what the ring cannot do, of what is staged still.
    #[cold]
    fn perform_lacking(&mut self, completions: &mut Vec<(Key, Completion)>) {
        for (key, operation) in self.lacking.drain(..) {
            if self.staging.take_back(key) {
                let result = fallback::result(&operation);
                completions.push((key, Completion::last(result)));
                self.counters.fallbacks += 1;
            }
        }
    }

    /// Moves what is staged to the submission queue, as much as there is room for.
    #[inline]
    fn fill(&mut self, completions: &mut Vec<(Key, Completion)>) {
        if !self.lacking.is_empty() {
            self.perform_lacking(completions);
        }
        let mut queue = self.ring.0.submission();
        loop {
            let run = self.staging.run(queue.capacity() - queue.len());
            let length = run.len();
            if length == 0 {
                break;
            }
            // SAFETY: the memory named by an operation is kept by whoever submitted it
            // until its last completion: the contract of `driver`. There is room for them.
            let pushed = unsafe { queue.push_multiple(run) };
            debug_assert!(pushed.is_ok());
            self.staging.leave(length);
        }
        while !queue.is_full() {
            let entry = match self.staging.next_request() {
                Some(Request::Cancel(key)) => {
                    self.counters.cancels += 1;
                    encode::cancel(key)
                }
                Some(Request::Close(fd)) => encode::close(fd),
                None => break,
            };
            self.own_in_flight += 1;
            // SAFETY: a cancel and a close name no memory. The queue is not full.
            let pushed = unsafe { queue.push(&entry) };
            debug_assert!(pushed.is_ok());
        }
    }
}

fn system_call(
    ring: &IoUring,
    to_submit: u32,
    sleep: Sleep,
    flags: EnterFlags,
) -> io::Result<usize> {
    let submitter = ring.submitter();
    let wanted = sleep.completions_min;
    let Some(timeout) = sleep.timeout else {
        // SAFETY: no argument is passed. What the entries name is kept by whoever
        // submitted them, as `fill` says.
        return unsafe { submitter.enter::<()>(to_submit, wanted, flags.bits(), None) };
    };
    let timespec = Timespec::from(timeout);
    let arguments = SubmitArgs::new().timespec(&timespec);
    let flags = flags | EnterFlags::EXT_ARG;
    // SAFETY: `arguments` is what EXT_ARG asks for, and outlives the call together
    // with the time it points to. For the entries as above.
    unsafe { submitter.enter(to_submit, wanted, flags.bits(), Some(&arguments)) }
}

/// What an error of `io_uring_enter` means: the table is in the docs of `driver`.
fn judge(error: io::Error) -> io::Result<Entered> {
    match error.raw_os_error() {
        Some(libc::EINTR | libc::ETIME) => Ok(Entered::Through),
        Some(libc::EAGAIN | libc::EBUSY | libc::ENOMEM) => Ok(Entered::Busy),
        Some(libc::EBADR) => Err(io::Error::other(
            "the kernel ran out of memory and lost completions of this ring: \
             nothing that is in flight on it can be trusted to end",
        )),
        Some(libc::EEXIST) => Err(io::Error::other(
            "a ring is used by the thread that made it and by no other",
        )),
        _ => Err(error),
    }
}

/// Waits a little longer every time: the kernel is short of memory.
#[derive(Debug)]
struct Patience {
    wait: Duration,
}

impl Patience {
    const FIRST: Duration = Duration::from_micros(50);
    const LAST: Duration = Duration::from_millis(7);

    fn new() -> Patience {
        Patience {
            wait: Patience::FIRST,
        }
    }

    /// False if it is time to let the caller do something else, in less than 20 ms.
    fn wait(&mut self) -> bool {
        if self.wait > Patience::LAST {
            return false;
        }
        std::thread::sleep(self.wait);
        self.wait *= 2;
        true
    }
}

/// Fails if the ring can be made, but not be used: that is what some sandboxes do.
pub(super) fn try_out(ring: &IoUring) -> io::Result<()> {
    let entered = system_call(ring, 0, Sleep::NO, EnterFlags::GETEVENTS);
    entered.map(drop).or_else(|error| judge(error).map(drop))
}

/// Whether a message sent to the ring arrives: tried, because a kernel that knows
/// the operation on rings may lack the one without, and sandboxes may refuse it.
pub(super) fn hears_messages(ring: &mut IoUring) -> io::Result<bool> {
    if sys::send_ring_message(ring.as_raw_fd(), user_data::MESSAGE).is_err() {
        return Ok(false);
    }
    let mut patience = Patience::new();
    loop {
        try_out(ring)?;
        if ring
            .completion()
            .any(|entry| entry.user_data() == user_data::MESSAGE)
        {
            return Ok(true);
        }
        if !patience.wait() {
            return Ok(false);
        }
    }
}
