//! References to a task that can wake it: [`TaskRef`] in here, std's `Waker` for everybody.

use std::fmt;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::ptr::{self, NonNull};
use std::task::{Context, RawWaker, RawWakerVTable, Waker};

use super::header::{Header, RawTask};
use super::remote::WAKE;
use super::traced::{self, tell_waker};
use super::{afar, here, home};
use crate::cores::quietly;

// The four things anyone can do with a reference: at home without atomics, else by the word.

#[inline(always)]
pub(super) fn retain(task: RawTask) {
    if here::is_home(task.home()) {
        home::retain(task);
    } else {
        task.remote.retain();
    }
}

#[inline(always)]
pub(super) fn release(task: RawTask) {
    if here::is_home(task.home()) {
        home::release(task);
    } else {
        afar::release(task);
    }
}

#[inline(always)]
fn wake_by_ref(task: RawTask) {
    if here::is_home(task.home()) {
        home::wake(task);
    } else {
        afar::announce(task, WAKE);
    }
}

#[inline(always)]
fn wake(task: RawTask) {
    if here::is_home(task.home()) {
        home::wake(task);
        home::release(task);
    } else if !afar::announce_and_release(task, WAKE) {
        afar::release(task);
    }
}

/// A counted reference to a task, for what lives on the task's core: slots, timers, channels.
/// Cheaper than a `Waker`, and not `Send`.
pub(crate) struct TaskRef {
    task: RawTask,
}

impl TaskRef {
    /// The task that `waker` wakes, if it is one of the scheduler entered on this thread.
    fn of(waker: &Waker) -> Option<TaskRef> {
        if !ptr::eq(waker.vtable(), &VTABLE) {
            return None;
        }
        // SAFETY: a waker with our vtable has a task's header as its data, and its reference
        // keeps the task alive while we borrow it.
        let task = unsafe { from_data(waker.data()) };
        if !here::is_home(task.home()) {
            return None;
        }
        home::retain(task);
        tell_waker(task, "waker.clone");
        Some(TaskRef { task })
    }

    /// Makes a reference out of one that is already counted.
    pub(super) fn counted(task: RawTask) -> TaskRef {
        TaskRef { task }
    }

    pub(super) fn task(&self) -> RawTask {
        self.task
    }

    /// Where the task was spawned; `None` for a main task.
    pub(crate) fn spawned_at(&self) -> Option<&'static Location<'static>> {
        (!self.task.is_main()).then_some(self.task.spawned_at)
    }

    #[inline]
    pub(crate) fn wake(self) {
        tell_waker(self.task, "waker.wake");
        wake(ManuallyDrop::new(self).task);
    }

    fn is_for(&self, waker: &Waker) -> bool {
        ptr::eq(waker.vtable(), &VTABLE)
            && ptr::eq(
                waker.data(),
                self.task.as_ptr().as_ptr().cast_const().cast(),
            )
    }
}

impl Clone for TaskRef {
    #[inline]
    fn clone(&self) -> TaskRef {
        retain(self.task);
        tell_waker(self.task, "waker.clone");
        TaskRef { task: self.task }
    }
}

impl Drop for TaskRef {
    #[inline]
    fn drop(&mut self) {
        tell_waker(self.task, "waker.drop");
        release(self.task);
    }
}

impl fmt::Debug for TaskRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TaskRef").field(&self.task).finish()
    }
}

/// Who waits for something: what slots, channels and timers store. Two words; the second is never null, so that an
/// `Option` of it has no more.
pub(crate) struct Waiter {
    data: *const (),
    /// [`OF_THIS_CORE`] if it is a task of this core: `data` is the task then, counted. Else the two are a waker's.
    vtable: &'static RawWakerVTable,
}

/// What a [`Waiter`] is.
#[derive(Debug)]
pub(super) enum Waiting {
    /// A task of this core.
    Task(TaskRef),
    /// Anything else: another core's task, or a combinator that made its own waker.
    Waker(Waker),
}

impl Waiter {
    /// Whoever polls with `cx`. Clones a foreign waker, which may run code of the user: call
    /// it before you borrow anything.
    #[inline]
    pub(crate) fn new(cx: &Context<'_>) -> Waiter {
        match TaskRef::of(cx.waker()) {
            Some(task) => Waiter::task(task),
            None => Waiter::waker(cx.waker().clone()),
        }
    }

    /// As `new`, for a task of this core, and where that runs no code of the user: that may be done while something is borrowed.
    #[inline]
    pub(crate) fn of_task(cx: &Context<'_>) -> Option<Waiter> {
        if traced::tells_of_wakers() {
            return None;
        }
        TaskRef::of(cx.waker()).map(Waiter::task)
    }

