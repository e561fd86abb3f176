//! [`InFlight`]: the future's end of an operation. It keeps the key, nothing else.

use std::io;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::afterlife;
use super::cancel;
use super::delivery::{Abandoned, Sent};
use super::finished::Finished;
use super::foreign::Foreign;
use super::op::{Op, Step};
use super::slot::Attachment;
use super::slots::Slots;
use crate::context::{self, Core, Counters};
use crate::cores::CoreId;
use crate::driver::{Completion, Key};
use crate::task::Waiter;

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
    /// The result was taken or given up.
    is_over: bool,
}

/// The last completion of `op`, if its driver can bring it about at once. If not, `op` can be started as if
/// nothing had been tried, also if a part of it was done.
/// Only for what moves bytes, and where the driver [`tries`](crate::driver::AtOnce) it.
#[inline(never)]
pub(crate) fn try_at_once<T: Op>(core: &Core, op: &mut T) -> Option<Completion> {
    if core.stopping.get() {
        return None;
    }
    // Nothing points into `op` any more when this returns, so that it may move afterwards.
    let operation = op.operation();
    let result = core.driver.borrow_mut().try_at_once(&operation)?;
    let mut completion = Completion::last(result);
    if result == -libc::EINTR || op.advance(&mut completion) == Step::Again {
        return None;
    }
    Counters::add(&core.counters.operations, 1);
    let kind = T::KIND.unwrap_or_else(|| operation.kind());
    core.latencies.record(kind, 0);
    Some(completion)
}

impl<T: Op> InFlight<T> {
    /// Moves `op` into a slot of this core and stages it; who polls with `cx` is woken when it has ended. Outside a
    /// runtime, and in one that is shutting down, `op` comes back with the error.
    #[inline]
    pub(crate) fn start(
        op: T,
        attachment: Option<Attachment>,
        cx: &mut Context<'_>,
    ) -> Result<InFlight<T>, (T, io::Error)> {
        InFlight::start_in(super::current().as_deref(), op, attachment, cx)
    }

    /// The same, for whoever has asked for the current slots already.
    #[inline]
    pub(crate) fn start_in(
        slots: Option<&Slots>,
        op: T,
        attachment: Option<Attachment>,
        cx: &mut Context<'_>,
    ) -> Result<InFlight<T>, (T, io::Error)> {
        let Some(slots) = slots else {
            return Err((op, outside_error()));
        };
        if slots.core().stopping.get() {
            return Err((op, stopping_error()));
        }
        if cancel::is_cancelled() {
            return Err((op, cancel::cancelled_error()));
        }
        let key = slots.start_for(Waiter::new(cx), op, attachment);
        cancel::note(slots, key);
        let ticket = Ticket {
            home: slots.home(),
            key,
            abroad: None,
            is_over: false,
        };
        let in_flight = InFlight {
            ticket: Some(ticket),
            op: PhantomData,
        };
        #[cfg(feature = "console")]
        in_flight.tell_polled();
        Ok(in_flight)
    }

    /// Its task waits for it from now on.
    #[cfg(feature = "console")]
    fn tell_polled(&self) {
        if let Some(ticket) = &self.ticket
            && let Some(told) = super::told::told(ticket.home, ticket.key)
        {
            let _pending: Poll<()> = told.poll(|| Poll::Pending);
        }
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
        #[cfg(feature = "console")]
        if let Some(ticket) = &self.ticket
            && let Some(told) = super::told::told(ticket.home, ticket.key)
        {
            return told.poll(|| self.take_or_wait(cx));
        }
        self.take_or_wait(cx)
    }

    #[inline]
    fn take_or_wait(&mut self, cx: &mut Context<'_>) -> Poll<(T, Completion)> {
        let ticket = self
            .ticket
            .as_mut()
            .expect("a future was polled again after it had finished");
        if ticket.abroad.is_none() {
            let (home, key) = (ticket.home, ticket.key);
            let here = super::with(|slots| {
                // SAFETY: the slot with our key was filled by `start` with a `T`.
                (slots.home() == home).then(|| unsafe { slots.take_or_wait::<T>(key, cx) })
            });
            match here.flatten() {
                Some(Some(taken)) => {
                    // It has gone nowhere, so that nothing in it needs a destructor.
                    if let Some(ticket) = self.ticket.take() {
                        std::mem::forget(ticket);
                    }
                    return Poll::Ready(taken);
                }
                Some(None) => return Poll::Pending,
                None => {}
            }
        }
        let finished = ready!(ticket.poll_abroad(cx));
        ticket.is_over = true;
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
    #[inline]
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            give_up(ticket);
        }
    }
}

/// A future is dropped that has not seen its result.
#[inline(never)]
fn give_up(ticket: Ticket) {
    let home = ticket.home;
    if context::current_id() == Some(home) {
        drop(ticket.abandon());
    } else if let Err(letter) = home.post(Box::new(move || drop(ticket.abandon()))) {
        letter();
    }
}

impl Ticket {
    #[cold]
    fn poll_abroad(&mut self, cx: &mut Context<'_>) -> Poll<Option<Finished>> {
        match &self.abroad {
            Some(foreign) => foreign.poll(cx.waker()),
            None => self.go_abroad(cx),
        }
    }

    fn go_abroad(&mut self, cx: &mut Context<'_>) -> Poll<Option<Finished>> {
        let foreign = Foreign::new();
        let errand = Errand {
            home: self.home,
            key: self.key,
            foreign: Some(foreign.clone()),
        };
        // If that core's life is over, or ends before the letter was opened, the errand ends
        // when it is dropped.
        drop(self.home.post(Box::new(move || errand.run())));
        let poll = foreign.poll(cx.waker());
        self.abroad = Some(foreign);
        poll
    }

    pub(crate) fn key(&self) -> Key {
        self.key
    }

    /// Applies the rule for dropped futures. To be called on the home core; after its
    /// end, on any.
    pub(crate) fn abandon(mut self) -> Abandoned {
        self.is_over = true;
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

impl Drop for Ticket {
    /// A letter that carried it was never opened, because its core ended before.
    #[inline]
    fn drop(&mut self) {
        if !self.is_over {
            drop(afterlife::take(self.home, self.key));
        }
    }
}

/// Has the result of an operation sent to where its future is now.
struct Errand {
    home: CoreId,
    key: Key,
    /// Taken when the errand is done.
    foreign: Option<Arc<Foreign>>,
}

impl Errand {
    /// Runs at home: sends the result, now or when it comes.
    fn run(mut self) {
        let (home, key) = (self.home, self.key);
        let Some(foreign) = self.foreign.take() else {
            return;
        };
        let here =
            super::with(|slots| (slots.home() == home).then(|| slots.take_or_send(key, &foreign)));
        match here {
            Some(Some(Sent::Now(finished))) => foreign.bring(Some(finished)),
            Some(Some(Sent::Later)) => {}
            Some(Some(Sent::Never)) | Some(None) | None => {
                foreign.bring(afterlife::take(home, key));
            }
        }
    }
}

impl Drop for Errand {
    /// The letter was never opened: the core has ended.
    fn drop(&mut self) {
        if let Some(foreign) = self.foreign.take() {
            foreign.bring(afterlife::take(self.home, self.key));
        }
    }
}

pub(crate) fn outside_error() -> io::Error {
    io::Error::other(
        "no krug runtime on this thread: await this inside Runtime::block_on, #[krug::main] or a task \
         (a thread of your own can use CoreHandle::spawn)",
    )
}

pub(crate) fn stopping_error() -> io::Error {
    io::Error::other("this krug runtime is shutting down and starts nothing new")
}
