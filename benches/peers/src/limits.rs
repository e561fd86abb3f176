//! What the system lets this process have.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that a process needs besides those of connections.
const OTHERS: usize = 100;

/// As many as this process may have, now that it has asked for all of them.
pub(crate) fn descriptors() -> io::Result<usize> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, all)?;
    Ok(maximum.map_or(usize::MAX, |maximum| maximum as usize))
}

/// How many connections this process may have, each of which takes so many descriptors of it.
pub(crate) fn connections(descriptors_each: usize) -> io::Result<usize> {
    Ok(descriptors()?.saturating_sub(OTHERS) / descriptors_each)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_all_that_may_be_had() {
        let all = descriptors().unwrap();
        assert!(all > 3);
        assert_eq!(descriptors().unwrap(), all);
        assert!(connections(2).unwrap() <= all / 2);
    }
}
