//! Systems that are in no mood for io_uring: for a thread, or for a process that is about to be started.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::beside_others;

/// Which of the three system calls of io_uring are answered with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// No ring can be made. Those that are there go on.
    Setup,
    /// A ring can be made, and is of no use.
    Enter,
    /// The same, and it cannot even be asked what it is able to do.
    EnterAndRegister,
    /// What a container's profile does.
    All,
}

impl Calls {
    fn numbers(self) -> [libc::c_long; 3] {
        let (setup, enter, register) = (
            libc::SYS_io_uring_setup,
            libc::SYS_io_uring_enter,
            libc::SYS_io_uring_register,
        );
        match self {
            Calls::Setup => [setup; 3],
            Calls::Enter => [enter; 3],
            Calls::EnterAndRegister => [enter, register, register],
            Calls::All => [setup, enter, register],
        }
    }
}

/// What a process has to live with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hardship {
    /// These calls are answered with this errno.
    Refused(Calls, i32),
    /// The process belongs to an ordinary user who may lock 64 KiB.
    LittleMemory,
    /// The same, and somebody else's rings have all of that.
    NoMemory,
    /// It may have so many descriptors.
    Descriptors(u64),
}

impl Hardship {
    /// Whether a ring is out of the question.
    pub fn forbids_rings(self) -> bool {
        match self {
            Hardship::Refused(..) | Hardship::NoMemory => true,
            Hardship::LittleMemory | Hardship::Descriptors(_) => false,
        }
    }

    /// Whether it can be brought about here; says so if not.
    pub fn is_possible(self) -> bool {
        match self {
            Hardship::Refused(..) => can_refuse(),
            Hardship::NoMemory => rings_are_locked_memory(),
            Hardship::LittleMemory | Hardship::Descriptors(_) => true,
        }
    }

    /// Has the process that `command` starts live with it.
    pub fn befall(self, command: &mut Command) {
        match self {
            Hardship::Refused(calls, errno) => {
                let filter = filter(calls, errno);
                let refuse = move || install(&filter);
                // SAFETY: between fork and exec the closure only makes system calls; its filter is a plain array of its own.
                unsafe { command.pre_exec(refuse) };
            }
            Hardship::LittleMemory => {
                // SAFETY: between fork and exec the function only makes system calls.
                unsafe { command.pre_exec(become_a_user_with_little_memory) };
            }
            Hardship::NoMemory => {
                let spend = || {
                    become_a_user_with_little_memory()?;
                    spend_the_memory()
                };
                // SAFETY: between fork and exec the closure only makes system calls, with arguments on its stack.
                unsafe { command.pre_exec(spend) };
            }
            Hardship::Descriptors(most) => {
                let limit = move || limit(libc::RLIMIT_NOFILE, most);
                // SAFETY: between fork and exec the closure makes one system call.
                unsafe { command.pre_exec(limit) };
            }
        }
    }
}

/// Answers these calls with this errno, on this thread, for good, and on those that it starts from now on. No privilege is
/// needed.
///
/// # Errors
///
/// If the kernel has no such filters, or somebody forbids them.
pub fn refuse(calls: Calls, errno: i32) -> io::Result<()> {
    install(&filter(calls, errno))
}

/// Whether [`refuse`] works here; says so if not.
pub fn can_refuse() -> bool {
    let try_it = || {
        refuse(Calls::Setup, libc::EXDEV)?;
        // SAFETY: a ring without entries is refused before anything is read.
        succeeded(unsafe { libc::syscall(libc::SYS_io_uring_setup, 0, 0) } as i32)
    };
    let tried = std::thread::spawn(try_it).join();
    let answer = tried.expect("a thread that makes three system calls");
    let error = answer.expect_err("there is no ring without entries");
    let can = error.raw_os_error() == Some(libc::EXDEV);
    if !can {
        println!("skipped: what needs a seccomp filter: {error}");
    }
    can
}

/// Lets this process have so many descriptors, from now on, and never more.
///
/// # Errors
///
/// If it may not have as many already, and may not ask for more.
pub fn limit_descriptors(most: u64) -> io::Result<()> {
    limit(libc::RLIMIT_NOFILE, most)
}

