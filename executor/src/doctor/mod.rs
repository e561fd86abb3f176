//! What this machine allows: which driver a runtime gets here, why, and what to do about what is forbidden, missing or scarce.
//!
//! ```
//! let report = krug::doctor();
//! println!("{report}");
//! for finding in report.findings() {
//!     eprintln!("{}: {}", finding.severity(), finding.what());
//! }
//! ```
//!
//! The same from a shell, for people and for programs:
//!
//! ```text
//! cargo run --release -p krug --example doctor
//! cargo run --release -p krug --example doctor -- --json
//! ```
//!
//! A report is made of what the system answers when it is asked for a ring, and of what it says of itself in `/proc` and `/sys`.
//! What cannot be read is called unknown; nothing is guessed from the version of a kernel but the likely cause of a refusal.
//!
//! # What there is to find
//!
//! | name | severity | what |
//! |---|---|---|
//! | `driver-unknown` | blocks | `KRUG_DRIVER` names no driver |
//! | `no-driver` | blocks | there is no ring, and no epoll in its place |
//! | `ring-refused` | blocks, costs or note | there is no ring: blocks if `KRUG_DRIVER` demands one or there is no epoll either, a note if it asks for epoll |
//! | `epoll-chosen` | costs | `KRUG_DRIVER` asks for epoll, and there could be a ring |
//! | `old-ring` | costs, or note | the kernel cannot defer completions (before 6.1), or keeps an index that nobody needs (before 6.6) |
//! | `operations-missing` | costs | the kernel lacks operations that krug does in another way |
//! | `features-missing` | costs | the kernel lacks something else that krug makes use of |
//! | `small-ring` | costs | locked memory was enough only for a smaller ring |
//! | `locked-memory` | costs | locked memory is not enough for a runtime on every processor |
//! | `descriptors` | note | fewer descriptors than the process could have |
//! | `kernel-threads` | note | the kernel allows fewer threads for calls that block than krug asks for |
//! | `quota` | costs | processor time for fewer processors than the process sees |
//! | `one-processor` | note | there is one processor |

mod finding;
mod findings;
mod json;
mod machine;
mod report;
mod shape;
#[cfg(test)]
mod tests;
mod text;

pub use crate::driver::{Ability, Cause, Limit, Refusal};
pub use finding::{Finding, Severity};
pub use report::{Report, Rung};

use crate::driver::{Examination, Facts, System};
use machine::Machine;

/// Whether a control group bounds the processor time of this process.
pub(crate) fn has_quota() -> bool {
    machine::quota_of_process(&System::here()).is_some()
}

/// Looks at this machine, for the thread that asks: seccomp filters and allowed processors belong to threads.
///
/// It works inside and outside of a runtime and blocks for some milliseconds, for up to a tenth of a second where locked memory is
/// scarce. It makes a ring, on a thread of its own, and a set of epoll, and closes both; no setting of the process, of this
/// thread or of a runtime changes. It never fails and never panics.
pub fn doctor() -> Report {
    let system = System::here();
    Report::of(
        Examination::here(),
        Facts::read(&system),
        Machine::read(&system),
    )
}
