//! An allocator that keeps what is freed while it watches, filled with a pattern, so that
//! a write into freed memory is seen, the kernel's too, which no sanitizer sees.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicPtr, AtomicUsize, Ordering};

const PATTERN: u8 = 0xC5;
const KEPT_MAX: usize = 1 << 17;

static WATCHING: AtomicBool = AtomicBool::new(false);
static KEPT: AtomicUsize = AtomicUsize::new(0);
static BLOCKS: [AtomicPtr<u8>; KEPT_MAX] =
    [const { AtomicPtr::new(std::ptr::null_mut()) }; KEPT_MAX];
static SIZES: [AtomicUsize; KEPT_MAX] = [const { AtomicUsize::new(0) }; KEPT_MAX];
static LIVE: AtomicIsize = AtomicIsize::new(0);

/// To be installed with `#[global_allocator]`.
pub(crate) struct Canary;

// SAFETY: passes everything on to the system's allocator; what it keeps is never given out again.
unsafe impl GlobalAlloc for Canary {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: passed on to the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        if WATCHING.load(Ordering::Acquire) && keep(block, layout.size()) {
            return;
        }
        // SAFETY: passed on to the caller.
        unsafe { System.dealloc(block, layout) }
    }
}

fn keep(block: *mut u8, size: usize) -> bool {
    let place = KEPT.fetch_add(1, Ordering::AcqRel);
    if place >= KEPT_MAX {
        KEPT.store(KEPT_MAX, Ordering::Release);
        return false;
    }
    // SAFETY: the block was just freed by its owner and is not given to anybody else any more.
    unsafe { block.write_bytes(PATTERN, size) };
    SIZES[place].store(size, Ordering::Release);
    BLOCKS[place].store(block, Ordering::Release);
    true
}

/// From now on everything that is freed is kept.
pub(crate) fn watch() {
    WATCHING.store(true, Ordering::Release);
}

/// Stops keeping; panics if anything that was kept has changed. Returns how many blocks were kept.
pub(crate) fn check() -> usize {
    WATCHING.store(false, Ordering::Release);
    let kept = KEPT.load(Ordering::Acquire).min(KEPT_MAX);
    assert!(kept < KEPT_MAX, "more was freed than can be kept");
    for place in 0..kept {
        let (block, size) = (
            BLOCKS[place].load(Ordering::Acquire),
            SIZES[place].load(Ordering::Acquire),
        );
        if block.is_null() {
            continue;
        }
        // SAFETY: the block is kept, and so can be read for ever; volatile, as the kernel may write to it.
        let changed =
            (0..size).find(|&offset| unsafe { block.add(offset).read_volatile() } != PATTERN);
        assert!(
            changed.is_none(),
            "a freed block of {size} bytes was written to at {changed:?}"
        );
    }
    kept
}

/// Bytes that are allocated.
pub(crate) fn live_bytes() -> isize {
    LIVE.load(Ordering::Relaxed)
}