fn limit(resource: libc::__rlimit_resource_t, most: u64) -> io::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: most,
        rlim_max: most,
    };
    // SAFETY: the call reads the limit, and nothing else.
    succeeded(unsafe { libc::setrlimit(resource, &raw const limit) })
}

/// Whether this kernel counts rings as locked memory of their user. Between Linux 5.12 and 6.13 it does not.
pub fn rings_are_locked_memory() -> bool {
    let mut look = Command::new("true");
    let refuses = || {
        become_a_user_with_little_memory()?;
        spend_the_memory()
    };
    // SAFETY: between fork and exec the closure only makes system calls, with arguments on its stack.
    unsafe { look.pre_exec(refuses) };
    // What it takes to start a process is not to be taken for somebody's leak.
    let _others = beside_others();
    let started = look.spawn().and_then(|mut child| child.wait());
    if let Err(error) = &started {
        println!("skipped: what needs rings that are locked memory: {error}");
    }
    started.is_ok()
}

fn succeeded(answer: libc::c_int) -> io::Result<()> {
    match answer {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

const LITTLE_MEMORY: u64 = 64 << 10;

/// Where nobody may change the user, it stays the one it is, who is hardly root.
fn become_a_user_with_little_memory() -> io::Result<()> {
    limit(libc::RLIMIT_MEMLOCK, LITTLE_MEMORY)?;
    // SAFETY: the calls take numbers; the list of groups is empty.
    unsafe {
        if libc::geteuid() != 0 {
            return Ok(());
        }
        // A user of its own: what other processes have locked does not count.
        let user = 50_000 + libc::getpid().cast_unsigned() % 10_000;
        succeeded(libc::setgroups(0, std::ptr::null()))?;
        succeeded(libc::setgid(user))?;
        succeeded(libc::setuid(user))
    }
}

/// Leaves so many rings to the program of this process that there is no memory for another one.
///
/// # Errors
///
/// If there is no end to them: the kernel does not count.
fn spend_the_memory() -> io::Result<()> {
    /// The smallest ring takes two pages.
    const RINGS_MAX: u64 = LITTLE_MEMORY / 4096;
    for _ in 0..=RINGS_MAX {
        // What the kernel is asked, and what it answers, in 32-bit words: nothing, and nobody reads it.
        let mut parameters = [0_u32; 30];
        // SAFETY: `io_uring_params` has 120 bytes.
        let ring =
            unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, parameters.as_mut_ptr()) } as i32;
        if ring < 0 {
            let error = io::Error::last_os_error();
            return match error.raw_os_error() {
                Some(libc::ENOMEM) => Ok(()),
                _ => Err(error),
            };
        }
        // SAFETY: the call takes numbers. The next program inherits the ring.
        succeeded(unsafe { libc::fcntl(ring, libc::F_SETFD, 0) })?;
    }
    Err(io::Error::from_raw_os_error(libc::EOVERFLOW))
}

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;
/// No system has this one: there the filter lets everything through.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const ARCHITECTURE: u32 = 0;

/// Byte offsets in `seccomp_data`.
const CALL: u32 = 0;
const CALLING_ARCHITECTURE: u32 = 4;

type Filter = [libc::sock_filter; 8];

fn filter(calls: Calls, errno: i32) -> Filter {
    let step = |code: u32, k: u32, jump_true: u8, jump_false: u8| libc::sock_filter {
        code: code as u16,
        jt: jump_true,
        jf: jump_false,
        k,
    };
    let load = |offset| step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, 0, 0);
    let compare =
        |value, equal, unequal| step(libc::BPF_JMP | libc::BPF_JEQ, value, equal, unequal);
    let answer = |value| step(libc::BPF_RET, value, 0, 0);
    let [first, second, third] = calls.numbers().map(|number| number as u32);
    [
        load(CALLING_ARCHITECTURE),
        // Elsewhere the numbers mean something else.
        compare(ARCHITECTURE, 0, 4),
        load(CALL),
        compare(first, 3, 0),
        compare(second, 2, 0),
        compare(third, 1, 0),
        answer(libc::SECCOMP_RET_ALLOW),
        answer(libc::SECCOMP_RET_ERRNO | errno.cast_unsigned()),
    ]
}

fn install(filter: &Filter) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel reads the program, which is as long as it says, and copies it.
    unsafe {
        succeeded(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        succeeded(libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const program,
        ))
    }
}
