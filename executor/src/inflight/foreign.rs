//! A future that was started on one core and is polled on another: waker and
//! result travel by letter. A cold path, so a lock and an allocation are fine.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use super::finished::Finished;

/// Where the result of an operation meets the future that moved away.
pub(crate) struct Foreign {
    meeting: Mutex<Meeting>,
}

struct Meeting {
    waker: Option<Waker>,
    arrived: Arrived,
}

enum Arrived {
    NotYet,
    Result(Finished),
    /// The core ended and had to leak the operation.
    Never,
}

// SAFETY: a `Finished` is put in by the home core and taken out by the future of the operation (or dropped with
// this, by whichever of the two lets go last). The operation inside was owned by that future, which has been moved to another
// thread: so the operation is `Send`, which `InFlight` requires of it (see its `Send`).
unsafe impl Send for Foreign {}
// SAFETY: as above; the lock orders the two sides.
unsafe impl Sync for Foreign {}

impl Foreign {
    pub(super) fn new() -> Arc<Foreign> {
        Arc::new(Foreign {
            meeting: Mutex::new(Meeting {
                waker: None,
                arrived: Arrived::NotYet,
            }),
        })
    }

    /// Hands the result over and wakes the future.
    pub(crate) fn bring(&self, finished: Option<Finished>) {
        let mut meeting = self.meeting.lock().unwrap_or_else(PoisonError::into_inner);
        meeting.arrived = finished.map_or(Arrived::Never, Arrived::Result);
        let waker = meeting.waker.take();
        drop(meeting);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The result, if it has come.
    pub(super) fn take(&self) -> Option<Finished> {
        let mut meeting = self.meeting.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut meeting.arrived, Arrived::NotYet) {
            Arrived::Result(finished) => Some(finished),
            Arrived::NotYet | Arrived::Never => None,
        }
    }

    /// The result; `Ready(None)` if there will be none.
    pub(super) fn poll(&self, waker: &Waker) -> Poll<Option<Finished>> {
        let mut meeting = self.meeting.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut meeting.arrived, Arrived::NotYet) {
            Arrived::Result(finished) => Poll::Ready(Some(finished)),
            Arrived::Never => Poll::Ready(None),
            Arrived::NotYet => {
                let before = meeting.waker.replace(waker.clone());
                drop(meeting);
                drop(before);
                Poll::Pending
            }
        }
    }
}
