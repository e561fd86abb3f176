//! Medians of paired ratios, and when a difference is one.

/// A handful of numbers in order of size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// How many there are.
    pub count: usize,
    /// The smallest.
    pub minimum: f64,
    /// A quarter of them lies below it.
    pub lower_quartile: f64,
    /// Half of them lies below it.
    pub median: f64,
    /// A quarter of them lies above it.
    pub upper_quartile: f64,
    /// The largest.
    pub maximum: f64,
}

impl Summary {
    /// Of any numbers, in any order.
    ///
    /// # Panics
    ///
    /// If there is no number, or one that is not a number.
    pub fn of(numbers: &[f64]) -> Summary {
        assert!(!numbers.is_empty(), "nothing to summarise");
        assert!(
            numbers.iter().all(|number| number.is_finite()),
            "not all are numbers: {numbers:?}"
        );
        let mut sorted = numbers.to_vec();
        sorted.sort_by(f64::total_cmp);
        Summary {
            count: sorted.len(),
            minimum: sorted[0],
            lower_quartile: quantile(&sorted, 0.25),
            median: quantile(&sorted, 0.5),
            upper_quartile: quantile(&sorted, 0.75),
            maximum: sorted[sorted.len() - 1],
        }
    }
}

/// Linear between the neighbours, so that the quartiles of seven numbers are the usual ones.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (below, above) = (
        sorted[place.floor() as usize],
        sorted[place.ceil() as usize],
    );
    below + (above - below) * place.fract()
}

/// How the subject stands to the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is faster.
    Ahead,
    /// It is slower.
    Behind,
    /// There is no difference that could be told from noise.
    Tied,
    /// Too few pairs to say any of these.
    Open,
}

/// Of fewer ratios there is no middle half.
const PAIRS_MIN: usize = 3;

/// Ahead or behind only if the median differs from 1 by more than can be resolved at all,
/// and the middle half of the ratios lies on the same side.
pub fn verdict(ratios: &Summary, resolution: f64) -> Verdict {
    if ratios.count < PAIRS_MIN {
        Verdict::Open
    } else if ratios.median > 1.0 + resolution && ratios.lower_quartile > 1.0 {
        Verdict::Ahead
    } else if ratios.median < 1.0 - resolution && ratios.upper_quartile < 1.0 {
        Verdict::Behind
    } else {
        Verdict::Tied
    }
}

