//! [`Failure`]: why a simulation ended before its clients.

use std::fmt;
use std::time::Duration;

use super::oracle::Doing;

/// Why a simulation did not come to its end, and which seed leads there again.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure {
    pub(super) seed: u64,
    /// What the world's clock showed.
    pub(super) moment: Duration,
    pub(super) events: u64,
    pub(super) reason: Reason,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Panic {
        host: String,
        message: String,
    },
    Check {
        message: String,
    },
    /// Nothing will ever happen again.
    Deadlock {
        doings: Vec<Doing>,
    },
    /// The clients took too long.
    Late {
        limit: Duration,
        doings: Vec<Doing>,
    },
    /// A core is busy with itself.
    Livelock {
        host: String,
        turns: u64,
    },
    /// A program has ended, and something of it is still there.
    Leak {
        host: String,
        leaked: Vec<String>,
    },
    Start {
        host: String,
        message: String,
    },
}

impl Failure {
    /// What it says but for when and where.
    pub(super) fn kind(&self) -> String {
        self.reason.to_string()
    }

    /// The seed of the world that it happened in.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// What the world's clock showed, since its beginning.
    pub fn moment(&self) -> Duration {
        self.moment
    }
}

/// In words as well: it is what `unwrap` shows.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure {
            seed,
            moment,
            events,
            reason,
        } = self;
        write!(
            f,
            "seed {seed}, at {moment:?}, after {events} events: {reason}"
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Panic { host, message } => write!(f, "the host `{host}` panicked: {message}"),
            Reason::Check { message } => write!(f, "a check failed: {message}"),
            Reason::Deadlock { doings } => {
                f.write_str("nothing can happen any more, and a client has not finished")?;
                doings.iter().try_for_each(|doing| doing.fmt(f))
            }
            Reason::Late { limit, doings } => {
                write!(f, "a client has not finished within {limit:?}")?;
                doings.iter().try_for_each(|doing| doing.fmt(f))
            }
            Reason::Livelock { host, turns } => write!(
                f,
                "the host `{host}` has taken {turns} turns in which its tasks only woke each other"
            ),
            Reason::Leak { host, leaked } => {
                write!(
                    f,
                    "the host `{host}` has ended and left behind: {}",
                    leaked.join(", ")
                )
            }
            Reason::Start { host, message } => {
                write!(f, "the host `{host}` cannot be started: {message}")
            }
        }
    }
}

impl std::error::Error for Failure {}
