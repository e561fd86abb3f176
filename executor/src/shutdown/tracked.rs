//! What a shutdown waits for.

use std::fmt;
use std::future::Future;
use std::rc::Rc;

use super::{Entry, Inner, Step};

/// The deadline of a shutdown has come before the end of the future: that was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cancelled at the deadline of the shutdown")
    }
}

impl std::error::Error for Cancelled {}

/// A place among what is tracked.
pub(super) struct Place {
    inner: Rc<Inner>,
    /// `None` if it has come too late to be tracked.
    index: Option<usize>,
}

impl Place {
    pub(super) fn take(inner: &Rc<Inner>, entry: Entry) -> Place {
        let is_too_late = inner.step.get() == Step::Cancelled;
        let index = (!is_too_late).then(|| inner.tracked.borrow_mut().insert(entry));
        Place {
            inner: inner.clone(),
            index,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(index) = self.index else {
            return;
        };
        let inner = &self.inner;
        drop(inner.tracked.borrow_mut().remove(index));
        if inner.step.get() == Step::Draining {
            inner.finished.set(inner.finished.get() + 1);
        }
        inner.ended.notify_waiters();
    }
}

/// `future`, which has this place until it ends.
pub(super) async fn follow<F: Future>(place: Place, future: F) -> Result<F::Output, Cancelled> {
    // Given back after the future is gone, also when this is dropped half way.
    let place = place;
    if place.index.is_none() {
        return Err(Cancelled);
    }
    crate::select! {
        biased;
        output = future => Ok(output),
        () = place.inner.reach(Step::Cancelled) => Err(Cancelled),
    }
}