/// Each run of the subject, divided by the mean of the baseline's runs just before and just after it.
///
/// # Panics
///
/// If there is not exactly one more run of the baseline.
pub fn paired_ratios(subject: &[f64], baseline: &[f64]) -> Vec<f64> {
    assert_eq!(
        baseline.len(),
        subject.len() + 1,
        "the baseline runs before, between and after"
    );
    let around = baseline
        .windows(2)
        .map(|pair| f64::midpoint(pair[0], pair[1]));
    subject
        .iter()
        .zip(around)
        .map(|(run, baseline)| run / baseline)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quartiles_of_seven_numbers_lie_between_the_second_and_third_and_the_fifth_and_sixth() {
        let summary = Summary::of(&[7.0, 1.0, 6.0, 2.0, 5.0, 3.0, 4.0]);
        assert_eq!(
            (
                summary.count,
                summary.minimum,
                summary.median,
                summary.maximum
            ),
            (7, 1.0, 4.0, 7.0)
        );
        assert_eq!((summary.lower_quartile, summary.upper_quartile), (2.5, 5.5));
    }

    #[test]
    fn the_median_of_two_is_their_mean_and_of_one_itself() {
        assert_eq!(Summary::of(&[1.0, 2.0]).median, 1.5);
        assert_eq!(Summary::of(&[3.0]).upper_quartile, 3.0);
    }

    #[test]
    fn one_wild_run_does_not_move_the_median() {
        assert_eq!(Summary::of(&[1.0, 1.0, 1.0, 1.0, 50.0]).median, 1.0);
    }

    #[test]
    #[should_panic(expected = "not all are numbers")]
    fn a_division_by_nothing_is_not_hidden() {
        Summary::of(&[1.0, f64::INFINITY]);
    }

    #[test]
    fn a_ratio_takes_the_runs_on_both_sides() {
        // The machine slows down steadily; the subject is always as fast as the baseline.
        assert_eq!(
            paired_ratios(&[95.0, 85.0], &[100.0, 90.0, 80.0]),
            [1.0, 1.0]
        );
        assert_eq!(paired_ratios(&[200.0], &[100.0, 100.0]), [2.0]);
    }

    #[test]
    #[should_panic(expected = "before, between and after")]
    fn a_missing_run_of_the_baseline_is_not_papered_over() {
        paired_ratios(&[1.0, 2.0], &[1.0, 2.0]);
    }

    #[test]
    fn a_difference_within_the_noise_is_tied() {
        let verdict_of = |numbers: &[f64]| verdict(&Summary::of(numbers), 0.04);
        assert_eq!(
            verdict_of(&[1.03, 1.03, 1.03]),
            Verdict::Tied,
            "smaller than what can be resolved"
        );
        assert_eq!(
            verdict_of(&[0.8, 0.9, 1.1, 1.2, 1.3]),
            Verdict::Tied,
            "the spread crosses 1"
        );
        assert_eq!(verdict_of(&[1.08, 1.1, 1.12]), Verdict::Ahead);
        assert_eq!(verdict_of(&[0.88, 0.9, 0.95]), Verdict::Behind);
    }

    #[test]
    fn two_pairs_say_nothing_however_alike_they_are() {
        for ratio in [0.5, 1.0, 6.3] {
            assert_eq!(verdict(&Summary::of(&[ratio; 2]), 0.04), Verdict::Open);
        }
    }

    /// How the pairs of a subject end that is this much faster than the baseline, on a machine that changes between two
    /// speeds every few runs and is never quite the same.
    fn verdicts_on_a_moody_machine(faster: f64) -> Vec<Verdict> {
        let verdict_of = |seed: u64| {
            let mut random = seed;
            let mut share = move || {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (random >> 33) as f64 / f64::from(1u32 << 31)
            };
            let mut speed = 3.9;
            let mut run = |factor: f64| {
                if share() < 0.1 {
                    speed = 3.9 + 5.3 - speed;
                }
                factor * (1e6 / speed) * (0.985 + 0.03 * share())
            };
            let (mut subject, mut baseline) = (Vec::new(), vec![run(1.0)]);
            for _ in 0..9 {
                subject.push(run(faster));
                baseline.push(run(1.0));
            }
            verdict(&Summary::of(&paired_ratios(&subject, &baseline)), 0.04)
        };
        (1..=200).map(verdict_of).collect()
    }

    #[test]
    fn a_moody_machine_makes_no_difference_and_hides_none() {
        let counted = |faster: f64| {
            let verdicts = verdicts_on_a_moody_machine(faster);
            [Verdict::Behind, Verdict::Tied, Verdict::Ahead].map(|wanted| {
                verdicts
                    .iter()
                    .filter(|verdict| **verdict == wanted)
                    .count()
            })
        };
        assert_eq!(counted(1.0), [0, 200, 0], "both are the same");
        let [behind, tied, _] = counted(1.02);
        assert!(
            behind == 0 && tied >= 198,
            "less than what can be resolved, but {behind} behind, {tied} tied of 200"
        );
        let [behind, _, ahead] = counted(1.12);
        assert!(
            behind == 0 && ahead >= 180,
            "{behind} behind, {ahead} ahead of 200"
        );
        let [behind, _, ahead] = counted(0.88);
        assert!(
            ahead == 0 && behind >= 180,
            "{behind} behind, {ahead} ahead of 200"
        );
    }
}
