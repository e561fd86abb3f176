//! What has become of a shutdown.

use std::fmt;
use std::panic::Location;

use super::Entry;

/// What [`Shutdown::shutdown`](super::Shutdown::shutdown) has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// How many have ended by themselves since it was requested, or were dropped by others.
    pub finished: usize,
    /// What was left at the deadline and had to be cancelled, in no particular order.
    pub cancelled: Vec<Straggler>,
}

impl Report {
    /// True if nothing had to be cancelled.
    pub fn is_clean(&self) -> bool {
        self.cancelled.is_empty()
    }
}

/// A task or a future that was not over at the deadline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Straggler {
    name: Option<Box<str>>,
    place: &'static Location<'static>,
}

impl Straggler {
    pub(super) fn of(entry: &Entry) -> Straggler {
        Straggler {
            name: entry.name.clone(),
            place: entry.place,
        }
    }

    /// The name that it was [spawned with](super::Shutdown::spawn_named).
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Where in the source it was spawned or tracked.
    pub fn spawned_at(&self) -> &'static Location<'static> {
        self.place
    }
}

impl fmt::Display for Straggler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "`{name}`, spawned at {}", self.place),
            None => write!(f, "spawned at {}", self.place),
        }
    }
}
