//! [`Twice`]: two runs of one seed, and where they part.

use std::fmt::Write as _;

use crate::driver::sim::Records;

/// So many events that both runs share are told before the one in which they part.
const SHARED: usize = 3;

pub(super) struct Twice {
    pub(super) seed: u64,
    pub(super) runs: [Records; 2],
}

impl Twice {
    /// Where the runs part, in words; `None`: they are the same.
    pub(super) fn difference(&self) -> Option<String> {
        let [first, second] = &self.runs;
        if first.whole == second.whole && first.list().len() == second.list().len() {
            return None;
        }
        let seed = self.seed;
        let mut told = format!(
            "seed {seed} does not lead to the same run twice: something decides that is not simulated, such as an address, a real clock, \
             a thread, or what an earlier run has left behind\n"
        );
        let longest = first.list().len().max(second.list().len());
        let parting = (0..longest).find(|place| !first.is_same(second, *place));
        let Some(place) = parting else {
            let kept = first.list().len();
            let _ = write!(
                told,
                "  the first {kept} events are the same, later ones were not kept; {} events in the first run, {} in the second",
                first.whole.1, second.whole.1
            );
            return Some(told);
        };
        for shared in place.saturating_sub(SHARED)..place {
            let _ = writeln!(told, "  both:   {}", first.describe(shared));
        }
        let record = first.list().get(place).or(second.list().get(place));
        let number = record.map_or(0, |record| record.number);
        let _ = writeln!(told, "  they part at event {number}:");
        let _ = writeln!(told, "  first:  {}", first.describe(place));
        let _ = write!(told, "  second: {}", second.describe(place));
        Some(told)
    }
}
