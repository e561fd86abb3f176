//! [`Buddy`]: divides a region into blocks whose sizes are powers of two.
//!
//! The buddy system (K. C. Knowlton, "A fast storage allocator", CACM 8(10), 1965; Knuth, The Art of Computer Programming,
//! volume 1, section 2.5): a free block is halved until it fits; a block that comes back is joined with its other
//! half if that is free. The free blocks of each size are bits in a map, so nothing is allocated and nothing is
//! written into the region itself.

/// The smallest block, in bytes.
pub(super) const BLOCK_MIN: usize = 512;

/// A block that is taken: where it begins in the region, and its size as a power of two times [`BLOCK_MIN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) offset: usize,
    pub(super) order: u32,
}

/// The free blocks of one size.
struct Map {
    bits: Vec<u64>,
    count: usize,
}

impl Map {
    fn set(&mut self, index: usize) {
        self.bits[index / 64] |= 1 << (index % 64);
        self.count += 1;
    }

    /// True if it was set.
    fn clear(&mut self, index: usize) -> bool {
        let (word, bit) = (&mut self.bits[index / 64], 1 << (index % 64));
        let was_set = *word & bit != 0;
        *word &= !bit;
        self.count -= usize::from(was_set);
        was_set
    }

    fn first(&self) -> Option<usize> {
        if self.count == 0 {
            return None;
        }
        let position = self.bits.iter().position(|word| *word != 0)?;
        Some(position * 64 + self.bits[position].trailing_zeros() as usize)
    }
}

pub(super) struct Buddy {
    free: Vec<Map>,
}

impl Buddy {
    /// Divides a region of `size` bytes: a power of two, at least [`BLOCK_MIN`].
    pub(super) fn new(size: usize) -> Buddy {
        let orders = (size / BLOCK_MIN).ilog2();
        let map = |order: u32| {
            let blocks = (size / BLOCK_MIN) >> order;
            let bits = vec![0; blocks.div_ceil(64)];
            Map { bits, count: 0 }
        };
        let mut free: Vec<Map> = (0..=orders).map(map).collect();
        free[orders as usize].set(0);
        Buddy { free }
    }

    /// A block of at least `size` bytes, which begins at a multiple of its own size.
    pub(super) fn take(&mut self, size: usize) -> Option<Block> {
        let blocks = size
            .div_ceil(BLOCK_MIN)
            .max(1)
            .checked_next_power_of_two()?;
        let order = blocks.ilog2() as usize;
        let (mut from, mut index) = (order..self.free.len())
            .find_map(|larger| self.free[larger].first().map(|index| (larger, index)))?;
        self.free[from].clear(index);
        while from > order {
            from -= 1;
            index *= 2;
            self.free[from].set(index + 1);
        }
        Some(Block {
            offset: index * (BLOCK_MIN << order),
            order: order as u32,
        })
    }

    /// Takes back a block that [`take`](Buddy::take) has given.
    pub(super) fn give_back(&mut self, block: Block) {
        let mut order = block.order as usize;
        let mut index = block.offset / (BLOCK_MIN << order);
        while order + 1 < self.free.len() && self.free[order].clear(index ^ 1) {
            order += 1;
            index /= 2;
        }
        self.free[order].set(index);
    }

    /// True if nothing is taken.
    #[cfg(test)]
    pub(super) fn is_whole(&self) -> bool {
        let (largest, others) = self.free.split_last().expect("at least one size");
        largest.count == 1 && others.iter().all(|map| map.count == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn blocks_never_overlap_and_join_again() {
        const SIZE: usize = 64 * 1024;
        let random = Random::new(3);
        let mut buddy = Buddy::new(SIZE);
        let mut taken: Vec<Block> = Vec::new();
        let end = |block: &Block| block.offset + (BLOCK_MIN << block.order);
        let mut refusals = 0;
        for _ in 0..10_000 {
            if random.below(2) == 0 {
                let size = 1 + random.below(6000) as usize;
                let Some(block) = buddy.take(size) else {
                    refusals += 1;
                    continue;
                };
                assert!(BLOCK_MIN << block.order >= size);
                assert_eq!(block.offset % (BLOCK_MIN << block.order), 0);
                assert!(end(&block) <= SIZE);
                let apart =
                    |other: &Block| end(other) <= block.offset || end(&block) <= other.offset;
                assert!(taken.iter().all(apart), "{block:?} in {taken:?}");
                taken.push(block);
            } else if !taken.is_empty() {
                let place = random.below(taken.len() as u32) as usize;
                buddy.give_back(taken.swap_remove(place));
            }
        }
        assert!(refusals > 0, "it was never full");
        for block in taken {
            buddy.give_back(block);
        }
        assert!(buddy.is_whole());
        assert_eq!(
            buddy.take(SIZE),
            Some(Block {
                offset: 0,
                order: 7
            })
        );
        assert_eq!(buddy.take(1), None);
    }

    #[test]
    fn what_is_larger_than_the_region_is_refused() {
        let mut buddy = Buddy::new(BLOCK_MIN);
        assert_eq!(buddy.take(BLOCK_MIN + 1), None);
        assert_eq!(buddy.take(usize::MAX), None);
        assert!(buddy.take(0).is_some());
    }
}
