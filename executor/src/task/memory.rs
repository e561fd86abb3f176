//! [`Blocks`]: memory of finished tasks, kept for the next ones of the same core.
//!
//! The general allocator is fast for one block at a time, and five times slower when tasks
//! come and go in hundreds. Every block is the allocator's own, with the layout that
//! [`rounded`] gives, so that whoever frees a task elsewhere simply gives it back there.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::ptr::NonNull;

/// Sizes are rounded up to multiples of this.
const STEP: usize = 64;
/// Larger tasks are not kept.
const LARGEST: usize = 1024;
const CLASSES: usize = LARGEST / STEP;
const ALIGN: usize = 16;
/// How many bytes of each size a core keeps at the most.
const KEPT_PER_CLASS: usize = 256 * 1024;

/// What to ask the allocator for to place something of `layout`.
pub(super) const fn rounded(layout: Layout) -> Layout {
    if layout.size() > LARGEST || layout.align() > ALIGN {
        return layout;
    }
    let size = layout.size().next_multiple_of(STEP);
    match Layout::from_size_align(size, ALIGN) {
        Ok(layout) => layout,
        Err(_) => unreachable!(),
    }
}

fn class_of(layout: Layout) -> Option<usize> {
    let kept = layout.align() == ALIGN && layout.size() <= LARGEST;
    kept.then(|| layout.size() / STEP - 1)
}

/// A free block: its first bytes lead to the next one.
struct Free {
    next: Option<NonNull<Free>>,
}

struct Class {
    first: Cell<Option<NonNull<Free>>>,
    length: Cell<usize>,
}

pub(crate) struct Blocks {
    classes: [Class; CLASSES],
}

impl Blocks {
    pub(crate) fn new() -> Blocks {
        Blocks {
            classes: [const {
                Class {
                    first: Cell::new(None),
                    length: Cell::new(0),
                }
            }; CLASSES],
        }
    }

    /// `layout` is a [`rounded`] one. The memory is not initialised.
    #[inline(always)]
    pub(super) fn take(&self, layout: Layout) -> NonNull<u8> {
        if let Some(class) = class_of(layout) {
            let class = &self.classes[class];
            if let Some(block) = class.first.get() {
                // SAFETY: every block in the list is ours alone and begins with a `Free`.
                class.first.set(unsafe { block.as_ref().next });
                class.length.set(class.length.get() - 1);
                return block.cast();
            }
        }
        allocate(layout)
    }

    /// # Safety
    ///
    /// `block` was allocated with `layout`, a [`rounded`] one, and nobody uses it any more.
    #[inline(always)]
    pub(super) unsafe fn give_back(&self, block: NonNull<u8>, layout: Layout) {
        if let Some(class) = class_of(layout) {
            let class = &self.classes[class];
            let length = class.length.get();
            if length * layout.size() < KEPT_PER_CLASS {
                let block = block.cast::<Free>();
                let next = class.first.replace(Some(block));
                // SAFETY: the block is free and large and aligned enough for a `Free`.
                unsafe { block.write(Free { next }) };
                class.length.set(length + 1);
                return;
            }
        }
        // SAFETY: the caller's promise.
        unsafe { dealloc(block.as_ptr(), layout) };
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        for (index, class) in self.classes.iter().enumerate() {
            let size = (index + 1) * STEP;
            while let Some(block) = class.first.get() {
                // SAFETY: as in `take`; the blocks of this class were allocated with this layout.
                unsafe {
                    class.first.set(block.as_ref().next);
                    let layout = Layout::from_size_align_unchecked(size, ALIGN);
                    dealloc(block.as_ptr().cast(), layout);
                }
            }
        }
    }
}

#[inline]
pub(super) fn allocate(layout: Layout) -> NonNull<u8> {
    // SAFETY: no task is of size zero: it has a header.
    let block = unsafe { alloc(layout) };
    NonNull::new(block).unwrap_or_else(|| handle_alloc_error(layout))
}
