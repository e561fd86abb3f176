//! [`InFlight`]: the future's end of an operation. It keeps the key, nothing else.

use std::io;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::afterlife;
use super::erased::Erased;
use super::finished::Finished;
use super::foreign::Foreign;
use super::op::Op;
use super::slots::{Abandoned, Attachment};
use crate::context;
use crate::cores::CoreId;
use crate::driver::{Completion, Key};

/// An operation that has been handed to a core, and the right to its result.
///
/// Dropping it does what [`Op::orphaned`] says. It is `Send` if the operation is: polled
/// on another core, it waits there for what its home core sends.
pub(crate) struct InFlight<T: Op> {
    /// `None` once the result was taken.
    ticket: Option<Ticket>,
    op: PhantomData<T>,
}

/// An [`InFlight`] without its type and without its drop: for those who do
/// something of their own with an abandoned operation.
pub(crate) struct Ticket {
    home: CoreId,
    key: Key,
    /// Where the result will be, once the future was polled on another core.
    abroad: Option<Arc<Foreign>>,
}

impl<T: Op> InFlight<T> {
    /// Moves `op` into a slot of this core and stages it. Outside a runtime, and in
    /// one that is shutting down, `op` comes back with the error.
    #[inline]
    pub(crate) fn start(
        op: T,
        attachment: Option<Attachment>,
    ) -> Result<InFlight<T>, (T, io::Error)> {
        let stopping = context::with(|core| core.stopping.get());
        match stopping {
            Some(false) => {}
            Some(true) => return Err((op, stopping_error())),
            None => return Err((op, outside_error())),
        }
        let started = super::with(|slots| {
            let key = slots.start(Erased::new(op), attachment, false);
            Ticket {
                home: slots.home(),
                key,
                abroad: None,
            }
        });
        let ticket = started.expect("a core that is current has its slots");
        Ok(InFlight {
            ticket: Some(ticket),
            op: PhantomData,
        })
    }

    /// Where the operation is.
    pub(crate) fn key(&self) -> Option<Key> {
        self.ticket.as_ref().map(|ticket| ticket.key)
    }

    /// The operation and its result. Must not be polled again after that.
    ///
    /// # Panics
    ///
    /// If it is polled again after that; and if the runtime ended before the kernel let go of the operation: its memory was leaked
    /// then, and there is nothing that could be given back.
    #[inline]
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(T, Completion)> {
        let ticket = self.ticket.as_mut().expect("a future was polled again after it had finished");
        if ticket.abroad.is_none() {
            let (home, key) = (ticket.home, ticket.key);
            let here = super::with(|slots| {
                // SAFETY: the slot with our key was filled by `start` with a `T`.
                (slots.home() == home).then(|| unsafe { slots.take_or_wait::<T>(key, cx) })
            });
            match here.flatten() {
                Some(Some(taken)) => {
                    self.ticket = None;
                    return Poll::Ready(taken);
                }
                Some(None) => return Poll::Pending,
                None => {}
            }
        }
        let finished = ready!(ticket.poll_abroad(cx));
        self.ticket = None;
        let Some(finished) = finished else {
            panic!(
                "an operation outlived its runtime: the kernel still held its memory at the end of \
                 the shutdown deadline, so it was leaked; give Runtime::shutdown a longer deadline"
            );
        };
        // SAFETY: the slot with our key was filled by `start` with a `T`.
        Poll::Ready(unsafe { finished.into_parts::<T>() })
    }

    /// Gives up the future's claim without doing anything about it yet.
    pub(crate) fn into_ticket(mut self) -> Option<Ticket> {
        self.ticket.take()
    }
}

impl<T: Op> Drop for InFlight<T> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        let home = ticket.home;
        if context::current_id() == Some(home) {
            drop(ticket.abandon());
        } else if let Err(letter) = home.post(Box::new(move || drop(ticket.abandon()))) {
            letter();
        }
    }
}

impl Ticket {
    pub(crate) fn home(&self) -> CoreId {
        self.home
    }

    #[cold]
    fn poll_abroad(&mut self, cx: &mut Context<'_>) -> Poll<Option<Finished>> {
        match &self.abroad {
            Some(foreign) => foreign.poll(cx.waker()),
            None => self.go_abroad(cx),
        }
    }

    fn go_abroad(&mut self, cx: &mut Context<'_>) -> Poll<Option<Finished>> {
        let (home, key) = (self.home, self.key);
        let foreign = Foreign::new();
        let receiver = foreign.clone();
        if home
            .post(Box::new(move || send_to(home, key, &receiver)))
            .is_err()
        {
            return Poll::Ready(afterlife::take(home, key));
        }
        let poll = foreign.poll(cx.waker());
        self.abroad = Some(foreign);
        poll
    }

    /// Applies the rule for dropped futures. To be called on the home core; after its
    /// end, on any.
    pub(crate) fn abandon(self) -> Abandoned {
        if let Some(finished) = self.abroad.as_ref().and_then(|foreign| foreign.take()) {
            return Abandoned::Ended(finished);
        }
        let (home, key) = (self.home, self.key);
        let here = super::with(|slots| (slots.home() == home).then(|| slots.abandon(key)));
        match here.flatten() {
            Some(abandoned) => abandoned,
            None => afterlife::take(home, key).map_or(Abandoned::GoesOn, Abandoned::Ended),
        }
    }
}

/// Runs at home: sends the result of `key` to `foreign`, now or when it comes.
fn send_to(home: CoreId, key: Key, foreign: &Arc<Foreign>) {
    let here =
        super::with(|slots| (slots.home() == home).then(|| slots.take_or_send(key, foreign)));
    match here.flatten() {
        Some(Some(finished)) => foreign.bring(Some(finished)),
        Some(None) => {}
        // The letter has come after the core's end.
        None => foreign.bring(afterlife::take(home, key)),
    }
}

pub(crate) fn outside_error() -> io::Error {
    io::Error::other(
        "no krug runtime on this thread: await this inside Runtime::block_on, #[krug::main] or a task \
         (a thread of your own can use Handle::spawn)",
    )
}

pub(crate) fn stopping_error() -> io::Error {
    io::Error::other("this krug runtime is shutting down and starts nothing new")
}
