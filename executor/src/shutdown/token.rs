//! [`ShutdownToken`]: for those who are to be told.

use std::fmt;
use std::future::Future;
use std::rc::Rc;

use super::{Inner, Step};

/// Tells a task when to end. Cloned freely; it says the same wherever it is looked at.
#[derive(Clone)]
pub struct ShutdownToken {
    inner: Rc<Inner>,
}

impl ShutdownToken {
    pub(super) fn new(inner: Rc<Inner>) -> ShutdownToken {
        ShutdownToken { inner }
    }

    /// Waits until the shutdown is requested; at once if it was. If every [`Shutdown`](super::Shutdown) is dropped before, it waits for
    /// ever.
    ///
    /// Dropping this future changes nothing.
    pub async fn requested(&self) {
        self.inner.reach(Step::Draining).await;
    }

    /// True when the shutdown was requested.
    pub fn is_requested(&self) -> bool {
        self.inner.step.get() >= Step::Draining
    }

    /// Waits for `future`, but not beyond the request: `None` then, and `future` was dropped. If both are there, its output wins.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # krug::Runtime::new().unwrap().block_on(async {
    /// let shutdown = krug::shutdown::Shutdown::new();
    /// let token = shutdown.token();
    /// let ticking = shutdown.spawn(async move {
    ///     let mut ticks = krug::time::interval(Duration::from_millis(1));
    ///     while token.run_until_requested(ticks.tick()).await.is_some() {}
    ///     "in good order"
    /// });
    /// let report = shutdown.shutdown(Duration::from_secs(60)).await;
    /// assert!(report.is_clean());
    /// assert_eq!(ticking.await.unwrap().unwrap(), "in good order");
    /// # });
    /// ```
    ///
    /// Dropping this future drops `future`.
    pub async fn run_until_requested<F: Future>(&self, future: F) -> Option<F::Output> {
        crate::select! {
            biased;
            output = future => Some(output),
            () = self.requested() => None,
        }
    }
}

impl fmt::Debug for ShutdownToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShutdownToken")
            .field("is_requested", &self.is_requested())
            .finish()
    }
}
