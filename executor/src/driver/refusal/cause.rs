//! [`Cause`]: why a system refuses a ring, guessed from its answer and from what it says of itself.
//!
//! | errno | the system says | cause |
//! |---|---|---|
//! | EPERM | the sysctl is 2 | [`Disabled`](Cause::Disabled) |
//! | EPERM | the sysctl is 1, no privilege, not in the group | [`DisabledForOthers`](Cause::DisabledForOthers) |
//! | EPERM | a filter is on | [`Seccomp`](Cause::Seccomp) |
//! | EPERM | no filter is on | [`Sandbox`](Cause::Sandbox) |
//! | EPERM | nothing of filters | [`Forbidden`](Cause::Forbidden) |
//! | EACCES | anything | [`SecurityModule`](Cause::SecurityModule) |
//! | ENOSYS | a filter is on, the kernel has the sysctl | [`Seccomp`](Cause::Seccomp) |
//! | ENOSYS | a filter is on, or nothing of filters | [`MissingOrHidden`](Cause::MissingOrHidden) |
//! | ENOSYS | no filter is on, the kernel has the sysctl | [`Sandbox`](Cause::Sandbox) |
//! | ENOSYS | no filter is on | [`Missing`](Cause::Missing) |
//! | EINVAL | 5.11 or later | [`Sandbox`](Cause::Sandbox) |
//! | EINVAL, or something is lacking | anything else | [`OldKernel`](Cause::OldKernel) |
//! | ENOMEM | locked memory is counted and bounded | [`LockedMemory`](Cause::LockedMemory) |
//! | ENOMEM | it is not | [`Memory`](Cause::Memory) |
//! | EMFILE | anything | [`Descriptors`](Cause::Descriptors) |
//! | ENFILE | anything | [`OpenFiles`](Cause::OpenFiles) |
//! | any other | anything | [`Sandbox`](Cause::Sandbox) |
//!
//! In gVisor, EPERM, ENOSYS and EINVAL are its own ([`Sandbox`](Cause::Sandbox)), whatever the files there say.

use super::facts::{Container, Facts};

/// Why there is probably no ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// The sysctl `kernel.io_uring_disabled` is 2: nobody may make a ring.
    Disabled,
    /// The sysctl is 1: only a privileged process may, or one in the group of `kernel.io_uring_group`.
    DisabledForOthers,
    /// A seccomp filter forbids it, or pretends that it is missing. Container runtimes have such a filter by default.
    Seccomp,
    /// A filter or the sysctl forbids it; which one, the system does not say.
    Forbidden,
    /// A security module forbids it, such as SELinux.
    SecurityModule,
    /// The kernel has no io_uring.
    Missing,
    /// The kernel has none, or a filter pretends so.
    MissingOrHidden,
    /// The kernel's io_uring lacks something without which krug does not work.
    OldKernel,
    /// `RLIMIT_MEMLOCK` is too low for one more ring.
    LockedMemory,
    /// There is no memory for it.
    Memory,
    /// The process may open no more descriptors.
    Descriptors,
    /// The system may open no more files.
    OpenFiles,
    /// Something else stands between the program and the kernel, and answers as it likes.
    Sandbox,
}

/// Before it nothing is there that krug could use.
pub(super) const OLDEST: (u32, u32) = (5, 11);

impl Cause {
    /// A word for programs: `disabled`, `disabled-for-others`, `seccomp`, …
    pub fn name(self) -> &'static str {
        match self {
            Cause::Disabled => "disabled",
            Cause::DisabledForOthers => "disabled-for-others",
            Cause::Seccomp => "seccomp",
            Cause::Forbidden => "forbidden",
            Cause::SecurityModule => "security-module",
            Cause::Missing => "missing",
            Cause::MissingOrHidden => "missing-or-hidden",
            Cause::OldKernel => "old-kernel",
            Cause::LockedMemory => "locked-memory",
            Cause::Memory => "memory",
            Cause::Descriptors => "descriptors",
            Cause::OpenFiles => "open-files",
            Cause::Sandbox => "sandbox",
        }
    }

    /// `errno`: `None` if a ring was made that lacks something.
    pub(super) fn of(errno: Option<i32>, facts: &Facts) -> Cause {
        let is_emulated = facts.container == Some(Container::Gvisor);
        match errno {
            Some(libc::EPERM | libc::ENOSYS | libc::EINVAL) if is_emulated => Cause::Sandbox,
            Some(libc::EPERM) => forbidden(facts),
            Some(libc::ENOSYS) => missing(facts),
            Some(libc::EINVAL) if facts.version() >= Some(OLDEST) => Cause::Sandbox,
            Some(libc::EINVAL) | None => Cause::OldKernel,
            Some(libc::EACCES) => Cause::SecurityModule,
            Some(libc::ENOMEM) if facts.may_lock_all() => Cause::Memory,
            Some(libc::ENOMEM) => Cause::LockedMemory,
            Some(libc::EMFILE) => Cause::Descriptors,
            Some(libc::ENFILE) => Cause::OpenFiles,
            // Sandboxes answer with whatever they like: no list of what falls back to epoll is kept.
            Some(_) => Cause::Sandbox,
        }
    }
}

fn forbidden(facts: &Facts) -> Cause {
    let is_allowed = facts.is_administrator() || facts.is_in_group();
    match facts.disabled {
        Some(2..) => Cause::Disabled,
        Some(1) if !is_allowed => Cause::DisabledForOthers,
        _ if facts.has_filter() => Cause::Seccomp,
        _ if facts.seccomp.is_none() => Cause::Forbidden,
        _ => Cause::Sandbox,
    }
}

fn missing(facts: &Facts) -> Cause {
    let is_built_in = facts.disabled.is_some();
    match (facts.has_filter(), is_built_in) {
        (true, true) => Cause::Seccomp,
        (true, false) => Cause::MissingOrHidden,
        (false, _) if facts.seccomp.is_none() => Cause::MissingOrHidden,
        (false, true) => Cause::Sandbox,
        (false, false) => Cause::Missing,
    }
}
