//! Random numbers from a seed, the same on every machine.

use super::Port;
use super::decree::{Rank, Ranks};

/// xoshiro256++ by David Blackman and Sebastiano Vigna (public domain, <https://prng.di.unimi.it>), seeded by their
/// splitmix64. Fast and fair; not for secrets, which nothing here is.
#[derive(Clone, Debug)]
struct Stream([u64; 4]);

impl Stream {
    fn new(seed: u64) -> Stream {
        let mut state = seed;
        Stream(std::array::from_fn(|_| splitmix(&mut state)))
    }

    fn next(&mut self) -> u64 {
        let [a, b, c, d] = self.0;
        let drawn = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.0 = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        drawn
    }
}

fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// All the chance a peer has: one stream for what concerns itself and one for each port.
///
/// Each port has its own stream so that what is drawn *for* a peer does not depend on the number its port happens to
/// have: renumber the ports, carry their seeds along, and the same things happen.
#[derive(Clone, Debug)]
pub struct Random {
    own: Stream,
    ports: Vec<Stream>,
}

impl Random {
    /// Everything from one seed, for a peer with this many ports ([`Config::ports`](super::Config::ports)).
    ///
    /// Every life of a peer needs a seed of its own, also the one after a restart: a life that repeats the draws of the
    /// last could take late answers to that one for its own.
    pub fn new(seed: u64, ports: usize) -> Random {
        let mut state = !seed;
        Random::with_port_seeds(seed, (0..ports).map(|_| splitmix(&mut state)))
    }

    /// The same with a seed for each port, in the order of the ports.
    pub fn with_port_seeds(seed: u64, port_seeds: impl IntoIterator<Item = u64>) -> Random {
        Random {
            own: Stream::new(seed),
            ports: port_seeds.into_iter().map(Stream::new).collect(),
        }
    }

    pub(crate) fn draw(&mut self) -> u64 {
        self.own.next()
    }

    pub(crate) fn draw_wide(&mut self) -> u128 {
        u128::from(self.draw()) << 64 | u128::from(self.draw())
    }

    /// A number below `bound`, or 0 if `bound` is 0. The bias of the multiplication is below 2⁻³² for our microseconds.
    pub(crate) fn draw_below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.draw()) * u128::from(bound)) >> 64) as u64
    }

    /// Some port, each as likely as the next: the one with the greatest draw, so that numbering does not matter.
    pub(crate) fn draw_port(&mut self) -> Option<Port> {
        let draws = self.ports.iter_mut().map(Stream::next).enumerate();
        draws
            .max_by_key(|&(_, drawn)| drawn)
            .map(|(index, _)| Port(index))
    }
}

impl Ranks for Random {
    fn rank(&mut self, port: Port) -> Rank {
        let stream = self.ports.get_mut(port.0).unwrap_or(&mut self.own);
        Rank::drawn(stream.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_draws_what_its_authors_reference_draws() {
        let mut stream = Stream([1, 2, 3, 4]);
        let drawn = [0; 4].map(|_| stream.next());
        assert_eq!(
            drawn,
            [41943041, 58720359, 3588806011781223, 3591011842654386]
        );
    }

    #[test]
    fn the_seeding_draws_what_its_authors_reference_draws() {
        let mut state = 1234567;
        let drawn = [0; 3].map(|_| splitmix(&mut state));
        assert_eq!(
            drawn,
            [
                6457827717110365317,
                3203168211198807973,
                9817491932198370423
            ]
        );
    }

    #[test]
    fn what_is_drawn_for_a_port_moves_with_its_seed_and_not_with_its_number() {
        let mut one = Random::with_port_seeds(1, [10, 20, 30]);
        let mut other = Random::with_port_seeds(1, [30, 10, 20]);
        for (here, there) in [(0, 1), (1, 2), (2, 0), (3, 3)] {
            assert_eq!(one.rank(Port(here)), other.rank(Port(there)));
        }
        let (here, there) = (one.draw_port().unwrap(), other.draw_port().unwrap());
        assert_eq!((here.0 + 1) % 3, there.0);
    }

    #[test]
    fn draws_stay_below_their_bound_and_reach_all_of_it() {
        let mut random = Random::new(3, 0);
        let mut seen = [false; 7];
        (0..200).for_each(|_| seen[random.draw_below(7) as usize] = true);
        assert_eq!(seen, [true; 7]);
        assert_eq!(random.draw_below(0), 0);
        assert_eq!(random.draw_port(), None);
    }
}
