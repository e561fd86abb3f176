//! [`Host`]: a simulated machine and the program on it.

use std::rc::Rc;

use crate::random::Random;
use crate::worker::{MainFuture, Remains, Stepped};

/// Makes what the core of this number runs.
pub(super) type Make = Box<dyn FnMut(usize) -> MainFuture>;

pub(super) struct Host {
    pub(super) name: String,
    pub(super) cores: usize,
    pub(super) make: Make,
    pub(super) is_client: bool,
    /// It is started when the simulation goes on.
    pub(super) is_to_start: bool,
    /// Every core of its client's main future has returned.
    pub(super) has_returned: bool,
    pub(super) running: Vec<Running>,
    /// What its cores have left that have ended.
    pub(super) remains: Remains,
    /// What the generators of its cores begin with.
    pub(super) seeds: Random,
    /// By how many nanoseconds its date is wrong.
    pub(super) date_shift: i64,
    /// What its programs get that ask the system for random bytes.
    pub(super) entropy: Rc<Random>,
}

/// A core that runs.
pub(super) struct Running {
    /// Its number in the world.
    pub(super) number: usize,
    pub(super) stepped: Stepped,
    pub(super) has_returned: bool,
    /// How many turns it has taken in which nothing came from outside.
    pub(super) vain_turns: u64,
}

impl Host {
    pub(super) fn is_running(&self) -> bool {
        !self.running.is_empty()
    }

    /// The simulation goes on for its sake: until it has returned, and what it has begun has ended.
    pub(super) fn is_waited_for(&self) -> bool {
        self.is_client && !(self.has_returned && self.running.is_empty())
    }
}
