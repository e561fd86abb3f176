//! [`Random`]: a small seeded generator for choices that must be fair and repeatable, not secret.

use std::cell::Cell;
use std::ops::Range;
use std::time::Duration;

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
#[derive(Debug)]
pub(crate) struct Random(Cell<u64>);

/// The step of its counter: the golden ratio, as a fraction of 2⁶⁴.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(Cell::new(seed))
    }

    /// One of the many independent generators that belong to one seed, named by two numbers.
    pub(crate) fn of_stream(seed: u64, purpose: u64, index: u64) -> Random {
        let purpose = mix(purpose.wrapping_add(STEP));
        let index = mix(index.wrapping_add(STEP << 1));
        Random::new(mix(seed ^ purpose).wrapping_add(index))
    }

    pub(crate) fn next(&self) -> u64 {
        let state = self.0.get().wrapping_add(STEP);
        self.0.set(state);
        mix(state)
    }

    /// A number below `bound`, which is not zero.
    pub(crate) fn below(&self, bound: u32) -> u32 {
        // Lemire's multiplication instead of a remainder; its bias, below 2^-32, is of no matter here.
        (((self.next() >> 32) * u64::from(bound)) >> 32) as u32
    }

    /// A number below `bound`, which is not zero.
    pub(crate) fn below_wide(&self, bound: u64) -> u64 {
        // As above, with a bias below 2^-64 · bound.
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// True once in so many times as `probability` says, which is from 0 to 1.
    pub(crate) fn chance(&self, probability: f64) -> bool {
        // The highest 53 bits are a fraction that a float holds exactly. Drawn in any case, so that a probability of 0
        // leaves the draws that follow where they are.
        let fraction = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        fraction < probability
    }

    /// A time that is mostly short and now and then long: exponentially distributed, about, with this mean. Only whole
    /// numbers are used, so that every machine draws the same.
    pub(crate) fn exponential(&self, mean: Duration) -> Duration {
        /// 2¹⁶ · ln 2: the mean of the logarithm to the base 2, inverted.
        const SCALE: u128 = 45_426;
        let drawn = self.next() | 1;
        // The logarithm to the base 2, in steps of 2⁻¹⁶: its whole part exactly, the rest as a straight line.
        let whole = u128::from(drawn.leading_zeros());
        let mantissa = u128::from((drawn << drawn.leading_zeros()) >> 47) - (1 << 16);
        let logarithm = ((whole + 1) << 16) - mantissa;
        let nanoseconds = mean.as_nanos() * logarithm / (1 << 16) * SCALE / (1 << 16);
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }

    /// A time in the range; its beginning if that is empty.
    pub(crate) fn within(&self, range: &Range<Duration>) -> Duration {
        let width = range.end.saturating_sub(range.start).as_nanos();
        let width = u64::try_from(width).unwrap_or(u64::MAX);
        let beyond = self.below_wide(width.max(1));
        range.start + Duration::from_nanos(beyond)
    }
}

fn mix(state: u64) -> u64 {
    let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_numbers_of_the_paper() {
        let random = Random::new(1_234_567);
        let drawn = [(); 3].map(|()| random.next());
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
        ];
        assert_eq!(drawn, expected);
    }

    #[test]
    fn streams_of_one_seed_differ_and_repeat() {
        let draw = |seed, purpose, index| {
            let random = Random::of_stream(seed, purpose, index);
            [(); 4].map(|()| random.next())
        };
        let mut all = Vec::new();
        for seed in 0..4 {
            for purpose in 0..4 {
                for index in 0..4 {
                    assert_eq!(draw(seed, purpose, index), draw(seed, purpose, index));
                    all.extend(draw(seed, purpose, index));
                }
            }
        }
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn numbers_stay_below_their_bounds_and_reach_both_ends() {
        let random = Random::new(9);
        let small: Vec<u32> = (0..200).map(|_| random.below(3)).collect();
        let wide: Vec<u64> = (0..200).map(|_| random.below_wide(3)).collect();
        for end in 0..3 {
            assert!(small.contains(&end) && wide.contains(&u64::from(end)));
        }
        assert!(small.iter().all(|number| *number < 3));
        assert!(wide.iter().all(|number| *number < 3));
    }

    #[test]
    fn a_chance_is_never_at_zero_always_at_one_and_about_half_between() {
        let random = Random::new(5);
        let count = |probability| (0..1000).filter(|_| random.chance(probability)).count();
        assert_eq!((count(0.0), count(1.0)), (0, 1000));
        assert!((400..600).contains(&count(0.5)));
    }

    #[test]
    fn exponential_times_have_their_mean_and_a_long_tail() {
        let (random, mean) = (Random::new(5), Duration::from_millis(1));
        let times: Vec<Duration> = (0..10_000).map(|_| random.exponential(mean)).collect();
        let sum: Duration = times.iter().sum();
        assert!((9_500..10_500).contains(&(sum / 10_000).as_nanos().div_ceil(100)));
        let longer = |factor| times.iter().filter(|time| **time > mean * factor).count();
        // e⁻¹, e⁻³ and e⁻⁶ of them.
        assert!((3_400..4_000).contains(&longer(1)), "{}", longer(1));
        assert!((400..600).contains(&longer(3)), "{}", longer(3));
        assert!((10..50).contains(&longer(6)), "{}", longer(6));
    }

    #[test]
    fn a_time_lies_within_its_range() {
        let random = Random::new(5);
        let range = Duration::from_nanos(5)..Duration::from_nanos(8);
        let times: Vec<Duration> = (0..100).map(|_| random.within(&range)).collect();
        assert!(times.iter().all(|time| range.contains(time)));
        let nothing = Duration::from_secs(1)..Duration::from_secs(1);
        assert_eq!(random.within(&nothing), Duration::from_secs(1));
    }
}
