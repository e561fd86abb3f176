//! What the home does with its tasks. No atomics, except where another thread might look.
//!
//! Every function expects that the task's home is entered on this thread
//! (`here::is_home`), and runs no user code while anything of ours is borrowed.

use std::ptr::NonNull;

use super::Class;
use super::header::{
    ABORTED, BACKGROUND, COMPLETE, DETACHED, Header, LATENCY, RUNNING, RawTask, SCHEDULED, TRACED,
    WATCHED,
};
use super::here;
use super::queue::Runnable;
use super::remote::{ABORT, DETACH, GivenUp, NEW, WAKE, WATCH};
use super::waker::{Waiter, Waiting};
use super::{afar, traced};
use crate::cores::{Delivery, Node, quietly};
use crate::observe;
use crate::primitives::Ordering;
use crate::scheduler::Scheduler;

// References.

#[inline(always)]
pub(super) fn retain(task: RawTask) {
    let count = task.count.get();
    // Zero: the home has no count to add to, it gave up or died. See situation 5.
    if count == 0 {
        return task.remote.retain();
    }
    task.count.set(count + 1);
}

#[inline(always)]
pub(super) fn release(task: RawTask) {
    let count = task.count.get();
    if count > 1 {
        task.count.set(count - 1);
    } else {
        release_last(task);
    }
}

#[inline(never)]
fn release_last(task: RawTask) {
    if task.count.get() == 0 {
        return afar::release(task);
    }
    task.count.set(0);
    if task.has(COMPLETE) {
        // Where the node is on its way, its arrival settles the matter.
        let _ = give_up(task);
    } else {
        // The scheduler's own reference is one of those that the remote word counts. As long
        // as the task lives the home must hold a count, so take them all over.
        let count = task.remote.take_count();
        debug_assert!(count > 0);
        task.count.set(count as u64);
    }
}

/// The home's count of a finished task has come to zero, or is given away with its life.
/// False: the node is on its way, ask again when it has arrived.
pub(super) fn give_up(task: RawTask) -> bool {
    debug_assert!(task.has(COMPLETE));
    match task.remote.merge(task.count.get()) {
        GivenUp::Free => {
            here::with(|scheduler| {
                scheduler.tasks().remove(task);
                // SAFETY: no reference is left; a complete task is in no run queue, and has
                // just left the list; a join handle goes only when the output is gone.
                unsafe { task.free_into(scheduler.blocks()) };
            });
            true
        }
        GivenUp::Merged => {
            task.count.set(0);
            here::with(|scheduler| scheduler.tasks().remove(task));
            afar::release(task);
            true
        }
        GivenUp::Later => false,
    }
}

// Events.

#[inline]
pub(super) fn wake(task: RawTask) {
    wake_and(task, Scheduler::schedule);
}

#[inline(always)]
fn wake_and(task: RawTask, put: impl FnOnce(&Scheduler, Runnable)) {
    let state = task.state.get();
    if state & (SCHEDULED | COMPLETE) != 0 {
        return;
    }
    task.state.set(state | SCHEDULED);
    // A running task goes back to the queue when its poll is over.
    if state & (RUNNING | LATENCY | BACKGROUND) == 0 {
        schedule(task, put);
    } else if state & RUNNING == 0 {
        schedule_last(task, state);
    }
}

/// Behind all others of its class.
#[inline(never)]
fn schedule_last(task: RawTask, state: u16) {
    schedule(task, put_in(class_of(state)));
}

/// The class of a task in this state.
fn class_of(state: u16) -> Class {
    match state & (LATENCY | BACKGROUND) {
        0 => Class::Default,
        LATENCY => Class::Latency,
        _ => Class::Background,
    }
}

/// The bits of the state of a task of this class.
fn bits_of(class: Class) -> u16 {
    match class {
        Class::Latency => LATENCY,
        Class::Default => 0,
        Class::Background => BACKGROUND,
    }
}

