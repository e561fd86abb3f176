//! [`Slots`]: the arena in which operations live from their first poll to their last completion.
//!
//! Chunks of slots never move and are not freed while the ring lives, so that the
//! kernel may point into them. A slot is used again and again; its generation, which
//! is part of the [`Key`], tells one use from the next.

use std::cell::{Cell, RefCell, UnsafeCell};
use std::rc::Rc;
use std::sync::Arc;

use super::delivery::{Abandoned, Delivery, Sent};
use super::erased::Erased;
use super::finished::Finished;
use super::foreign::Foreign;
use super::op::{Op, Orphan, Step};
use super::slot::{Attachment, Owner, Role, Slot, State, Watcher};
use crate::context::{Core, Counters};
use crate::cores::{CoreId, quietly};
use crate::driver::{Completion, Key, Operation};
use crate::observe::{self, OperationKind};
use crate::task::Waiter;

const CHUNK: usize = 64;
/// `user_data` has 28 bits for the index.
const SLOTS_MAX: usize = 1 << 28;

/// The slots of one core.
pub(crate) struct Slots {
    core: Rc<Core>,
    chunks: UnsafeCell<Vec<Box<[Slot; CHUNK]>>>,
    free: RefCell<Vec<u32>>,
    in_flight: Cell<usize>,
    in_use: Cell<usize>,
}

impl Slots {
    pub(crate) fn new(core: Rc<Core>) -> Slots {
        Slots {
            core,
            chunks: UnsafeCell::new(Vec::new()),
            free: RefCell::new(Vec::new()),
            in_flight: Cell::new(0),
            in_use: Cell::new(0),
        }
    }

    /// The core whose slots these are.
    #[inline]
    pub(crate) fn home(&self) -> CoreId {
        self.core.id
    }

