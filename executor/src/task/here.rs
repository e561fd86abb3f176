//! Which scheduler runs on this thread right now: what "home" means.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr;
use std::rc::Rc;

use crate::cores::{CoreId, Name};
use crate::scheduler::Scheduler;

/// Budget outside a task: never used up.
const UNLIMITED: u32 = u32::MAX;

struct Here {
    /// `None` and null if no scheduler is entered; else the two belong together.
    mailbox: Cell<Option<Name>>,
    scheduler: Cell<*const Scheduler>,
    /// How many guards there are.
    depth: Cell<u32>,
    budget: Cell<u32>,
}

impl Here {
    const fn nobody() -> Here {
        Here {
            mailbox: Cell::new(None),
            scheduler: Cell::new(ptr::null()),
            depth: Cell::new(0),
            budget: Cell::new(UNLIMITED),
        }
    }
}

// Nothing in it needs a destructor, so it can be asked even while a thread ends.
#[cfg(not(krug_loom))]
thread_local! {
    static HERE: Here = const { Here::nobody() };
}

#[cfg(krug_loom)]
loom::thread_local! {
    static HERE: Here = Here::nobody();
}

/// True if tasks of that core may be touched as one's own right now.
///
/// The epoch is not compared: a task of an earlier life of the same mailbox is complete and
/// holds no count at home, and that is what every function of the home asks first.
#[inline(always)]
pub(super) fn is_home(home: CoreId) -> bool {
    HERE.with(|here| here.mailbox.get() == Some(home.name()))
}

/// Calls `f` with the scheduler that is entered on this thread.
#[inline(always)]
pub(crate) fn with<R>(f: impl FnOnce(&Scheduler) -> R) -> Option<R> {
    let scheduler = HERE.with(|here| here.scheduler.get());
    if scheduler.is_null() {
        return None;
    }
    // SAFETY: the pointer is set by `Entered` only, on this thread, from a scheduler that the
    // guard holds or borrows until it has put the previous one back; that one is held by a
    // guard further out, or for ever.
    Some(f(unsafe { &*scheduler }))
}

/// While it lives, its scheduler is the home of this thread. Then the previous one is again.
#[derive(Debug)]
pub(crate) struct Entered<'a> {
    previous: *const Scheduler,
    previous_mailbox: Option<Name>,
    /// How many guards there were before this one.
    depth: u32,
    /// `None` if the scheduler is borrowed.
    scheduler: Option<Rc<Scheduler>>,
    _borrowed: PhantomData<&'a Scheduler>,
}

impl Entered<'_> {
    /// Enters a scheduler for as long as the guard lives, wherever that is kept.
    pub(crate) fn owning(scheduler: &Rc<Scheduler>) -> Entered<'static> {
        let mut entered = Entered::set(Rc::as_ptr(scheduler), Some(scheduler.id().name()));
        entered.scheduler = Some(Rc::clone(scheduler));
        entered
    }

    /// Enters a scheduler for as long as it is borrowed: for one function's body.
    #[inline(always)]
    pub(crate) fn borrowing(scheduler: &Scheduler) -> Entered<'_> {
        Entered::set(scheduler, Some(scheduler.id().name()))
    }

    /// While the guard lives, nobody is at home on this thread.
    pub(crate) fn nobody() -> Entered<'static> {
        Entered::set(ptr::null(), None)
    }

    #[inline(always)]
    fn set<'a>(scheduler: *const Scheduler, mailbox: Option<Name>) -> Entered<'a> {
        HERE.with(|here| {
            let depth = here.depth.get();
            here.depth.set(depth + 1);
            Entered {
                previous: here.scheduler.replace(scheduler),
                previous_mailbox: here.mailbox.replace(mailbox),
                depth,
                scheduler: None,
                _borrowed: PhantomData,
            }
        })
    }
}

impl Drop for Entered<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        HERE.with(|here| {
            if here.depth.get() != self.depth + 1 {
                // Not the innermost guard: one that is still there will put our scheduler
                // back as its previous one, so that has to stay alive for ever.
                return std::mem::forget(self.scheduler.take());
            }
            here.depth.set(self.depth);
            here.scheduler.set(self.previous);
            here.mailbox.set(self.previous_mailbox);
        });
    }
}

/// What a task may use up in one poll.
pub(crate) mod budget {
    use super::{HERE, UNLIMITED};
    use std::task::{Context, Poll};

    /// Units for one poll of a task.
    pub(crate) const PER_POLL: u32 = 128;

    struct Restore(u32);

    impl Drop for Restore {
        fn drop(&mut self) {
            HERE.with(|here| here.budget.set(self.0));
        }
    }

    /// Runs one poll of a task with a full budget.
    #[inline(always)]
    pub(crate) fn scope<R>(poll: impl FnOnce() -> R) -> R {
        let _restore = Restore(HERE.with(|here| here.budget.replace(PER_POLL)));
        poll()
    }

    /// One unit. Every operation that may be ready again and again asks for one before it
    /// answers "ready". At zero the task is woken and has to return: others are waiting.
    /// Outside a task it is always ready.
    #[inline]
    pub(crate) fn consume(cx: &mut Context<'_>) -> Poll<()> {
        match take() {
            true => Poll::Ready(()),
            false => give_way(cx),
        }
    }

    /// As `consume`, but runs no code of the user. False: the task has to [`give_way`].
    #[inline]
    #[must_use]
    pub(crate) fn take() -> bool {
        HERE.with(|here| match here.budget.get() {
            UNLIMITED => true,
            0 => false,
            left => {
                here.budget.set(left - 1);
                true
            }
        })
    }

    /// What a task returns that has used up its budget.
    #[cold]
    pub(crate) fn give_way<T>(cx: &mut Context<'_>) -> Poll<T> {
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
