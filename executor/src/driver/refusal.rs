//! [`Refusal`]: why there is no ring, and what can be done about it.

use std::fmt;
use std::io;

/// What a system answered that would not make a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// `None` if it made one that lacks something.
    pub(crate) errno: Option<i32>,
    kind: io::ErrorKind,
    /// What it said.
    pub(crate) answer: String,
    /// Why it probably did.
    pub(crate) cause: &'static str,
    /// What to do about it.
    pub(crate) remedy: &'static str,
}

impl Refusal {
    pub(super) fn of(error: &io::Error) -> Refusal {
        let errno = error.raw_os_error();
        let (cause, remedy) = cause_and_remedy(errno);
        Refusal {
            errno,
            kind: error.kind(),
            answer: error.to_string(),
            cause,
            remedy,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refusal {
            answer,
            cause,
            remedy,
            ..
        } = self;
        write!(f, "cannot set up io_uring: {answer}; {cause}: {remedy}")
    }
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> io::Error {
        io::Error::new(refusal.kind, refusal.to_string())
    }
}

fn cause_and_remedy(errno: Option<i32>) -> (&'static str, &'static str) {
    match errno {
        Some(libc::EPERM) => (
            "it is forbidden here",
            "let the seccomp profile of the container allow io_uring_setup, io_uring_enter and \
             io_uring_register, or set the sysctl kernel.io_uring_disabled to 0",
        ),
        Some(libc::EACCES) => (
            "a security module forbids it",
            "SELinux needs the permission io_uring:allowed",
        ),
        Some(libc::ENOSYS) => (
            "the kernel has no io_uring, or a seccomp profile hides it",
            "take a kernel with CONFIG_IO_URING, or let the profile allow io_uring_setup",
        ),
        Some(libc::EINVAL) | None => (
            "this kernel's io_uring is too old",
            "Linux 5.11 or later is needed",
        ),
        Some(libc::ENOMEM) => (
            "the memory of the ring exceeds RLIMIT_MEMLOCK",
            "raise it (ulimit -l, LimitMEMLOCK=), give the process CAP_IPC_LOCK, or ask for fewer entries",
        ),
        Some(libc::EMFILE) => (
            "the process has too many open descriptors",
            "raise RLIMIT_NOFILE (ulimit -n)",
        ),
        Some(libc::ENFILE) => (
            "the system has too many open files",
            "raise the sysctl fs.file-max",
        ),
        _ => (
            "for a reason unknown to krug",
            "look for io_uring in the documentation of this sandbox or virtual machine",
        ),
    }
}
