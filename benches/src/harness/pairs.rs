//! Runs in turn, so that whatever the machine does, it does to all.

use std::io;

use super::limit;
use super::progress::Progress;
use super::statistics::paired_ratios;

/// The runs of one comparison: of the subject, and of each baseline one more.
#[derive(Debug)]
pub struct Runs<T> {
    /// As many as there are pairs.
    pub subject: Vec<T>,
    /// For each baseline, one more than there are pairs.
    pub baselines: Vec<Vec<T>>,
}

/// Who is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The one that is compared with all others.
    Subject,
    /// One of the others, by its number.
    Baseline(usize),
}

impl Who {
    /// The one that this is, of these.
    pub fn of<C: Copy>(self, subject: C, baselines: &[C]) -> C {
        match self {
            Who::Subject => subject,
            Who::Baseline(index) => baselines[index],
        }
    }
}

/// Runs every baseline, then `pairs` times the subject and every baseline; fewer times, but at least once, when
/// the time that `--quick` gives a scenario is over.
///
/// # Errors
///
/// That of the first run that fails.
pub fn interleave<T>(
    pairs: usize,
    baselines: usize,
    mut run: impl FnMut(Who) -> io::Result<T>,
) -> io::Result<Runs<T>> {
    let mut runs = Runs {
        subject: Vec::new(),
        baselines: (0..baselines).map(|_| Vec::new()).collect(),
    };
    let progress = Progress::begin("", pairs + (pairs + 1) * baselines);
    for turn in 0..=pairs {
        if turn > 0 {
            runs.subject.push(run(Who::Subject)?);
            progress.step();
        }
        for (index, row) in runs.baselines.iter_mut().enumerate() {
            row.push(run(Who::Baseline(index))?);
            progress.step();
        }
        if (1..pairs).contains(&turn) && limit::is_over() {
            println!("the time of --quick is over: {turn} of {pairs} pairs");
            break;
        }
    }
    Ok(runs)
}

impl<T> Runs<T> {
    /// Everybody with his runs, the subject first.
    pub fn rows<C: Copy>(&self, subject: C, baselines: &[C]) -> impl Iterator<Item = (C, &[T])> {
        let own = std::iter::once((subject, self.subject.as_slice()));
        let others = self.baselines.iter().map(Vec::as_slice);
        own.chain(baselines.iter().copied().zip(others))
    }

    /// Ratios of the subject to one baseline, in whatever `measure` reads off a run.
    pub fn ratios(&self, baseline: usize, measure: impl Fn(&T) -> f64) -> Vec<f64> {
        let subject: Vec<f64> = self.subject.iter().map(&measure).collect();
        let baseline: Vec<f64> = self.baselines[baseline].iter().map(&measure).collect();
        paired_ratios(&subject, &baseline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_of_the_subject_stands_between_runs_of_every_baseline() {
        let mut order = String::new();
        let runs = interleave(3, 2, |who| {
            order.push(match who {
                Who::Subject => 'S',
                Who::Baseline(0) => 'a',
                Who::Baseline(_) => 'b',
            });
            Ok(order.len() as f64)
        });
        assert_eq!(order, "abSabSabSab");
        let runs = runs.unwrap();
        assert_eq!(runs.subject, [3.0, 6.0, 9.0]);
        assert_eq!(runs.baselines[0], [1.0, 4.0, 7.0, 10.0]);
        assert_eq!(
            runs.ratios(0, |run| *run),
            [3.0 / 2.5, 6.0 / 5.5, 9.0 / 8.5]
        );
        let rows: Vec<_> = runs.rows('S', &['a', 'b']).collect();
        assert_eq!(rows[0], ('S', &[3.0, 6.0, 9.0][..]));
        assert_eq!(rows[2], ('b', &[2.0, 5.0, 8.0, 11.0][..]));
        assert_eq!(Who::Subject.of('S', &['a', 'b']), 'S');
        assert_eq!(Who::Baseline(1).of('S', &['a', 'b']), 'b');
    }

    #[test]
    fn a_run_that_fails_ends_the_comparison() {
        let mut count = 0;
        let outcome = interleave(3, 1, |_| {
            count += 1;
            if count == 3 {
                Err(io::Error::other("broken"))
            } else {
                Ok(())
            }
        });
        assert_eq!(
            (outcome.unwrap_err().to_string(), count),
            ("broken".to_owned(), 3)
        );
    }
}