/// How a task of this class is put into its queue, behind all others.
fn put_in(class: Class) -> impl FnOnce(&Scheduler, Runnable) {
    move |scheduler, runnable| match class {
        Class::Default => scheduler.schedule_last(runnable),
        class => scheduler.schedule_in(class, runnable),
    }
}

#[inline(always)]
fn schedule(task: RawTask, put: impl FnOnce(&Scheduler, Runnable)) {
    here::with(|scheduler| {
        scheduler.count_wake();
        // SAFETY: every caller has just set `SCHEDULED` on a task that was neither running,
        // nor complete, nor in the queue, and is its home.
        put(scheduler, unsafe { Runnable::new(task) });
    });
}

/// The future is dropped when the scheduler comes to it: not here, in the midst of somebody's poll.
pub(super) fn abort(task: RawTask) {
    // A complete task minds neither.
    task.set(ABORTED);
    wake(task);
}

/// The join handle is gone.
pub(super) fn detach(task: RawTask) {
    forget_joiner(task);
    if task.has(COMPLETE) {
        // SAFETY: complete, and the handle went without taking the output.
        unsafe { (task.vtable().drop_output)(task) };
    } else {
        task.set(DETACHED);
    }
}

fn take_joiner(task: RawTask) -> Option<Waiter> {
    // SAFETY: home only, and nothing of the user runs inside.
    task.joiner.with_mut(|joiner| unsafe { (*joiner).take() })
}

pub(super) fn forget_joiner(task: RawTask) {
    if let Some(joiner) = take_joiner(task) {
        quietly(|| drop(joiner));
    }
}

/// A joiner waits for its turn behind what is ready: one that awaits many handles in a row finds
/// the next ones finished, where the LIFO slot would run it once for each.
fn wake_joiner(joiner: Waiter) {
    match joiner.open() {
        Waiting::Task(joiner) if here::is_home(joiner.task().home()) => {
            wake_and(joiner.task(), Scheduler::schedule_last);
        }
        Waiting::Task(joiner) => joiner.wake(),
        Waiting::Waker(joiner) => quietly(|| joiner.wake()),
    }
}

fn watch(task: RawTask) {
    if task.has(COMPLETE) {
        wake_remote_joiner(task);
    } else {
        task.set(WATCHED);
    }
}

fn wake_remote_joiner(task: RawTask) {
    if let Some(waker) = task.take_remote_joiner() {
        quietly(|| waker.wake());
    }
}

/// Takes in a task that is new to this scheduler.
#[inline(always)]
pub(super) fn adopt(scheduler: &Scheduler, task: RawTask) {
    if observe::is_traced() {
        traced::begin(scheduler, task);
    }
    scheduler.count_in();
    task.spawned.set(scheduler.tick());
    scheduler.tasks().insert(task);
    // SAFETY: the task is new, and so `SCHEDULED` but not in the queue yet.
    scheduler.schedule_last(unsafe { Runnable::new(task) });
}

/// The same for a task of this class, which nobody else knows.
pub(super) fn adopt_in(scheduler: &Scheduler, class: Class, task: RawTask) {
    task.set(bits_of(class));
    scheduler.count_in();
    scheduler.tasks().insert(task);
    // SAFETY: as in `adopt`.
    put_in(class)(scheduler, unsafe { Runnable::new(task) });
}

/// Polls a task once, or drops its future if it was aborted.
#[inline]
pub(super) fn run(runnable: Runnable) {
    let task = runnable.task();
    let state = task.state.get();
    debug_assert!(state & SCHEDULED != 0 && state & (RUNNING | COMPLETE) == 0);
    task.state.set(state & !SCHEDULED | RUNNING);
    task.polls.set(task.polls.get().wrapping_add(1));
    let step = || {
        if state & ABORTED == 0 {
            // SAFETY: not complete, so the future is there; `RUNNING` was not set, so nobody else is in it.
            return unsafe { (task.vtable().poll)(task) };
        }
        // SAFETY: as above.
        unsafe { (task.vtable().cancel)(task) };
        true
    };
    let complete = match state & TRACED {
        0 => step(),
        _ => traced::step(task, step),
    };
    if complete {
        return self::complete(task);
    }
    let state = task.state.get();
    task.state.set(state & !RUNNING);
    if state & SCHEDULED != 0 {
        schedule_last(task, state);
    }
}

