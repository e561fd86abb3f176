//! Makes the ring: the set-up ladder.
//!
//! | rung | flags | kernels |
//! |---|---|---|
//! | [`Rung::Modern`] | single issuer, deferred task work with its flag, submit-all, no index array | 6.6 |
//! | [`Rung::Deferred`] | the same with an index array | 6.1 |
//! | [`Rung::Plain`] | none | 5.11 |
//!
//! All of them size the completion queue and let the kernel clamp what is too
//! large. A rung that the kernel refuses with EINVAL leads to the next one, and
//! the rung that worked is remembered for the process. Which kernel has what is
//! not looked up anywhere: distributions port features back, and sandboxes take
//! them away.

use std::io;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use io_uring::{IoUring, Parameters};

use crate::driver::{Config, Refusal};

/// How modern a ring could be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rung {
    Modern,
    Deferred,
    Plain,
}

impl Rung {
    const ALL: [Rung; 3] = [Rung::Modern, Rung::Deferred, Rung::Plain];

    fn next(self) -> Option<Rung> {
        Rung::ALL.get(self as usize + 1).copied()
    }
}

/// The rung that worked last in this process, as its place in [`Rung::ALL`].
static REMEMBERED: AtomicU8 = AtomicU8::new(Rung::Modern as u8);

/// Rings of closed drivers give their locked memory back a moment after the close,
/// in the kernel's own time: what fails now may well work then.
const MEMORY_WAITS: [Duration; 6] = [
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(4),
    Duration::from_millis(8),
    Duration::from_millis(16),
    Duration::from_millis(32),
];

pub(super) fn ring(config: &Config) -> Result<(IoUring, Rung), Refusal> {
    let first = config.rung.unwrap_or_else(remembered);
    let mut attempt = |rung, entries| build(config, rung, entries);
    let (ring, rung) = climb_down(first, config.entries, &mut attempt, &std::thread::sleep)?;
    require(ring.params()).map_err(|error| Refusal::of(&error))?;
    if config.rung.is_none() {
        REMEMBERED.store(rung as u8, Ordering::Relaxed);
    }
    Ok((ring, rung))
}

fn remembered() -> Rung {
    Rung::ALL[usize::from(REMEMBERED.load(Ordering::Relaxed))]
}

/// Tries rung after rung, and smaller and smaller queues where memory is short.
pub(super) fn climb_down<Ring>(
    first: Rung,
    entries: u32,
    attempt: &mut dyn FnMut(Rung, u32) -> io::Result<Ring>,
    sleep: &dyn Fn(Duration),
) -> Result<(Ring, Rung), Refusal> {
    let (mut rung, mut entries) = (first, entries.max(1));
    let mut waits = MEMORY_WAITS.iter();
    loop {
        let error = match attempt(rung, entries) {
            Ok(ring) => return Ok((ring, rung)),
            Err(error) => error,
        };
        match (error.raw_os_error(), rung.next()) {
            (Some(libc::EINVAL), Some(next)) => rung = next,
            (Some(libc::ENOMEM), _) => match waits.next() {
                Some(wait) => sleep(*wait),
                None if entries > 1 => entries /= 2,
                None => return Err(Refusal::of(&error)),
            },
            _ => return Err(Refusal::of(&error)),
        }
    }
}

fn build(config: &Config, rung: Rung, entries: u32) -> io::Result<IoUring> {
    let completion_entries = match config.completion_entries {
        // Where memory is short, both queues shrink alike.
        Some(count) => (count / (config.entries / entries).max(1)).max(entries),
        None => entries.saturating_mul(4),
    };
    let mut builder = IoUring::builder();
    builder
        .dontfork()
        .setup_clamp()
        .setup_cqsize(completion_entries);
    if rung <= Rung::Deferred {
        builder
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all();
    }
    if rung == Rung::Modern {
        builder.setup_no_sqarray();
    }
    builder.build(entries)
}

/// What the driver cannot do without, all of it in Linux 5.11: deadlines as an
/// argument of enter, completions that are never dropped, waiting without a thread
/// per request, and arguments that are read before enter returns.
fn require(parameters: &Parameters) -> io::Result<()> {
    let features = [
        (parameters.is_feature_ext_arg(), "EXT_ARG"),
        (parameters.is_feature_nodrop(), "NODROP"),
        (parameters.is_feature_fast_poll(), "FAST_POLL"),
        (parameters.is_feature_submit_stable(), "SUBMIT_STABLE"),
    ];
    match features.iter().find(|(present, _)| !present) {
        None => Ok(()),
        Some((_, name)) => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("io_uring of this kernel lacks IORING_FEAT_{name}"),
        )),
    }
}
