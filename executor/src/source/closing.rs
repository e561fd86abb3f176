//! [`Closing`]: how a source ends.
//!
//! ```text
//!   Open --begin--> Draining --nothing in flight--> Closing --completion--> Closed
//!                      |                              ^
//!                      +--linger is over--> GivenUp --+
//! ```

use std::cell::Cell;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::task::Context;
use std::time::Duration;

use super::SourceId;
use crate::context::{self, Expiry};
use crate::inflight::{self, Role};
use crate::op::close::Close;
use crate::task::Waiter;
use crate::wheel::TimerKey;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Open,
    /// Receives are being cancelled, sends drain.
    Draining,
    /// The sends are being cancelled, too.
    GivenUp,
    /// The descriptor is being closed.
    Closing,
    Closed,
}

#[derive(Default)]
pub(crate) struct Closing {
    phase: Cell<Phase>,
    timer: Cell<Option<TimerKey>>,
    /// Who awaits the end.
    waiter: Cell<Option<Waiter>>,
    /// Somebody will ask for the outcome: the source stays until then.
    is_awaited: Cell<bool>,
    /// The linger time is over: futures that have not looked at their results are not waited for.
    is_impatient: Cell<bool>,
}

impl Closing {
    pub(super) fn is_open(&self) -> bool {
        self.phase.get() == Phase::Open
    }

    pub(super) fn is_closed(&self) -> bool {
        self.phase.get() == Phase::Closed
    }

    /// False if closing had begun before.
    pub(super) fn begin(&self) -> bool {
        let first = self.is_open();
        if first {
            self.phase.set(Phase::Draining);
        }
        first
    }

    /// True from the beginning of the end until the descriptor is handed to the close operation.
    pub(super) fn may_close(&self) -> bool {
        matches!(self.phase.get(), Phase::Draining | Phase::GivenUp)
    }

    /// True while the rest of a write whose future was dropped is still sent.
    pub(super) fn takes_the_rest(&self) -> bool {
        matches!(self.phase.get(), Phase::Open | Phase::Draining) && self.waits()
    }

    pub(super) fn stop_waiting(&self) {
        self.is_impatient.set(true);
    }

    /// True while closing waits for futures to look at their results.
    pub(super) fn waits(&self) -> bool {
        !self.is_impatient.get()
    }

    pub(super) fn was_given_up(&self) -> bool {
        self.phase.get() == Phase::GivenUp
    }

    pub(super) fn give_up(&self) {
        if self.phase.get() == Phase::Draining {
            self.phase.set(Phase::GivenUp);
        }
    }

    /// Tells the source after `linger` that its time is over.
    pub(super) fn set_deadline(&self, id: SourceId, linger: Duration) {
        let key = context::with(|core| {
            let deadline = core.clock.now().checked_add(linger)?;
            let expiry = Expiry::Source {
                index: id.index,
                generation: id.generation,
            };
            Some(core.wheel.borrow_mut().insert(deadline, expiry))
        });
        self.timer.set(key.flatten());
    }

    fn remove_timer(&self) {
        if let Some(timer) = self.timer.take() {
            drop(context::with(|core| core.wheel.borrow_mut().remove(timer)));
        }
    }

    /// The descriptor is to be handed on instead of closed. Nothing is in flight on it any more.
    pub(super) fn finish_without_closing(&self) {
        self.remove_timer();
        self.finish();
    }

    /// Hands the descriptor to the close operation. Nothing is in flight on it any more.
    pub(super) fn close(&self, id: SourceId, descriptor: Option<OwnedFd>) {
        self.phase.set(Phase::Closing);
        self.remove_timer();
        let Some(descriptor) = descriptor else { return };
        let close = Close {
            fd: descriptor.into_raw_fd(),
        };
        inflight::start_for_source(close, id.attachment(Role::Close));
    }

    /// The descriptor is closed. True if the source can be forgotten.
    pub(super) fn finish(&self) -> bool {
        self.phase.set(Phase::Closed);
        if let Some(waiter) = self.waiter.take() {
            waiter.wake_quietly();
        }
        !self.is_awaited.get()
    }

    pub(super) fn wait(&self, cx: &Context<'_>) {
        self.is_awaited.set(true);
        self.waiter.set(Some(Waiter::new(cx)));
    }

    /// Nobody asks for the outcome any more. True if the source can be forgotten.
    pub(super) fn release(&self) -> bool {
        self.is_awaited.set(false);
        self.is_closed()
    }
}