/// The output is in its place: tells who waits for it and lets the scheduler's reference go.
fn complete(task: RawTask) {
    finish(task);
    here::with(Scheduler::count_out);
    release(task);
}

/// The output is in its place: tells who waits for it.
fn finish(task: RawTask) {
    let state = task.state.get();
    task.state.set(state & !(SCHEDULED | RUNNING) | COMPLETE);
    // Release: whoever sees it may take the output.
    task.finished.store(true, Ordering::Release);
    if state & DETACHED != 0 {
        // SAFETY: complete, and no handle is left that could take it.
        unsafe { (task.vtable().drop_output)(task) };
    }
    if let Some(joiner) = take_joiner(task) {
        wake_joiner(joiner);
    }
    if state & WATCHED != 0 {
        wake_remote_joiner(task);
    }
}

// Messages.

/// Opens the message that a task's node brought.
///
/// # Safety
///
/// `node` is the first field of a task whose word has `QUEUED` set; the worker that owns its
/// mailbox calls this, once for each push.
pub(super) unsafe fn deliver(node: NonNull<Node>, delivery: Delivery) {
    // SAFETY: the node is the header's first field, and was pushed with the provenance of the
    // whole task (`afar::push`). `QUEUED` keeps the task alive until its word is taken.
    let task = unsafe { RawTask::new(node.cast::<Header>()) };
    let wanted = delivery
        == Delivery::At {
            epoch: task.home().epoch(),
        };
    // Only a new task can come to the wrong life: a dying worker waits for all others.
    if task.remote.load().has(NEW) && !(wanted && may_adopt()) {
        return decline(task);
    }
    open(task);
}

fn may_adopt() -> bool {
    here::with(|scheduler| !scheduler.is_closing()) == Some(true)
}

fn open(task: RawTask) {
    let word = task.remote.take();
    // One for this function: what it calls may drop all others.
    task.count
        .set((task.count.get() as i64 + word.count() + 1) as u64);
    if word.has(NEW) {
        here::with(|scheduler| {
            scheduler.count_arrival();
            adopt(scheduler, task);
        });
    }
    if word.has(ABORT) {
        abort(task);
    }
    if word.has(DETACH) {
        detach(task);
    }
    if word.has(WATCH) {
        watch(task);
    }
    if word.has(WAKE) {
        here::with(Scheduler::count_wake_from_afar);
        wake(task);
    }
    release(task);
}

/// A new task has come to a worker that takes none any more. `QUEUED` stays set until the
/// word is merged, so nobody pushes the node once more, to where nobody would find it.
fn decline(task: RawTask) {
    task.home().mailbox().backlog().give_back(1);
    // SAFETY: it was never taken in, so the future is there and nobody runs it. It is
    // `Send`, so it may be dropped on whatever thread this is.
    unsafe { cancel_unknown(task) };
    let word = task.remote.merge_arrived(task.count.replace(0));
    if word.has(DETACH) {
        // SAFETY: complete; the handle left the output behind.
        unsafe { (task.vtable().drop_output)(task) };
    }
    if word.has(WATCH) {
        wake_remote_joiner(task);
    }
    // The scheduler's own.
    afar::release(task);
}

/// Completes a task, as cancelled, that no scheduler has taken in. Its handle may have come
/// here already, and wait.
///
/// # Safety
///
/// The future is there, nobody else may touch it, and it may be dropped on this thread.
pub(super) unsafe fn cancel_unknown(task: RawTask) {
    task.set(RUNNING);
    // SAFETY: the caller's promise.
    unsafe { (task.vtable().cancel)(task) };
    finish(task);
}
