//! What a timeout around every receive costs: an echo with them against the same echo without.

use std::io;

use super::manners::{self, Manner};
use crate::harness::machine::Machine;
use crate::options::Options;
use crate::peers::{TIMEOUTS, WITH_TIMEOUTS};

const MANNER: Manner = Manner {
    scenario: "timeouts",
    what: "with a timeout around every receive, against without",
    wanted: "no more system calls, and 0.97 or more",
    servers: WITH_TIMEOUTS,
    suffix: TIMEOUTS,
    in_flight: 1,
};

pub(crate) fn run(options: &Options, machine: &Machine) -> io::Result<()> {
    manners::run(options, machine, &MANNER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_echoes_with_timeouts_as_without() {
        manners::echoes_in_both_manners(&MANNER);
    }
}
