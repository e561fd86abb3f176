//! [`Failure`]: why a simulation ended before its clients.

use std::fmt;
use std::time::Duration;

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
        clients: Vec<String>,
    },
    Start {
        host: String,
        message: String,
    },
}

impl Failure {
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
            Reason::Deadlock { clients } => write!(
                f,
                "nothing can happen any more, and these clients have not finished: {}",
                clients.join(", ")
            ),
            Reason::Start { host, message } => {
                write!(f, "the host `{host}` cannot be started: {message}")
            }
        }
    }
}

impl std::error::Error for Failure {}
