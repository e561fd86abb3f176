//! [`Arena`]: one region of memory for each core that the kernel knows, and what is carved out of it.
//!
//! The region is registered once, as a *fixed buffer*: its pages are locked, and reads and writes that use it spare the
//! kernel looking them up. It is made when the core first asks for a buffer. Where the kernel does not want to lock so much
//! (`RLIMIT_MEMLOCK`), and when the region is full, memory comes from the heap, and everything works as well.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::RefCell;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::buddy::{BLOCK_MIN, Block, Buddy};
use crate::context::{self, Current};
use crate::driver::Address;

const PAGE: usize = 4096;
/// The most that the kernel registers as one buffer.
pub(crate) const ARENA_MAX: usize = 1 << 30;

/// The memory of an arena: it lives as long as the core or any buffer in it.
pub(super) struct Region {
    start: NonNull<u8>,
    layout: Layout,
    /// Something is on the list.
    has_returned: AtomicBool,
    /// Blocks that were given back away from home.
    returned: Mutex<Vec<Block>>,
}

// SAFETY: it owns its memory, which it only frees; those who use parts of it have them alone.
unsafe impl Send for Region {}
// SAFETY: as above; the list has its lock.
unsafe impl Sync for Region {}

impl Region {
    fn new(size: usize) -> Region {
        let layout = Layout::from_size_align(size, PAGE).expect("at most 1 GiB");
        // SAFETY: the size is not zero.
        let start = NonNull::new(unsafe { alloc(layout) });
        Region {
            start: start.unwrap_or_else(|| handle_alloc_error(layout)),
            layout,
            has_returned: AtomicBool::new(false),
            returned: Mutex::default(),
        }
    }

    /// Where `block` begins.
    pub(super) fn address(&self, block: Block) -> NonNull<u8> {
        // SAFETY: blocks lie within the region.
        unsafe { self.start.add(block.offset) }
    }

    fn returned(&self) -> std::sync::MutexGuard<'_, Vec<Block>> {
        // A panic elsewhere cannot leave a list of numbers half changed.
        self.returned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout. Nobody has a part of it any more: every buffer keeps the
        // region, also those that the kernel still uses, which are leaked with their operations.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}

enum State {
    /// Nobody has asked yet.
    Unmade,
    /// Turned off, or the kernel does not want to.
    Refused,
    Made {
        region: Arc<Region>,
        /// The number under which the kernel knows the region.
        index: u16,
        buddy: Buddy,
    },
}

/// The arena of one core.
pub(crate) struct Arena {
    /// Bytes; 0: none.
    size: usize,
    state: RefCell<State>,
}

thread_local! {
    static ARENA: Current<Arena> = const { Current::none() };
}

fn with<R>(f: impl FnOnce(&Arena) -> R) -> Option<R> {
    ARENA.with(|current| current.with(f))
}

/// Makes `arena` current on this thread and returns the one before.
pub(crate) fn replace(arena: Option<Rc<Arena>>) -> Option<Rc<Arena>> {
    ARENA.with(|current| current.replace(arena))
}

/// A block of at least `size` bytes of the current core's arena, aligned to its own size or to a page, whichever is less.
pub(super) fn take(size: usize) -> Option<(Arc<Region>, Block)> {
    with(|arena| arena.take(size)).flatten()
}

/// The number of `region`, if it is the current core's.
pub(super) fn index(region: &Arc<Region>) -> Option<u16> {
    with(|arena| match &*arena.state.borrow() {
        State::Made {
            region: own, index, ..
        } if Arc::ptr_eq(own, region) => Some(*index),
        _ => None,
    })
    .flatten()
}

/// A buffer is gone; it may be anywhere.
pub(super) fn give_back(region: &Arc<Region>, block: Block) {
    let is_home = with(|arena| match &mut *arena.state.borrow_mut() {
        State::Made {
            region: own, buddy, ..
        } if Arc::ptr_eq(own, region) => {
            buddy.give_back(block);
            true
        }
        _ => false,
    });
    if is_home != Some(true) {
        region.returned().push(block);
        region.has_returned.store(true, Ordering::Release);
    }
}

impl Arena {
    /// An arena of `size` bytes, a power of two, or none if that is too small.
    pub(crate) fn new(size: usize) -> Arena {
        Arena {
            size,
            state: RefCell::new(State::Unmade),
        }
    }

    fn take(&self, size: usize) -> Option<(Arc<Region>, Block)> {
        if size > self.size || self.size < PAGE.max(BLOCK_MIN) {
            return None;
        }
        if matches!(&*self.state.borrow(), State::Unmade) {
            self.make();
        }
        let mut state = self.state.borrow_mut();
        let State::Made { region, buddy, .. } = &mut *state else {
            return None;
        };
        if region.has_returned.swap(false, Ordering::Acquire) {
            for block in std::mem::take(&mut *region.returned()) {
                buddy.give_back(block);
            }
        }
        buddy.take(size).map(|block| (region.clone(), block))
    }

    #[cold]
    fn make(&self) {
        let region = Region::new(self.size);
        let address = Address::of_mut(region.start.as_ptr());
        let registered = context::with(|core| {
            let mut driver = core.driver.borrow_mut();
            driver.register_buffer(address, self.size)
        });
        let state = match registered {
            Some(Ok(index)) => State::Made {
                region: Arc::new(region),
                index,
                buddy: Buddy::new(self.size),
            },
            Some(Err(error)) => {
                super::locked::warn(&error);
                State::Refused
            }
            None => State::Refused,
        };
        self.state.replace(state);
    }
}
