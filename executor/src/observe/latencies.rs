//! [`Latencies`]: how long operations have taken, for each kind.

use super::{Histogram, OperationKind, Recorder};

const KINDS: usize = OperationKind::ALL.len();

/// One histogram for each kind, in nanoseconds; of one core.
#[derive(Debug)]
pub(crate) struct Latencies(Box<[Recorder; KINDS]>);

impl Latencies {
    pub(crate) fn new() -> Latencies {
        let none = vec![Recorder::new(); KINDS].try_into();
        Latencies(none.expect("as many as there are kinds"))
    }

    /// One operation has ended after so long.
    #[inline]
    pub(crate) fn record(&self, kind: OperationKind, nanos: u64) {
        self.0[kind as usize].record(nanos);
    }

    /// Those of which there was at least one.
    pub(crate) fn histograms(&self) -> Vec<(OperationKind, Histogram)> {
        let all = OperationKind::ALL.iter().zip(self.0.iter());
        all.filter(|(kind, _)| !kind.is_many())
            .map(|(kind, recorder)| (*kind, recorder.histogram()))
            .filter(|(_, histogram)| histogram.count() > 0)
            .collect()
    }
}
