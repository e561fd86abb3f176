//! [`Header`]: the part of a task that does not depend on its future.

use std::alloc::Layout;
use std::fmt;
use std::ops::Deref;
use std::panic::Location;
use std::ptr::NonNull;
use std::task::Waker;

use super::memory::Blocks;
use super::remote::{Remote, Word};
use super::waker::Waiter;
use crate::cores::{CoreId, Deliver, Node};
#[cfg(feature = "console")]
use crate::primitives::AtomicU64;
use crate::primitives::{AtomicBool, AtomicPtr, Cell, LeakCheck, Ordering, UnsafeCell};

// The bits of `Header::state`. Home only.

/// In the run queue or the LIFO slot; or on its way there from birth; or running and woken
/// meanwhile. Never with `COMPLETE`.
pub(super) const SCHEDULED: u16 = 1;
/// Its future is being polled or dropped. A main task always runs: the queue never sees it.
pub(super) const RUNNING: u16 = 1 << 1;
/// The future is gone; the output is there until the join handle has taken or dropped it.
pub(super) const COMPLETE: u16 = 1 << 2;
/// The future is to be dropped instead of polled.
pub(super) const ABORTED: u16 = 1 << 3;
/// The join handle is gone: the output is dropped at once.
pub(super) const DETACHED: u16 = 1 << 4;
/// The join handle waits on another core.
pub(super) const WATCHED: u16 = 1 << 5;
/// Its scheduler has a span for it.
pub(super) const TRACED: u16 = 1 << 6;
/// Of the class [`Class::Latency`](super::Class). Set before anybody knows the task; stays.
pub(super) const LATENCY: u16 = 1 << 7;
/// Of the class [`Class::Background`](super::Class). Set before anybody knows the task; stays.
pub(super) const BACKGROUND: u16 = 1 << 8;

/// What depends on the type of the future. The functions are for the home only and catch
/// every panic of user code.
#[derive(Debug)]
#[repr(C)]
pub(super) struct VTable {
    /// MUST be the first field: the node of a task leads to it. The same for all tasks.
    pub(super) deliver: Deliver,
    /// Polls the future. True: it is gone and the output is in its place.
    pub(super) poll: unsafe fn(RawTask) -> bool,
    /// Drops the future and puts a [`JoinError`](super::JoinError) in its place.
    pub(super) cancel: unsafe fn(RawTask),
    /// Drops the output in place.
    pub(super) drop_output: unsafe fn(RawTask),
    /// Where the output is, counted in bytes from the header.
    pub(super) output_offset: usize,
    pub(super) layout: Layout,
    /// Where its core keeps the memory when the task is gone.
    pub(super) class: usize,
}

/// Who may touch which field when: see the comment at the top of the [module](super).
#[repr(C)]
pub(crate) struct Header {
    /// MUST be the first field: an inbox knows the task by the address of its node.
    pub(super) node: Node,
    home: CoreId,
    pub(super) spawned_at: &'static Location<'static>,

    pub(super) count: Cell<u64>,
    pub(super) queue_next: Cell<Option<RawTask>>,
    pub(super) list_previous: Cell<Option<RawTask>>,
    pub(super) list_next: Cell<Option<RawTask>>,
    pub(super) joiner: UnsafeCell<Option<Waiter>>,
    /// When it came to its home, in ticks of its [`Times`](crate::observe::Times).
    pub(super) spawned: Cell<u32>,
    pub(super) polls: Cell<u32>,
    pub(super) state: Cell<u16>,
    /// The one thing the home publishes about its own part.
    pub(super) finished: AtomicBool,
    /// The home knows that the join handle waits elsewhere. The handle's own.
    pub(super) watched: Cell<bool>,

    /// The number of its span, or 0. Set when it comes to its home; read anywhere.
    #[cfg(feature = "console")]
    pub(super) console: AtomicU64,

    pub(super) remote: Remote,
    pub(super) remote_joiner: AtomicPtr<Waker>,

    /// Stands for future and output behind the header: accessed whenever they are, so that
    /// loom sees a race for them. Nothing without loom.
    pub(super) stage_guard: UnsafeCell<()>,
    _leak_check: LeakCheck,
}

impl Header {
    pub(super) fn new(
        vtable: &'static VTable,
        home: CoreId,
        spawned_at: &'static Location<'static>,
        count: u64,
        word: Word,
    ) -> Header {
        Header {
            // SAFETY: the table is there for ever, and begins with such a function.
            node: unsafe { Node::new(NonNull::from(vtable).cast()) },
            home,
            spawned: Cell::new(0),
            spawned_at,
            polls: Cell::new(0),
            state: Cell::new(SCHEDULED),
            count: Cell::new(count),
            queue_next: Cell::new(None),
            list_previous: Cell::new(None),
            list_next: Cell::new(None),
            joiner: UnsafeCell::new(None),
            #[cfg(feature = "console")]
            console: AtomicU64::new(0),
            remote: Remote::new(word),
            finished: AtomicBool::new(false),
            watched: Cell::new(false),
            remote_joiner: AtomicPtr::new(std::ptr::null_mut()),
            stage_guard: UnsafeCell::new(()),
            _leak_check: LeakCheck::new(),
        }
    }

