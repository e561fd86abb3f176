//! [`Task`]: the one allocation of a task, and what depends on the type of its future.

use std::alloc::Layout;
use std::any::Any;
use std::cell::UnsafeCell;
use std::future::Future;
use std::mem::{ManuallyDrop, offset_of};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::ptr;
use std::task::{Context, Poll, Waker};

use super::JoinError;
use super::header::{Header, RawTask, VTable};
use super::home;
use super::memory::{self, Blocks, class_of, rounded};
use super::panics;
use super::remote::Word;
use super::waker::VTABLE as WAKER_VTABLE;
use crate::cores::{CoreId, quietly};

#[repr(C)]
pub(super) struct Task<F: Future> {
    /// MUST be the first field: a task is known by the address of its header.
    header: Header,
    stage: UnsafeCell<Stage<F>>,
}

/// Future first, then output: `COMPLETE` says which.
union Stage<F: Future> {
    future: ManuallyDrop<F>,
    output: ManuallyDrop<Result<F::Output, JoinError>>,
}

/// How a task comes into being.
pub(super) struct Birth<'a> {
    /// Where to look for memory first.
    pub(super) blocks: Option<&'a Blocks>,
    pub(super) home: CoreId,
    pub(super) spawned_at: &'static Location<'static>,
    /// References counted at home.
    pub(super) count: u64,
    pub(super) word: Word,
}

impl<F: Future> Task<F> {
    const VTABLE: VTable = VTable {
        deliver: home::deliver,
        poll: Self::poll,
        cancel: Self::cancel,
        drop_output: Self::drop_output,
        output_offset: offset_of!(Self, stage),
        layout: rounded(Layout::new::<Self>()),
        class: class_of(rounded(Layout::new::<Self>())),
    };

    #[inline]
    pub(super) fn allocate(future: F, birth: Birth<'_>) -> RawTask {
        let layout = const { rounded(Layout::new::<Self>()) };
        let block = match birth.blocks {
            Some(blocks) => blocks.take(layout),
            None => memory::allocate(layout),
        };
        let task = block.cast::<Self>();
        let header = Header::new(
            const { &Self::VTABLE },
            birth.home,
            birth.spawned_at,
            birth.count,
            birth.word,
        );
        let stage = UnsafeCell::new(Stage {
            future: ManuallyDrop::new(future),
        });
        // SAFETY: the block has the size and alignment of `Self`, and is ours alone.
        unsafe { task.write(Task { header, stage }) };
        // SAFETY: the pointer covers the whole block; who counts references is up to the caller's `birth`.
        unsafe { RawTask::new(task.cast()) }
    }

    fn stage(task: RawTask) -> *mut Stage<F> {
        task.stage_guard.with_mut(|_| ());
        let stage = task.as_ptr().cast::<Self>().as_ptr();
        // SAFETY: the vtable that led here was made for `Task<F>`, so this is a field of the task.
        unsafe { UnsafeCell::raw_get(&raw const (*stage).stage) }
    }

    /// Takes a task apart that was never shown to anyone.
    ///
    /// # Safety
    ///
    /// The caller is the only one that knows the task, and it is a `Task<F>` with its future inside.
    pub(super) unsafe fn dismantle(task: RawTask) -> F {
        let stage = Self::stage(task);
        // SAFETY: the caller's promise: the future is there, nobody else reads it, and the
        // memory is freed right after without dropping it.
        unsafe {
            let future = ptr::read(&raw const (*stage).future);
            task.free();
            ManuallyDrop::into_inner(future)
        }
    }

    /// # Safety
    ///
    /// `task` is a `Task<F>` with its future inside; the caller is its home and runs it.
    unsafe fn poll(task: RawTask) -> bool {
        let stage = Self::stage(task);
        // SAFETY: data and vtable belong together. Not dropped, so it needs no count: the
        // scheduler's reference outlives the poll, and clones count for themselves.
        let waker = ManuallyDrop::new(unsafe {
            Waker::new(task.as_ptr().as_ptr().cast_const().cast(), &WAKER_VTABLE)
        });
        let polled = catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: the future is there (the caller's promise), only its home touches it,
            // `RUNNING` keeps a second poll out, and it never moves until it is dropped in place.
            let future = unsafe { Pin::new_unchecked(&mut *(*stage).future) };
            future.poll(&mut Context::from_waker(&waker))
        }));
        let outcome = match polled {
            Ok(Poll::Pending) => return false,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(payload) => Err(panicked(task, payload)),
        };
        // SAFETY: as for the poll; the future is dropped once, here.
        unsafe { Self::finish(task, outcome) };
        true
    }

    /// # Safety
    ///
    /// As for `poll`.
    unsafe fn cancel(task: RawTask) {
        // SAFETY: passed on to the caller.
        unsafe { Self::finish(task, Err(JoinError::cancelled(task.spawned_at))) };
    }

    /// Puts `outcome` where the future was. A panic of the future's destructor replaces it.
    ///
    /// # Safety
    ///
    /// As for `poll`; the future is gone afterwards.
    unsafe fn finish(task: RawTask, outcome: Result<F::Output, JoinError>) {
        let stage = Self::stage(task);
        let mut outcome = outcome;
        if std::mem::needs_drop::<F>() {
            // SAFETY: the future is there, pinned until here, and not touched again.
            let dropped = catch_unwind(AssertUnwindSafe(|| unsafe {
                ManuallyDrop::drop(&mut (*stage).future)
            }));
            if let Err(payload) = dropped {
                outcome = after_panic_in_destructor(task, outcome, payload);
            }
        }
        // SAFETY: the stage is the home's until `finished` is published, and holds nothing now.
        unsafe { ptr::write(&raw mut (*stage).output, ManuallyDrop::new(outcome)) };
    }

    /// # Safety
    ///
    /// `task` is a `Task<F>`, complete, with its output inside, and nobody else will take it.
    unsafe fn drop_output(task: RawTask) {
        let stage = Self::stage(task);
        // SAFETY: the caller's promise.
        let dropped = catch_unwind(AssertUnwindSafe(|| unsafe {
            ManuallyDrop::drop(&mut (*stage).output)
        }));
        if let Err(payload) = dropped {
            drop(panicked(task, payload));
        }
    }
}

/// The panic of a destructor goes to the joiner, unless the future had paniced before.
#[cold]
fn after_panic_in_destructor<T>(
    task: RawTask,
    outcome: Result<T, JoinError>,
    payload: Box<dyn Any + Send>,
) -> Result<T, JoinError> {
    let second = panicked(task, payload);
    match outcome {
        Err(first) if first.is_panic() => Err(first),
        unwanted => {
            quietly(|| drop(unwanted));
            Err(second)
        }
    }
}

/// What the joiner is told of a panic, when the core has been told of it.
#[cold]
fn panicked(task: RawTask, payload: Box<dyn Any + Send>) -> JoinError {
    let error = JoinError::panicked(payload, task.spawned_at);
    panics::note(task, &error);
    error
}
