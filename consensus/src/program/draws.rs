//! The harness's own chance: which messages are lost, how long they travel, who is
//! where in a list. The heroes have their own.

/// splitmix64 by Sebastiano Vigna (public domain): one number of state, every seed good.
#[derive(Clone, Debug)]
pub struct Draws(u64);

impl Draws {
    /// Draws that follow from `seed`.
    pub fn new(seed: u64) -> Draws {
        Draws(seed)
    }

    /// Draws of their own for `purpose`, which do not depend on how often these were drawn from.
    pub fn stream(seed: u64, purpose: u64) -> Draws {
        let mut draws = Draws(seed ^ purpose.wrapping_mul(0xd605_bbb5_8c8a_bc03));
        draws.draw();
        draws
    }

    /// 64 random bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.draw()) * u128::from(bound)) >> 64) as u64
    }

    /// True `share` times out of a million.
    pub fn happens(&mut self, share_per_million: u32) -> bool {
        self.below(1_000_000) < u64::from(share_per_million)
    }

    /// Puts `items` into any order, each as likely as the next.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_numbers_come_out() {
        let mut draws = Draws::new(1_234_567);
        assert_eq!(draws.draw(), 6_457_827_717_110_365_317);
        assert_eq!(draws.draw(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn shares_and_orders_are_fair() {
        let mut draws = Draws::new(1);
        let hits = (0..100_000).filter(|_| draws.happens(100_000)).count();
        assert!((9_500..10_500).contains(&hits), "{hits}");
        assert!(
            !(0..1_000).any(|_| draws.happens(0)) && (0..1_000).all(|_| draws.happens(1_000_000))
        );

        let mut first = [0; 4];
        for _ in 0..40_000 {
            let mut items = [0, 1, 2, 3];
            draws.shuffle(&mut items);
            first[items[0]] += 1;
        }
        assert!(
            first.iter().all(|count| (9_500..10_500).contains(count)),
            "{first:?}"
        );
    }
}