    #[inline]
    fn task(task: TaskRef) -> Waiter {
        let task = ManuallyDrop::new(task).task;
        Waiter {
            data: task.as_ptr().as_ptr().cast_const().cast(),
            vtable: &OF_THIS_CORE,
        }
    }

    fn waker(waker: Waker) -> Waiter {
        let waker = ManuallyDrop::new(waker);
        Waiter {
            data: waker.data(),
            vtable: waker.vtable(),
        }
    }

    /// What it is, for the length of a borrow.
    #[inline]
    fn look(&self) -> ManuallyDrop<Waiting> {
        ManuallyDrop::new(if ptr::eq(self.vtable, &OF_THIS_CORE) {
            // SAFETY: `task` has put the pointer of a task there, and its count with it.
            let task = unsafe { from_data(self.data) };
            Waiting::Task(TaskRef { task })
        } else {
            // SAFETY: `waker` has put there what the waker was made of, and has not dropped it.
            Waiting::Waker(unsafe { Waker::new(self.data, self.vtable) })
        })
    }

    #[inline]
    pub(super) fn open(self) -> Waiting {
        ManuallyDrop::into_inner(ManuallyDrop::new(self).look())
    }

    /// Where the task was spawned that waits; `None` for a main task, or if it is no task of this core.
    pub(crate) fn spawned_at(&self) -> Option<&'static Location<'static>> {
        match &*self.look() {
            Waiting::Task(task) => task.spawned_at(),
            Waiting::Waker(_) => None,
        }
    }

    /// May run code of the user, like its drop: call it when nothing is borrowed.
    #[inline]
    pub(crate) fn wake(self) {
        match self.open() {
            Waiting::Task(task) => task.wake(),
            Waiting::Waker(waker) => waker.wake(),
        }
    }

    /// As `wake`, where nobody could receive a panic of a foreign waker.
    #[inline]
    pub(crate) fn wake_quietly(self) {
        match self.open() {
            Waiting::Task(task) => task.wake(),
            Waiting::Waker(waker) => quietly(|| waker.wake()),
        }
    }

    /// True if it surely wakes whoever polls with `cx`: no new one is needed. Runs no code of the user.
    #[inline]
    pub(crate) fn is_for(&self, cx: &Context<'_>) -> bool {
        match &*self.look() {
            Waiting::Task(task) => task.is_for(cx.waker()),
            Waiting::Waker(waker) => waker.will_wake(cx.waker()),
        }
    }
}

impl Drop for Waiter {
    #[inline]
    fn drop(&mut self) {
        drop(ManuallyDrop::into_inner(self.look()));
    }
}

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (*self.look()).fmt(f)
    }
}

/// A waker out of a reference that is already counted.
pub(super) fn waker(task: RawTask) -> Waker {
    // SAFETY: the vtable keeps the contract of `RawWaker`: every function works on any thread
    // at any time, and each call accounts for exactly one counted reference.
    unsafe { Waker::new(task.as_ptr().as_ptr().cast_const().cast(), &VTABLE) }
}

// A static and not a constant: `TaskRef::of` knows our wakers by its address.
pub(super) static VTABLE: RawWakerVTable =
    RawWakerVTable::new(clone_waker, wake_waker, wake_waker_by_ref, drop_waker);

// No waker has this one: only its address counts, which says that a `Waiter` is no waker.
static OF_THIS_CORE: RawWakerVTable =
    RawWakerVTable::new(clone_waker, wake_waker, wake_waker_by_ref, drop_waker);

/// # Safety
///
/// `data` is that of a waker with our vtable, whose reference is not dropped meanwhile.
#[inline(always)]
unsafe fn from_data(data: *const ()) -> RawTask {
    // SAFETY: such a waker was made of a `RawTask`'s pointer, which is not null; the reference
    // keeps the task alive.
    unsafe { RawTask::new(NonNull::new_unchecked(data.cast_mut().cast::<Header>())) }
}

/// # Safety
///
/// That of `from_data`, as for the three below.
unsafe fn clone_waker(data: *const ()) -> RawWaker {
    // SAFETY: passed on to the caller.
    let task = unsafe { from_data(data) };
    retain(task);
    tell_waker(task, "waker.clone");
    RawWaker::new(data, &VTABLE)
}

unsafe fn wake_waker(data: *const ()) {
    // SAFETY: passed on to the caller.
    let task = unsafe { from_data(data) };
    tell_waker(task, "waker.wake");
    wake(task);
}

unsafe fn wake_waker_by_ref(data: *const ()) {
    // SAFETY: passed on to the caller.
    let task = unsafe { from_data(data) };
    tell_waker(task, "waker.wake_by_ref");
    wake_by_ref(task);
}

unsafe fn drop_waker(data: *const ()) {
    // SAFETY: passed on to the caller.
    let task = unsafe { from_data(data) };
    tell_waker(task, "waker.drop");
    release(task);
}
