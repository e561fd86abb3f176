//! Processes that are copies of this one, and their ends.

use std::collections::HashSet;
use std::ffi::c_int;
use std::io;
use std::panic::{self, AssertUnwindSafe};

use crate::floor::limits::end_with_parent;

/// The children of this process. When this is dropped, they are killed and waited for.
#[derive(Debug, Default)]
pub(crate) struct Children {
    alive: HashSet<libc::pid_t>,
    begun_since_reaping: usize,
}

impl Children {
    /// Begins a copy of this process that does `work` and ends, without going back to where it was called from: what its parent
    /// owns is not its own to drop. It does not outlive its parent.
    ///
    /// # Errors
    ///
    /// If the kernel allows no more processes; if this one has other threads, which a copy would not have, and
    /// whose locks would stay locked in it.
    pub(crate) fn begin(&mut self, work: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        debug_assert!(is_alone()?, "other threads run");
        let parent = std::process::id();
        // SAFETY: this process has one thread (asserted above where assertions are on, and checked by `Children::of_one_thread`), so that
        // no lock is held by a thread that the copy lacks. The copy leaves this function only by `_exit`.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let ended = panic::catch_unwind(AssertUnwindSafe(|| {
                die_with_parent(parent)?;
                work()
            }));
            let status = match ended {
                Ok(Ok(())) => 0,
                Ok(Err(_)) => 1,
                Err(_) => 2,
            };
            // SAFETY: it ends the process, and nothing of it is needed any more.
            unsafe { libc::_exit(status) };
        }
        if child < 0 {
            return Err(io::Error::last_os_error());
        }
        self.alive.insert(child);
        self.begun_since_reaping += 1;
        Ok(())
    }

    /// To be made by a process that has one thread.
    pub(crate) fn of_one_thread() -> io::Result<Children> {
        match is_alone()? {
            true => Ok(Children::default()),
            false => Err(io::Error::other(
                "other threads run: this process cannot be copied",
            )),
        }
    }

    /// Takes note of those that have ended, without waiting. Not at each call: the kernel goes through all that are alive, so that is done when
    /// a share of them is new.
    pub(crate) fn reap(&mut self) {
        if self.begun_since_reaping <= 16 + self.alive.len() / 8 {
            return;
        }
        self.begun_since_reaping = 0;
        while let Ok(Some((child, _))) = wait(-1, libc::WNOHANG) {
            self.alive.remove(&child);
        }
    }

    /// Waits until one has ended. True if it ended well; an error if there is none.
    pub(crate) fn wait(&mut self) -> io::Result<bool> {
        loop {
            if let Some((child, status)) = wait(-1, 0)? {
                self.alive.remove(&child);
                return Ok(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0);
            }
        }
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        for child in &self.alive {
            // SAFETY: plain numbers; it was not waited for yet, so the number is still its own.
            unsafe { libc::kill(*child, libc::SIGKILL) };
        }
        for child in self.alive.drain() {
            // An error says that there is none to wait for.
            let _ = wait(child, 0);
        }
    }
}

fn is_alone() -> io::Result<bool> {
    Ok(std::fs::read_dir("/proc/self/task")?.count() == 1)
}

/// A child that has ended, and its status; none if there is no such yet.
fn wait(child: libc::pid_t, flags: c_int) -> io::Result<Option<(libc::pid_t, c_int)>> {
    loop {
        let mut status = 0;
        // SAFETY: the kernel writes a number into `status`, which lives on.
        let ended = unsafe { libc::waitpid(child, &raw mut status, flags) };
        if ended > 0 {
            return Ok(Some((ended, status)));
        }
        if ended == 0 {
            return Ok(None);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// From now on this process is killed when the thread that made it ends.
///
/// # Errors
///
/// If `parent` is not its parent any more: it has ended before.
pub(crate) fn die_with_parent(parent: u32) -> io::Result<()> {
    end_with_parent()?;
    match std::os::unix::process::parent_id() == parent {
        true => Ok(()),
        false => Err(io::Error::other("the parent has ended")),
    }
}

/// Kills a child that leads a group of its own, and all of this group. It must not have been waited for yet.
pub(crate) fn kill_group(leader: u32) {
    if let Ok(group) = libc::pid_t::try_from(leader) {
        // SAFETY: plain numbers.
        unsafe { libc::kill(-group, libc::SIGKILL) };
    }
}
