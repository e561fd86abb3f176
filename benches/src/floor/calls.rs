//! Counts the system calls of another process, by stopping it at each: slow, but exact, and there is
//! nothing to install. A thread cannot stop others of its own process, hence the other one.

use std::ffi::{c_int, c_long, c_void};
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

/// A process that is stopped at its system calls. Only the thread that began it can go on with it.
#[derive(Debug)]
pub(crate) struct Traced {
    process: libc::pid_t,
}

/// A stop at a system call is told from a signal by this bit.
const AT_CALL: c_int = libc::SIGTRAP | 0x80;

impl Traced {
    /// From now on `process`, a child that has one thread so far, is stopped at its calls, and so are the threads
    /// that it starts. It does not outlive this process.
    pub(crate) fn begin(process: u32) -> io::Result<Traced> {
        let process = libc::pid_t::try_from(process).map_err(io::Error::other)?;
        let options =
            libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_TRACECLONE | libc::PTRACE_O_EXITKILL;
        ask(libc::PTRACE_SEIZE as c_int, process, options)?;
        ask(libc::PTRACE_INTERRUPT as c_int, process, 0)?;
        Ok(Traced { process })
    }

    /// Adds each call of the process to `calls`, until it has ended. True if it ended well.
    pub(crate) fn count(self, calls: &AtomicU64) -> io::Result<bool> {
        let mut stops = 0;
        loop {
            let (thread, status) = next_stop()?;
            if !libc::WIFSTOPPED(status) {
                if thread != self.process {
                    continue;
                }
                return Ok(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0);
            }
            let signal = match (libc::WSTOPSIG(status), status >> 16) {
                (AT_CALL, 0) => {
                    // It stops before the call and after it.
                    stops += 1;
                    calls.store(stops / 2, Ordering::Relaxed);
                    0
                }
                (signal, 0) => signal,
                // Not a signal: it has begun, or has begun another thread.
                _ => 0,
            };
            match ask(libc::PTRACE_SYSCALL as c_int, thread, signal) {
                // It was killed while it was stopped; its end comes next.
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                answer => answer?,
            }
        }
    }
}

/// The next thread that has stopped or ended, of those that this thread traces or has made.
fn next_stop() -> io::Result<(libc::pid_t, c_int)> {
    loop {
        let mut status = 0;
        // SAFETY: the kernel writes a number into `status`, which lives on.
        let thread =
            unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL | libc::__WNOTHREAD) };
        if thread >= 0 {
            return Ok((thread, status));
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// One of the requests whose last argument is a number, and that touch no memory.
fn ask(request: c_int, thread: libc::pid_t, number: c_int) -> io::Result<()> {
    let nowhere = ptr::null_mut::<c_void>();
    // SAFETY: the requests made above take a number as it is and neither read nor write this process's memory.
    let answer = unsafe { libc::ptrace(request as _, thread, nowhere, c_long::from(number)) };
    if answer == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::{Command, Stdio};
    use std::thread;

    use super::*;

    /// A shell that waits for a line, then makes one more call at least, and ends with `status`.
    fn ended_well(status: &str) -> (bool, u64) {
        let mut shell = Command::new("sh")
            .args(["-c", &format!("read line; cd /; exit {status}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let calls = AtomicU64::new(0);
        let traced = Traced::begin(shell.id()).unwrap();
        // What it waits for: the end.
        drop(shell.stdin.take());
        let well = traced.count(&calls).unwrap();
        assert!(shell.wait().is_err(), "its end was taken note of");
        (well, calls.into_inner())
    }

    #[test]
    fn the_calls_of_a_process_are_counted_until_it_ends() {
        let (well, calls) = ended_well("0");
        assert!(well);
        // It may have come as far as its read before it was traced: that one goes on, and the call that ends it never returns. Between
        // them is another one.
        assert!((1..1000).contains(&calls), "{calls}");
        assert!(!ended_well("3").0);
    }

    #[test]
    fn a_process_that_is_gone_cannot_be_traced() {
        let mut gone = Command::new("true").stdout(Stdio::piped()).spawn().unwrap();
        gone.stdout
            .take()
            .unwrap()
            .read_to_string(&mut String::new())
            .unwrap();
        let id = gone.id();
        gone.wait().unwrap();
        assert!(
            thread::spawn(move || Traced::begin(id))
                .join()
                .unwrap()
                .is_err()
        );
    }
}
