//! [`Latencies`]: how long operations have taken, for each kind.

use std::cell::RefCell;

use super::{Histogram, OperationKind, Recorder};

/// One histogram for each kind, in nanoseconds; of one core.
#[derive(Debug)]
pub(crate) struct Latencies(RefCell<Box<[Recorder]>>);

impl Latencies {
    pub(crate) fn new() -> Latencies {
        let none = vec![Recorder::new(); OperationKind::ALL.len()];
        Latencies(RefCell::new(none.into()))
    }

    /// One operation has ended after so long.
    #[inline]
    pub(crate) fn record(&self, kind: OperationKind, nanos: u64) {
        if !kind.is_many() {
            self.0.borrow_mut()[kind as usize].record(nanos);
        }
    }

    /// Those of which there was at least one.
    pub(crate) fn histograms(&self) -> Vec<(OperationKind, Histogram)> {
        let recorders = self.0.borrow();
        let all = OperationKind::ALL.iter().zip(recorders.iter());
        all.map(|(kind, recorder)| (*kind, recorder.histogram()))
            .filter(|(_, histogram)| histogram.count() > 0)
            .collect()
    }
}
