//! One seed, and what follows from it: the same in memory and on sockets.

use super::arguments::{Arguments, Transport};
use super::draws::Draws;
use crate::core::{Config, Micros, Random};

/// The purpose of the draws of lost messages; on sockets each hero has his own, next to this.
pub const LOSSES: u64 = 1 << 32;
/// The purpose of the draws of delays.
pub const DELAYS: u64 = 2 << 32;
/// The purpose of the draws that mix lists of ports and of addresses.
pub const TABLES: u64 = 3 << 32;

/// The purpose of the draws that name the places where Unix sockets listen.
pub const PATHS: u64 = 4 << 32;
/// The purpose of the draws of each life but the first; 5 to 7 are those of the storms.
pub const LIVES: u64 = 8 << 32;

/// A usual round trip on sockets, in microseconds: so much for each pair of heroes, 20 ms for 33 of them. Generous,
/// because too long only delays what is asked again, and too short asks again what was only slow, which makes it slower.
const ROUND_TRIP_OF_PAIR: Micros = 18;
const ROUND_TRIP_MIN: Micros = 2_000;

/// What `arguments` settle beforehand.
pub fn config(arguments: &Arguments) -> Config {
    let word = arguments.word.to_string();
    let mut config = Config::new(arguments.peers, &word).expect("the arguments were checked");
    config.strict = arguments.strict;
    if arguments.transport() != Transport::Memory {
        // One thread works for all of them, and each of n heroes is answered by n others: a majority has
        // answered when the thread has come around, long after a wire would have brought the answers.
        config.round_trip =
            ROUND_TRIP_MIN.max(ROUND_TRIP_OF_PAIR * (arguments.peers as Micros).pow(2));
        config.roll_patience = config.roll_patience.max(10 * config.round_trip);
    }
    // Before the limit is over every hero must have noticed whom he does not hear.
    config.silence = config.silence.min(arguments.limit.as_micros() as u64 / 2);
    config
}

/// The chance of one hero, counted from 0.
pub fn of_hero(seed: u64, hero: usize, peers: usize) -> Random {
    Random::new(Draws::stream(seed, hero as u64 + 1).draw(), peers - 1)
}

/// The chance of one hero in a life after his first: another one in each.
pub fn of_life(seed: u64, hero: usize, life: u64, peers: usize) -> Random {
    match life {
        0 => of_hero(seed, hero, peers),
        _ => Random::new(
            draws(seed, LIVES + (life << 10) + hero as u64).draw(),
            peers - 1,
        ),
    }
}

/// The harness's chance for one purpose.
pub fn draws(seed: u64, purpose: u64) -> Draws {
    Draws::stream(seed, purpose)
}
