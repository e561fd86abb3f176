//! [`SignalKind`]: which signal.

use std::fmt;

/// Which signal. There are constructors for those that programs listen for; [`from_raw`](SignalKind::from_raw) makes any.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SignalKind(i32);

/// What a signal does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DefaultAction {
    Nothing,
    /// The process ends.
    End,
}

impl SignalKind {
    /// The signal of this number. Whether it can be listened for, [`unix`](super::unix) says.
    ///
    /// ```
    /// use krug::signal::SignalKind;
    /// assert_eq!(SignalKind::from_raw(15), SignalKind::terminate());
    /// ```
    pub const fn from_raw(number: i32) -> SignalKind {
        SignalKind(number)
    }

    /// Its number.
    pub const fn as_raw_value(self) -> i32 {
        self.0
    }

    /// `SIGINT`: ctrl-c.
    pub const fn interrupt() -> SignalKind {
        SignalKind(libc::SIGINT)
    }

    /// `SIGTERM`: the process is asked to end; what `kill`, systemd and container runtimes send first.
    pub const fn terminate() -> SignalKind {
        SignalKind(libc::SIGTERM)
    }

    /// `SIGHUP`: the terminal is gone; for servers, by convention: read the settings again.
    pub const fn hangup() -> SignalKind {
        SignalKind(libc::SIGHUP)
    }

    /// `SIGQUIT`: ctrl-\\.
    pub const fn quit() -> SignalKind {
        SignalKind(libc::SIGQUIT)
    }

    /// `SIGUSR1`.
    pub const fn user_defined1() -> SignalKind {
        SignalKind(libc::SIGUSR1)
    }

    /// `SIGUSR2`.
    pub const fn user_defined2() -> SignalKind {
        SignalKind(libc::SIGUSR2)
    }

    /// `SIGCHLD`: a child process has ended, stopped or gone on. Does nothing by itself.
    pub const fn child() -> SignalKind {
        SignalKind(libc::SIGCHLD)
    }

    /// `SIGPIPE`: written to a pipe or socket that nobody reads. Rust programs ignore it, and get the error instead, which they
    /// do with a listener, too.
    pub const fn pipe() -> SignalKind {
        SignalKind(libc::SIGPIPE)
    }

    /// `SIGALRM`: of `alarm` and `setitimer`.
    pub const fn alarm() -> SignalKind {
        SignalKind(libc::SIGALRM)
    }

    /// `SIGIO`: a descriptor with `O_ASYNC` is ready.
    pub const fn io() -> SignalKind {
        SignalKind(libc::SIGIO)
    }

    /// `SIGWINCH`: the terminal has another size. Does nothing by itself.
    pub const fn window_change() -> SignalKind {
        SignalKind(libc::SIGWINCH)
    }

    /// Why nobody can listen for it, if so.
    pub(super) fn objection(self) -> Option<&'static str> {
        match self.0 {
            libc::SIGKILL | libc::SIGSTOP => Some("the kernel lets nobody catch it"),
            libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE => {
                Some("it says that this thread has gone wrong, and cannot go on after it")
            }
            32 | 33 => Some("the C library keeps it to itself"),
            1..=64 => None,
            _ => Some("there is no such signal"),
        }
    }

    /// What it does by itself. Stopping a process, too, counts as nothing: it does not end.
    pub(crate) fn default_action(self) -> DefaultAction {
        match self.0 {
            libc::SIGCHLD | libc::SIGURG | libc::SIGWINCH | libc::SIGCONT => DefaultAction::Nothing,
            libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU => DefaultAction::Nothing,
            // std has it ignored from the start.
            libc::SIGPIPE => DefaultAction::Nothing,
            _ => DefaultAction::End,
        }
    }
}

impl fmt::Debug for SignalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            libc::SIGINT => "SIGINT",
            libc::SIGTERM => "SIGTERM",
            libc::SIGHUP => "SIGHUP",
            libc::SIGQUIT => "SIGQUIT",
            libc::SIGUSR1 => "SIGUSR1",
            libc::SIGUSR2 => "SIGUSR2",
            libc::SIGCHLD => "SIGCHLD",
            libc::SIGPIPE => "SIGPIPE",
            libc::SIGALRM => "SIGALRM",
            libc::SIGIO => "SIGIO",
            libc::SIGWINCH => "SIGWINCH",
            number => return write!(f, "signal {number}"),
        };
        f.write_str(name)
    }
}
