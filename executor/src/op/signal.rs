//! Waits until a signal may have come.

use std::io;
use std::sync::Arc;

use crate::context;
use crate::driver::{Completion, Control, Operation, SignalWatch};
use crate::inflight::Op;

/// Owns a share of what it watches, so that nobody else gets the descriptor while the kernel polls it.
pub(crate) struct PollSignal(pub(crate) Arc<Watched>);

// SAFETY: points nowhere.
unsafe impl Op for PollSignal {
    type Output = io::Result<()>;
    const IDEMPOTENT: bool = true;

    fn operation(&mut self) -> Operation {
        Operation::Poll {
            fd: self.0.0.fd(),
            events: libc::POLLIN as u32,
        }
    }

    fn complete(self, completion: Completion) -> io::Result<()> {
        super::count(completion).map(drop)
    }
}

/// A watch that is given up when nobody waits for it any more.
#[derive(Debug)]
pub(crate) struct Watched(pub(crate) SignalWatch);

impl Drop for Watched {
    fn drop(&mut self) {
        let forget = Control::Forget { fd: self.0.fd() };
        // It never fails. A driver that is not asked, on another core or outside a runtime, may be woken for nothing by the next
        // one who listens there.
        let _ = context::with(|core| core.driver.borrow_mut().control(forget));
    }
}
