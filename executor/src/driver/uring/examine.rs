//! What a ring of this kernel can do, found out with one that nothing runs on.

use io_uring::{IoUring, Probe, opcode};

use super::{capabilities, setup};
use crate::driver::{Ability, Capabilities, Config, Found, Refusal};

const PLAIN_CALL: &str = "a plain system call";
const THREAD: &str = "a thread makes the call";
const NOTHING: &str = "nothing: every kernel whose rings krug takes has it";

/// All that krug submits.
#[rustfmt::skip] // A table.
const OPERATIONS: &[(&str, u8, &str)] = &[
    ("ACCEPT", opcode::Accept::CODE, NOTHING),
    ("ASYNC_CANCEL", opcode::AsyncCancel::CODE, NOTHING),
    ("BIND", opcode::Bind::CODE, PLAIN_CALL),
    ("CLOSE", opcode::Close::CODE, NOTHING),
    ("CONNECT", opcode::Connect::CODE, NOTHING),
    ("FALLOCATE", opcode::Fallocate::CODE, NOTHING),
    ("FSYNC", opcode::Fsync::CODE, NOTHING),
    ("FTRUNCATE", opcode::Ftruncate::CODE, PLAIN_CALL),
    ("LINKAT", opcode::LinkAt::CODE, THREAD),
    ("LISTEN", opcode::Listen::CODE, PLAIN_CALL),
    ("MKDIRAT", opcode::MkDirAt::CODE, THREAD),
    ("MSG_RING", opcode::MsgRingData::CODE, "an event descriptor wakes the core"),
    ("NOP", opcode::Nop::CODE, NOTHING),
    ("OPENAT", opcode::OpenAt::CODE, NOTHING),
    ("PIPE", opcode::Pipe::CODE, PLAIN_CALL),
    ("POLL_ADD", opcode::PollAdd::CODE, NOTHING),
    ("READ", opcode::Read::CODE, NOTHING),
    ("READV", opcode::Readv::CODE, NOTHING),
    ("READ_FIXED", opcode::ReadFixed::CODE, NOTHING),
    ("RECV", opcode::Recv::CODE, NOTHING),
    ("RECVMSG", opcode::RecvMsg::CODE, NOTHING),
    ("RENAMEAT", opcode::RenameAt::CODE, THREAD),
    ("SEND", opcode::Send::CODE, NOTHING),
    ("SENDMSG", opcode::SendMsg::CODE, NOTHING),
    ("SHUTDOWN", opcode::Shutdown::CODE, PLAIN_CALL),
    ("SOCKET", opcode::Socket::CODE, PLAIN_CALL),
    ("STATX", opcode::Statx::CODE, NOTHING),
    ("SYMLINKAT", opcode::SymlinkAt::CODE, THREAD),
    ("UNLINKAT", opcode::UnlinkAt::CODE, THREAD),
    ("WRITE", opcode::Write::CODE, NOTHING),
    ("WRITEV", opcode::Writev::CODE, NOTHING),
    ("WRITE_FIXED", opcode::WriteFixed::CODE, NOTHING),
];

/// Makes a ring, asks it, and closes it. It leaves nothing behind but what the kernel keeps for each thread
/// that has made a ring.
///
/// # Errors
///
/// Why there is none.
pub(crate) fn examine(config: &Config) -> Result<Found, Refusal> {
    let (mut ring, rung) = setup::ring(config)?;
    let capabilities =
        capabilities(&mut ring, rung, config).map_err(|error| Refusal::of(&error))?;
    Ok(Found {
        operations: operations(&ring),
        features: features(&capabilities),
        kernel_threads: kernel_threads(&ring),
        capabilities,
    })
}

fn operations(ring: &IoUring) -> Vec<Ability> {
    let mut probe = Probe::new();
    let is_answered = ring.submitter().register_probe(&mut probe).is_ok();
    let ability = |&(name, code, instead)| Ability {
        name,
        is_present: is_answered.then(|| probe.is_supported(code)),
        instead,
    };
    OPERATIONS.iter().map(ability).collect()
}

/// What else makes a difference, besides the rung.
fn features(found: &Capabilities) -> Vec<Ability> {
    let ability = |name, is_present, instead| Ability {
        name,
        is_present: Some(is_present),
        instead,
    };
    vec![
        ability(
            "multishot accept",
            found.accept_multishot,
            "each accept is an operation of its own",
        ),
        ability(
            "multishot receive",
            found.receive_multishot,
            "each receive is an operation of its own",
        ),
        ability(
            "bundles of buffers",
            found.receive_bundle,
            "each completion of a receive fills one buffer",
        ),
        ability(
            "rings of buffers",
            found.provided_buffers,
            "a connection that waits for data holds a buffer",
        ),
        ability(
            "messages without a ring",
            found.message_ring,
            "other threads wake the core by an event descriptor, which it reads before it sleeps",
        ),
        ability(
            "waiting without iowait",
            found.no_iowait,
            "a sleeping core counts as waiting for a disk",
        ),
    ]
}

/// How many threads the kernel may use for the rings of this thread: for regular files, and for what may block for ever.
fn kernel_threads(ring: &IoUring) -> Option<[u32; 2]> {
    // Zeros change nothing, and are replaced by what is.
    let mut counts = [0, 0];
    ring.submitter()
        .register_iowq_max_workers(&mut counts)
        .ok()?;
    (counts != [0, 0]).then_some(counts)
}

/// As if a ring had answered so.
#[cfg(test)]
pub(crate) fn made_up(capabilities: Capabilities, missing: &[&str]) -> Found {
    let ability = |&(name, _, instead)| Ability {
        name,
        is_present: Some(!missing.contains(&name)),
        instead,
    };
    Found {
        operations: OPERATIONS.iter().map(ability).collect(),
        features: features(&capabilities),
        kernel_threads: Some([8, 30_000]),
        capabilities,
    }
}