    #[inline]
    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    /// Operations that the driver holds.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.get()
    }

    /// Slots that are not free: in flight, or ended and not yet taken.
    pub(crate) fn in_use(&self) -> usize {
        self.in_use.get()
    }

    /// How long ago its operation was started, in nanoseconds, by the last look at the clock.
    #[inline]
    pub(super) fn age(&self, slot: &Slot) -> u64 {
        self.core.times.nanos().wrapping_sub(slot.started.get())
    }

    #[inline]
    fn slot(&self, index: u32) -> Option<&Slot> {
        let index = index as usize;
        // SAFETY: the vector is changed only by `grow`, which no reference to it outlives: what we give
        // out points into a box, which stays where it is.
        let chunks = unsafe { &*self.chunks.get() };
        chunks.get(index / CHUNK).map(|chunk| &chunk[index % CHUNK])
    }

    /// The slot that `key` names, unless it has been used anew since.
    #[inline]
    fn find(&self, key: Key) -> Option<&Slot> {
        let slot = self.slot(key.index)?;
        (slot.generation.get() == key.generation && slot.state.get() != State::Free).then_some(slot)
    }

    /// Of the operation that has the slot, or had it last.
    pub(crate) fn kind(&self, key: Key) -> Option<OperationKind> {
        self.slot(key.index).map(|slot| slot.kind.get())
    }

    /// The source it works for.
    #[cfg(feature = "console")]
    pub(super) fn attachment(&self, key: Key) -> Option<Attachment> {
        self.find(key)?.attachment.get()
    }

    /// True until the operation's result was taken.
    pub(crate) fn is_in_use(&self, key: Key) -> bool {
        self.find(key).is_some()
    }

    /// Ages every slot, all of which are free.
    #[cfg(test)]
    pub(super) fn set_generations(&self, generation: u32) {
        assert_eq!(self.in_use(), 0);
        let mut index = 0;
        while let Some(slot) = self.slot(index) {
            slot.generation.set(generation);
            index += 1;
        }
    }

    /// Makes more slots, and takes the first of them.
    #[cold]
    fn grow(&self) -> u32 {
        // SAFETY: no reference to the vector itself is alive: `slot` is the only other place that makes
        // one, and drops it before it returns.
        let chunks = unsafe { &mut *self.chunks.get() };
        let base = chunks.len() * CHUNK;
        assert!(
            base + CHUNK <= SLOTS_MAX,
            "more than {SLOTS_MAX} operations in flight on one core"
        );
        chunks.push(Box::new(std::array::from_fn(|_| Slot::free())));
        let mut free = self.free.borrow_mut();
        free.extend((base + 1..base + CHUNK).rev().map(|index| index as u32));
        base as u32
    }

    /// Moves `op` to its final address and hands it to the driver. `owned_by_source`: no future waits.
    pub(super) fn start(
        &self,
        op: Erased,
        attachment: Option<Attachment>,
        owned_by_source: bool,
    ) -> Key {
        let owner = match owned_by_source {
            true => Owner::Source,
            false => Owner::Future,
        };
        let (key, slot) = self.take_free(owner, attachment);
        let kind = op.kind();
        slot.put_op(op);
        let operation = slot.with_op(Erased::operation);
        let kind = kind.unwrap_or_else(|| kind_of(&operation, attachment));
        slot.kind.set(kind);
        self.submit(key, operation);
        key
    }

    /// The same for a future, which waits for it as `waiter` says.
    #[inline]
    pub(super) fn start_for<T: Op>(
        &self,
        waiter: Waiter,
        op: T,
        attachment: Option<Attachment>,
    ) -> Key {
        let (key, slot) = self.take_free(Owner::Future, attachment);
        slot.watcher.set(Watcher::Here(waiter));
        let operation = slot.put_typed(op);
        let kind = T::KIND.unwrap_or_else(|| kind_of(&operation, attachment));
        slot.kind.set(kind);
        self.submit(key, operation);
        key
    }

    /// A slot for an operation that begins now.
    #[inline]
    fn take_free(&self, owner: Owner, attachment: Option<Attachment>) -> (Key, &Slot) {
        let index = self.free.borrow_mut().pop();
        let index = index.unwrap_or_else(|| self.grow());
        let slot = self.slot(index).expect("a free index lies in a chunk");
        slot.state.set(State::Submitted);
        slot.owner.set(owner);
        slot.cancel_asked.set(false);
        slot.attachment.set(attachment);
        slot.started.set(self.core.times.nanos());
        self.in_use.set(self.in_use.get() + 1);
        self.in_flight.set(self.in_flight.get() + 1);
        let key = Key {
            index,
            generation: slot.generation.get(),
        };
        (key, slot)
    }

    #[inline]
    fn submit(&self, key: Key, operation: Operation) {
        Counters::add(&self.core.counters.operations, 1);
        self.core.driver.borrow_mut().submit(key, operation);
        if observe::is_traced() {
            self.tell_begin(key);
        }
    }

    fn free(&self, key: Key, slot: &Slot) {
        slot.state.set(State::Free);
        slot.generation.set(slot.generation.get().wrapping_add(1));
        slot.attachment.set(None);
        self.in_use.set(self.in_use.get() - 1);
        self.free.borrow_mut().push(key.index);
        #[cfg(feature = "console")]
        super::told::tell_end(key);
    }

    /// Takes in a completion from the driver. The worker does what the answer says.
    pub(crate) fn complete(&self, key: Key, mut completion: Completion) -> Delivery {
        let Some(slot) = self.find(key) else {
            Counters::add(&self.core.counters.stale, 1);
            debug_assert!(
                false,
                "a completion for {key:?}, whose slot has been used anew: {completion:?}"
            );
            return Delivery::Nothing;
        };
        if completion.buffer.is_some() {
            slot.with_op(|op| op.take_buffers(completion));
        }
        if completion.more {
            return self.one_of_several(slot, completion);
        }
        if self.goes_in_again(slot, &mut completion) {
            slot.state.set(State::SubmittedAgain);
            let operation = slot.with_op(Erased::operation);
            self.core.driver.borrow_mut().submit(key, operation);
            return Delivery::Nothing;
        }
        self.in_flight.set(self.in_flight.get() - 1);
        if !slot.cancel_asked.get() {
            self.core.latencies.record(slot.kind.get(), self.age(slot));
        }
        let attachment = slot.attachment.get();
        match slot.owner.get() {
            Owner::Future => self.ended_for_future(key, slot, completion),
            Owner::Source => {
                let finished = self.finish(key, slot, completion);
                match attachment {
                    Some(attachment) => Delivery::Source {
                        key,
                        attachment,
                        finished,
                    },
                    None => Delivery::Dispose(finished),
                }
            }
            Owner::Nobody => Delivery::Dispose(self.finish(key, slot, completion)),
        }
    }

    fn one_of_several(&self, slot: &Slot, completion: Completion) -> Delivery {
        match slot.attachment.get() {
            Some(attachment) => {
                let descriptor = slot.with_op(|op| op.leftover(completion));
                Delivery::More {
                    attachment,
                    completion,
                    descriptor,
                }
            }
            None => unreachable!("only sources start operations that complete more than once"),
        }
    }

    fn goes_in_again(&self, slot: &Slot, completion: &mut Completion) -> bool {
        let asked = slot.cancel_asked.get();
        let errno = -completion.result;
        if !asked && (errno == libc::ECANCELED || errno == libc::EINTR) {
            return slot.with_op(|op| op.repeats(errno));
        }
        if completion.result == -libc::EINTR {
            // A thread of the kernel's that is asked to stop answers as if a signal had come.
            completion.result = -libc::ECANCELED;
        }
        if slot.with_op(|op| op.advance(completion)) == Step::Done {
            return false;
        }
        if asked {
            // It would have gone on: this completion is of a step of it, and not its result.
            completion.result = -libc::ECANCELED;
        }
        !asked
    }

    fn ended_for_future(&self, key: Key, slot: &Slot, completion: Completion) -> Delivery {
        let attachment = slot.attachment.get();
        let waiter = match slot.watcher.replace(Watcher::NOBODY) {
            Watcher::Elsewhere(Some(foreign)) => {
                let finished = self.finish(key, slot, completion);
                return Delivery::Sent {
                    foreign,
                    finished,
                    attachment,
                };
            }
            Watcher::Here(waiter) => Some(waiter),
            Watcher::Elsewhere(None) => None,
        };
        slot.result.set(completion.result);
        slot.state.set(State::Done);
        Delivery::Ready {
            waiter,
            attachment,
            completion,
        }
    }

    /// Takes the operation out of a slot that has ended, and frees the slot.
    fn finish(&self, key: Key, slot: &Slot, completion: Completion) -> Finished {
        let op = slot.take_op();
        self.free(key, slot);
        Finished::new(op, completion)
    }

    /// The operation and its result, if that has come; else remembers who waits. `None`
    /// also if `key` is unknown.
    ///
    /// # Safety
    ///
    /// The operation that was started under `key` is a `T`.
    #[inline]
    pub(super) unsafe fn take_or_wait<T: Op>(
        &self,
        key: Key,
        cx: &std::task::Context<'_>,
    ) -> Option<(T, Completion)> {
        let slot = self.find(key)?;
        if slot.state.get() == State::Done {
            let completion = slot.completion();
            // SAFETY: the caller names the type of what is under `key`, which is in this slot.
            let op = unsafe { slot.take_typed::<T>() };
            self.free(key, slot);
            return Some((op, completion));
        }
        let waiter = match slot.watcher.replace(Watcher::NOBODY) {
            Watcher::Here(waiter) if waiter.is_for(cx) => waiter,
            _ => Waiter::new(cx),
        };
        slot.watcher.set(Watcher::Here(waiter));
        None
    }

    /// The result, if it has come; else it will be sent to `foreign`.
    pub(super) fn take_or_send(&self, key: Key, foreign: &Arc<Foreign>) -> Sent {
        let Some(slot) = self.find(key) else {
            return Sent::Never;
        };
        if slot.state.get() == State::Done {
            return Sent::Now(self.finish(key, slot, slot.completion()));
        }
        slot.watcher.set(Watcher::Elsewhere(Some(foreign.clone())));
        Sent::Later
    }

    /// The future of `key` is gone. What becomes of the operation is what its [`Orphan`] rule says.
    pub(crate) fn abandon(&self, key: Key) -> Abandoned {
        let Some(slot) = self.find(key) else {
            return Abandoned::GoesOn;
        };
        // The waiter may be the last reference to a task: it is dropped when the slot is in order.
        let _watcher = slot.watcher.replace(Watcher::NOBODY);
        if slot.state.get() == State::Done {
            return Abandoned::Ended(self.finish(key, slot, slot.completion()));
        }
        let may_be_taken_back = slot.state.get() == State::Submitted;
        if may_be_taken_back && !slot.with_op(|op| op.has_begun()) && self.take_back(key) {
            self.in_flight.set(self.in_flight.get() - 1);
            let never = Completion::last(-libc::ECANCELED);
            return Abandoned::TakenBack(self.finish(key, slot, never));
        }
        let rule = slot.with_op(Erased::orphaned);
        let attached = slot.attachment.get().is_some();
        slot.owner.set(if attached {
            Owner::Source
        } else {
            Owner::Nobody
        });
        if rule == Orphan::Cancel {
            self.cancel(key);
        }
        Abandoned::GoesOn
    }

    fn take_back(&self, key: Key) -> bool {
        self.core.driver.borrow_mut().take_back(key)
    }

    /// Asks the kernel to stop the operation. It ends with one more completion, as any other.
    pub(crate) fn cancel(&self, key: Key) {
        let Some(slot) = self.find(key) else { return };
        if slot.state.get().is_with_driver() && !slot.cancel_asked.replace(true) {
            self.core.driver.borrow_mut().cancel(key);
        }
    }

    /// Asks the kernel to stop everything.
    pub(crate) fn cancel_all(&self) {
        self.each(|key, slot| {
            if slot.state.get().is_with_driver() {
                self.cancel(key);
            }
        });
    }

    /// Takes every result that a future still owns, for futures that outlive the core.
    pub(super) fn drain_ended(&self) -> Vec<(Key, Finished)> {
        let mut ended = Vec::new();
        self.each(|key, slot| {
            if slot.state.get() == State::Done {
                ended.push((key, self.finish(key, slot, slot.completion())));
            }
        });
        ended
    }

    /// Tells everybody who waits for an operation that the core has to leak that no result will come.
    pub(super) fn tell_leaked(&self) {
        let mut told = Vec::new();
        self.each(|_, slot| told.push(slot.watcher.replace(Watcher::NOBODY)));
        for watcher in told {
            match watcher {
                Watcher::Here(waiter) => waiter.wake_quietly(),
                Watcher::Elsewhere(Some(foreign)) => quietly(|| foreign.bring(None)),
                Watcher::Elsewhere(None) => {}
            }
        }
    }

    pub(super) fn each(&self, mut f: impl FnMut(Key, &Slot)) {
        let mut index = 0;
        while let Some(slot) = self.slot(index) {
            if slot.state.get() != State::Free {
                f(
                    Key {
                        index,
                        generation: slot.generation.get(),
                    },
                    slot,
                );
            }
            index += 1;
        }
    }
}

/// Bytes at the cursor are a stream's, unless they are a file's.
#[inline]
fn kind_of(operation: &Operation, attachment: Option<Attachment>) -> OperationKind {
    let role = attachment.map(|attachment| attachment.role);
    match (operation.kind(), role) {
        (OperationKind::Receive, Some(Role::Look)) => OperationKind::Read,
        (OperationKind::Send, Some(Role::Change)) => OperationKind::Write,
        (kind, _) => kind,
    }
}
