//! Many small messages at once: received as they come, many in one piece, against one message at a time.

use std::io;

use super::manners::{self, Manner};
use crate::harness::machine::Machine;
use crate::options::Options;
use crate::peers::{IN_PIECES, PIECES};

const MANNER: Manner = Manner {
    scenario: "pipelined",
    what: "receiving whatever is there, against one message at a time",
    wanted: "10 or more",
    servers: IN_PIECES,
    suffix: PIECES,
    in_flight: 16,
};

pub(crate) fn run(options: &Options, machine: &Machine) -> io::Result<()> {
    manners::run(options, machine, &MANNER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_echoes_in_large_pieces_as_in_small_ones() {
        manners::echoes_in_both_manners(&MANNER);
    }
}
