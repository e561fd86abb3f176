//! [`Closing`]: how a source ends.
//!
//! ```text
//!   Open --begin--> Draining --nothing in flight--> Closing --completion--> Closed
//!                      |                              ^
//!                      +--linger is over--> GivenUp --+
//! ```

use std::cell::{Cell, OnceCell};
use std::os::fd::IntoRawFd;
use std::task::Context;
use std::time::Duration;

use crate::context::{self, Expiry};
use crate::driver::OwnedDescriptor;
use crate::inflight::{self, Attachment, Role};
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
    /// Somebody will ask for the outcome: the source stays until then.
    is_awaited: Cell<bool>,
    /// The linger time is over: futures that have not looked at their results are not waited for.
    is_impatient: Cell<bool>,
    rare: OnceCell<Box<Rare>>,
}

/// What only a source that ends needs, or one that ends in a special way.
#[derive(Default)]
struct Rare {
    timer: Cell<Option<TimerKey>>,
    /// Who awaits the end.
    waiter: Cell<Option<Waiter>>,
    /// How long the end may take, if that was said.
    linger: Cell<Option<Duration>>,
}

impl Closing {
    fn rare(&self) -> &Rare {
        self.rare.get_or_init(Box::default)
    }

    pub(super) fn set_linger(&self, linger: Duration) {
        self.rare().linger.set(Some(linger));
    }

    /// How long sending may go on, if that was said.
    pub(super) fn linger_said(&self) -> Option<Duration> {
        self.rare.get().and_then(|rare| rare.linger.get())
    }

    /// How long sending may go on: as was said, or as is usual on this core.
    pub(super) fn linger(&self) -> Duration {
        self.linger_said()
            .or_else(|| context::with(|core| core.linger))
            .unwrap_or_default()
    }

    #[inline]
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
    #[inline]
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
    pub(super) fn set_deadline(&self, of: Attachment, linger: Duration) {
        let key = context::with(|core| {
            let deadline = core.clock.now().checked_add(linger)?;
            let expiry = Expiry::Source {
                index: of.index,
                generation: of.generation,
            };
            Some(core.wheel.borrow_mut().insert(deadline, expiry))
        });
        self.rare().timer.set(key.flatten());
    }

    fn remove_timer(&self) {
        if let Some(timer) = self.rare.get().and_then(|rare| rare.timer.take()) {
            drop(context::with(|core| core.wheel.borrow_mut().remove(timer)));
        }
    }

    /// The descriptor is to be handed on instead of closed. Nothing is in flight on it any more.
    pub(super) fn finish_without_closing(&self) {
        self.remove_timer();
        self.finish();
    }

    /// Hands the descriptor to the close operation. Nothing is in flight on it any more.
    pub(super) fn close(&self, of: Attachment, descriptor: Option<OwnedDescriptor>) {
        self.phase.set(Phase::Closing);
        self.remove_timer();
        let Some(descriptor) = descriptor else { return };
        let close = Close {
            fd: descriptor.into_raw_fd(),
        };
        let role = Role::Close;
        inflight::start_for_source(close, Attachment { role, ..of });
    }

    /// The descriptor is closed. True if the source can be forgotten.
    pub(super) fn finish(&self) -> bool {
        self.phase.set(Phase::Closed);
        if let Some(waiter) = self.rare.get().and_then(|rare| rare.waiter.take()) {
            waiter.wake_quietly();
        }
        !self.is_awaited.get()
    }

    pub(super) fn wait(&self, cx: &Context<'_>) {
        self.is_awaited.set(true);
        let waiter = Waiter::new(cx);
        drop(self.rare().waiter.replace(Some(waiter)));
    }

    /// Nobody asks for the outcome any more. True if the source can be forgotten.
    pub(super) fn release(&self) -> bool {
        self.is_awaited.set(false);
        self.is_closed()
    }
}
