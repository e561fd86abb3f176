//! [`Histogram`]: how often which value has come up, and [`Recorder`], which counts.
//!
//! Every power of two is divided into [`STEPS`] buckets, so that a value is known to a quarter of itself, and recording
//! one is a few instructions.

use std::cell::Cell;
use std::fmt;

/// Buckets for each power of two.
const STEPS: usize = 4;
const STEP_BITS: u32 = STEPS.ilog2();
/// Those of the powers above the first ones, and a bucket for each value below.
const BUCKETS: usize = (u64::BITS - STEP_BITS + 1) as usize * STEPS;

/// Where a value is counted.
#[inline]
fn bucket(value: u64) -> usize {
    // Those below the first power that is divided have a bucket each, as if they were its own steps.
    let shift = (value | STEPS as u64).ilog2() - STEP_BITS;
    let step = (value >> shift) as usize;
    shift as usize * STEPS + step
}

/// The greatest value that is counted there.
fn greatest_of(bucket: usize) -> u64 {
    if bucket < STEPS {
        return bucket as u64;
    }
    let power = bucket / STEPS + 1;
    let least = ((STEPS + bucket % STEPS) as u64) << (power - STEP_BITS as usize);
    least + ((1 << (power - STEP_BITS as usize)) - 1)
}

/// Counts values; belongs to one core.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Recorder {
    counts: [Cell<u64>; BUCKETS],
}

impl Recorder {
    pub(crate) const fn new() -> Recorder {
        Recorder {
            counts: [const { Cell::new(0) }; BUCKETS],
        }
    }

    #[inline]
    pub(crate) fn record(&self, value: u64) {
        let count = &self.counts[bucket(value)];
        count.set(count.get() + 1);
    }

    /// What it has counted so far.
    pub(crate) fn histogram(&self) -> Histogram {
        let used = self.counts.iter().rposition(|count| count.get() > 0);
        let counts = &self.counts[..used.map_or(0, |last| last + 1)];
        Histogram {
            counts: counts.iter().map(Cell::get).collect(),
        }
    }
}

impl Default for Recorder {
    fn default() -> Recorder {
        Recorder::new()
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.histogram().fmt(f)
    }
}

/// How often which value has come up, at a moment: what [`Metrics`](crate::runtime::Metrics) has of batches and latencies. A value is
/// known to a quarter of itself; below 8, exactly.
///
/// ```
/// # let runtime = krug::Runtime::new()?;
/// # runtime.block_on(krug::io::nop())?;
/// let batches = runtime.metrics().batches;
/// println!("{} batches, half of them of at most {}", batches.count(), batches.quantile(0.5));
/// assert!(batches.quantile(1.0) == batches.max());
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Without the empty ones at the end.
    counts: Vec<u64>,
}

impl Histogram {
    /// How many values there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The value that this share of all, from 0 to 1, does not exceed: 0.5 asks for the median. At most a quarter above the exact one;
    /// 0 if there are no values.
    pub fn quantile(&self, share: f64) -> u64 {
        let count = self.count();
        let rank = (share.clamp(0.0, 1.0) * count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return greatest_of(bucket);
            }
        }
        self.max()
    }

    /// The greatest value, or at most a quarter more; 0 if there are none.
    pub fn max(&self) -> u64 {
        self.counts.len().checked_sub(1).map_or(0, greatest_of)
    }

    /// Adds the values of another one: that of another core.
    ///
    /// ```
    /// # let runtime = krug::Runtime::builder().cores(2).build()?;
    /// let mut batches = krug::runtime::Histogram::default();
    /// runtime.block_on(async {
    ///     for core in krug::CoreHandle::of_all_cores() {
    ///         batches.add(&core.metrics().await.unwrap().batches);
    ///     }
    /// });
    /// # std::io::Result::Ok(())
    /// ```
    pub fn add(&mut self, other: &Histogram) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram")
            .field("count", &self.count())
            .field("median", &self.quantile(0.5))
            .field("max", &self.max())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = u64>) -> Histogram {
        let recorder = Recorder::new();
        values.into_iter().for_each(|value| recorder.record(value));
        recorder.histogram()
    }

    #[test]
    fn every_value_lies_in_a_bucket_whose_greatest_is_at_most_a_quarter_above_it() {
        let powers = (0..u64::BITS).map(|power| 1_u64 << power);
        for value in powers.flat_map(|power| [power - 1, power, power + 1, power + power / 3]) {
            let greatest = greatest_of(bucket(value));
            assert!(greatest >= value, "{value}: {greatest}");
            assert!(greatest - value <= value / 4, "{value}: {greatest}");
        }
    }

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        for index in 0..BUCKETS - 1 {
            assert_eq!(bucket(greatest_of(index)), index);
            assert_eq!(bucket(greatest_of(index) + 1), index + 1);
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn a_quantile_is_the_value_that_so_many_do_not_exceed() {
        let histogram = of((0..100).map(|_| 1).chain([1000; 10]).chain([1 << 50]));
        assert_eq!(histogram.count(), 111);
        assert_eq!(histogram.quantile(0.0), 1);
        assert_eq!(histogram.quantile(0.5), 1);
        assert_eq!(histogram.quantile(100.0 / 111.0), 1);
        assert_eq!(histogram.quantile(0.95), greatest_of(bucket(1000)));
        let greatest = greatest_of(bucket(1 << 50));
        assert_eq!(
            (histogram.quantile(1.0), histogram.max()),
            (greatest, greatest)
        );
    }

    #[test]
    fn an_empty_histogram_has_nothing_to_say() {
        let empty = of([]);
        assert_eq!((empty.count(), empty.quantile(0.5), empty.max()), (0, 0, 0));
        assert_eq!(empty, Histogram::default());
    }

    #[test]
    fn two_histograms_are_added_up_whichever_is_longer() {
        let (short, long) = (of([1, 2]), of([3, 4000]));
        for (one, other) in [(&short, &long), (&long, &short)] {
            let mut sum = one.clone();
            sum.add(other);
            assert_eq!(sum, of([1, 2, 3, 4000]));
        }
    }
}
