//! [`CancelScope`]: operations that were started together and can be told to stop together.
//!
//! While a scope's future is polled, the scope is current, and every operation that starts is
//! noted in it. Asked to cancel, the scope asks the kernel to stop those that are in flight;
//! each ends as any operation does, with what really happened.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::task::Context;

use super::Slots;
use crate::context::Current;
use crate::cores::CoreId;
use crate::driver::Key;
use crate::task::Waiter;

/// From this many noted operations on, those that have ended are forgotten first.
const NOTES_MAX: usize = 8;

thread_local! {
    static SCOPE: Current<CancelScope> = const { Current::none() };
    /// Spares everything that starts outside a scope, which is nearly everything, the look at it.
    static IS_SCOPED: Cell<bool> = const { Cell::new(false) };
}

/// What can be cancelled together. See the [module's docs](self).
#[derive(Default)]
pub(crate) struct CancelScope {
    is_asked: Cell<bool>,
    started: RefCell<Vec<(CoreId, Key)>>,
    /// Waits for operations whose turn has not come yet.
    waiters: RefCell<Vec<Waiter>>,
}

impl CancelScope {
    pub(crate) fn is_asked(&self) -> bool {
        self.is_asked.get()
    }

    /// Stops everything that is in flight, and whatever would start from now on.
    pub(crate) fn ask(&self) {
        self.is_asked.set(true);
        for (home, key) in self.started.take() {
            cancel(home, key);
        }
        for waiter in self.waiters.take() {
            waiter.wake();
        }
    }

    fn note(&self, slots: &Slots, key: Key) {
        let mut started = self.started.borrow_mut();
        if started.len() >= NOTES_MAX {
            started.retain(|(home, key)| *home != slots.home() || slots.is_in_use(*key));
        }
        started.push((slots.home(), key));
    }

    /// Makes this scope current while `poll` runs, and remembers whom to wake.
    pub(crate) fn enter<R>(
        self: &Rc<Self>,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> R,
    ) -> R {
        self.remember(cx);
        let before = SCOPE.with(|scope| scope.replace(Some(self.clone())));
        let was_scoped = IS_SCOPED.replace(true);
        let _restore = Restore { before, was_scoped };
        poll(cx)
    }

    fn remember(&self, cx: &Context<'_>) {
        let mut waiters = self.waiters.borrow_mut();
        if !waiters.iter().any(|waiter| waiter.is_for(cx)) {
            waiters.push(Waiter::new(cx));
        }
    }
}

struct Restore {
    before: Option<Rc<CancelScope>>,
    was_scoped: bool,
}

impl Drop for Restore {
    fn drop(&mut self) {
        IS_SCOPED.set(self.was_scoped);
        drop(SCOPE.with(|scope| scope.replace(self.before.take())));
    }
}

/// Runs on any core: the operation is asked to stop on its own.
fn cancel(home: CoreId, key: Key) {
    let here = super::with(|slots| (slots.home() == home).then(|| slots.cancel(key)));
    if here.flatten().is_none() {
        drop(home.post(Box::new(move || {
            super::with(|slots| {
                if slots.home() == home {
                    slots.cancel(key);
                }
            });
        })));
    }
}

/// True inside a scope that was asked to cancel: nothing starts there any more.
#[inline]
pub(crate) fn is_cancelled() -> bool {
    IS_SCOPED.get()
        && SCOPE
            .with(|scope| scope.with(CancelScope::is_asked))
            .unwrap_or(false)
}

/// Notes in the current scope, if there is one, what has just started.
#[inline]
pub(super) fn note(slots: &Slots, key: Key) {
    if IS_SCOPED.get() {
        SCOPE.with(|scope| scope.with(|scope| scope.note(slots, key)));
    }
}

/// What an operation resolves to that was cancelled before it began.
pub(crate) fn cancelled_error() -> io::Error {
    io::Error::from_raw_os_error(libc::ECANCELED)
}