    #[inline(always)]
    pub(super) fn vtable(&self) -> &'static VTable {
        // SAFETY: `new` has made the node with a pointer to a whole table.
        unsafe { self.node.table().cast().as_ref() }
    }

    #[inline(always)]
    pub(super) fn home(&self) -> CoreId {
        self.home
    }

    pub(super) fn has(&self, bits: u16) -> bool {
        self.state.get() & bits != 0
    }

    /// True for one that `block_on` has: it always runs, and no queue has ever had it. Home only.
    pub(super) fn is_main(&self) -> bool {
        self.has(RUNNING) && self.polls.get() == 0
    }

    pub(super) fn set(&self, bits: u16) {
        self.state.set(self.state.get() | bits);
    }

    pub(super) fn clear(&self, bits: u16) {
        self.state.set(self.state.get() & !bits);
    }

    /// True once the output is there, or was. Anywhere.
    pub(super) fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Acquire)
    }

    /// Takes the waker out that a joiner elsewhere left. Anywhere.
    pub(super) fn take_remote_joiner(&self) -> Option<Box<Waker>> {
        // Acquire: the waker's content. Release: the joiner that exchanges it next sees
        // that the task is finished (situation 8).
        let waker = self
            .remote_joiner
            .swap(std::ptr::null_mut(), Ordering::AcqRel);
        // SAFETY: only `leave_remote_joiner` stores pointers, leaked from boxes; the exchange made it ours.
        NonNull::new(waker).map(|waker| unsafe { Box::from_raw(waker.as_ptr()) })
    }

    /// The same for the join handle, the only one that leaves wakers: usually it knows that it
    /// left none, and pays one load.
    pub(super) fn take_remote_joiner_if_any(&self) -> Option<Box<Waker>> {
        if self.remote_joiner.load(Ordering::Relaxed).is_null() {
            return None;
        }
        self.take_remote_joiner()
    }

    /// Leaves a waker for the home; returns the one that was there. By the join handle only.
    pub(super) fn leave_remote_joiner(&self, waker: Box<Waker>) -> Option<Box<Waker>> {
        let old = self
            .remote_joiner
            .swap(Box::into_raw(waker), Ordering::AcqRel);
        // SAFETY: as in `take_remote_joiner`.
        NonNull::new(old).map(|old| unsafe { Box::from_raw(old.as_ptr()) })
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Only what any thread may read.
        f.debug_struct("Task")
            .field("home", &self.home())
            .field("spawned_at", &self.spawned_at)
            .field("finished", &self.is_finished())
            .finish_non_exhaustive()
    }
}

/// A task, without a count of its own: whoever has one knows a reference that outlives it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct RawTask(NonNull<Header>);

impl RawTask {
    /// # Safety
    ///
    /// - `header` points to the whole of a task made by `Task::allocate`.
    /// - It is used only as long as somebody's reference (or the flag `QUEUED`) keeps the task alive.
    pub(super) unsafe fn new(header: NonNull<Header>) -> RawTask {
        RawTask(header)
    }

    pub(super) fn as_ptr(self) -> NonNull<Header> {
        self.0
    }

    /// Where the output is once the task is complete.
    pub(super) fn output(self) -> *mut () {
        // SAFETY: the offset is that of a field of the allocation `self` points to.
        unsafe { self.0.byte_add(self.vtable().output_offset) }
            .cast()
            .as_ptr()
    }

    /// Gives the memory back to the allocator. Anywhere.
    ///
    /// # Safety
    ///
    /// There is no reference left, the task is in no queue and no list, future and output are gone.
    pub(super) unsafe fn free(self) {
        let layout = self.vtable().layout;
        // SAFETY: nobody else can reach the task; `Task::allocate` took a block of this layout.
        unsafe {
            self.0.drop_in_place();
            std::alloc::dealloc(self.0.as_ptr().cast(), layout);
        }
    }

    /// Gives the memory to the next task of this core.
    ///
    /// # Safety
    ///
    /// As for `free`.
    #[inline(always)]
    pub(super) unsafe fn free_into(self, blocks: &Blocks) {
        let vtable = self.vtable();
        // SAFETY: as in `free`.
        unsafe {
            self.0.drop_in_place();
            blocks.give_back(self.0.cast(), vtable.layout, vtable.class);
        }
    }
}

impl Deref for RawTask {
    type Target = Header;

    #[inline(always)]
    fn deref(&self) -> &Header {
        // SAFETY: the promise of `new`. Shared references to a header may exist on several
        // threads: each field has its own rule.
        unsafe { self.0.as_ref() }
    }
}

impl fmt::Debug for RawTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
