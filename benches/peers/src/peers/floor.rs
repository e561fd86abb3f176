//! A loop written by hand on a bare ring, of `krug-benches`: it has an echo server and nothing else.

use crate::work::{Cannot, Outcome, Took, Work};

pub(super) fn run(work: &Work) -> Outcome {
    match work {
        Work::Nothing => Ok(Took::default()),
        _ => Err(Cannot::NotOffered("there is a bare loop for echo only")),
    }
}
