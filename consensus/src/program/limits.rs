//! Descriptors: how many a run needs, and how many the system grants.

use std::fmt;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::arguments::Transport;

/// For the standard streams and what the loader keeps open, and for each core its ring, its bell, and what else it keeps open.
const RESERVE: u64 = 64;

/// The hard limit is lower than what the run needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooFewDescriptors {
    /// How many the run needs.
    pub needed: u64,
    /// How many the process may have at most.
    pub hard: u64,
}

/// How many descriptors this process holds when `peers` heroes talk over `transport` on `cores` cores:
/// both ends of every link live here. Links that must last are two connections, one each way.
pub fn descriptors_needed(
    peers: usize,
    transport: Transport,
    cores: usize,
    must_last: bool,
) -> u64 {
    let (peers, reserve) = (peers as u64, RESERVE * cores as u64);
    let pairs = peers * (peers - 1) / 2;
    match transport {
        Transport::Memory => reserve,
        Transport::Unix | Transport::Tcp if must_last => 4 * pairs + peers + reserve,
        Transport::Unix | Transport::Tcp => 2 * pairs + peers + reserve,
        Transport::Udp => peers + reserve,
        Transport::Pipe => 4 * pairs + reserve,
    }
}

/// Raises the soft limit of descriptors to the hard one.
///
/// # Errors
///
/// If `needed` is more than the hard limit grants.
pub fn raise_descriptor_limit(needed: u64) -> Result<(), TooFewDescriptors> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // A limit that is absent is infinity.
    let hard = maximum.unwrap_or(u64::MAX);
    if hard < needed {
        return Err(TooFewDescriptors { needed, hard });
    }
    if current.unwrap_or(u64::MAX) < hard {
        // Refused only where a sandbox forbids the call; then the soft limit must do.
        let raised = setrlimit(
            Resource::Nofile,
            Rlimit {
                current: maximum,
                maximum,
            },
        );
        let soft = current.unwrap_or(u64::MAX);
        if raised.is_err() && soft < needed {
            return Err(TooFewDescriptors { needed, hard: soft });
        }
    }
    Ok(())
}

impl fmt::Display for TooFewDescriptors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TooFewDescriptors { needed, hard } = self;
        write!(
            f,
            "this run needs {needed} file descriptors and the system grants {hard}; \
             raise the limit (ulimit -Hn {needed}), or take fewer --peers or --transport memory"
        )
    }
}

impl std::error::Error for TooFewDescriptors {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_heroes_costs_two_ends() {
        assert_eq!(
            descriptors_needed(33, Transport::Tcp, 1, false),
            1056 + 33 + RESERVE
        );
        assert_eq!(
            descriptors_needed(33, Transport::Pipe, 1, false),
            2112 + RESERVE
        );
        assert_eq!(
            descriptors_needed(33, Transport::Udp, 1, false),
            33 + RESERVE
        );
        assert_eq!(
            descriptors_needed(1, Transport::Unix, 1, false),
            1 + RESERVE
        );
        assert_eq!(
            descriptors_needed(1000, Transport::Memory, 1, false),
            RESERVE
        );
        assert_eq!(
            descriptors_needed(33, Transport::Tcp, 1, true),
            2112 + 33 + RESERVE
        );
        assert_eq!(
            descriptors_needed(33, Transport::Udp, 2, false),
            33 + 2 * RESERVE
        );
    }

    #[test]
    fn a_limit_that_is_too_low_names_both_numbers() {
        let error = raise_descriptor_limit(u64::MAX - 1).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(&(u64::MAX - 1).to_string()) && text.contains(&error.hard.to_string()),
            "{text}"
        );
        assert!(!text.contains('\n'));
    }
}
