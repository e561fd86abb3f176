//! [`Blocks`]: memory of finished tasks, kept for the next ones of the same core.
//!
//! The general allocator is fast for one block at a time, and five times slower when tasks
//! come and go in hundreds. Every block is the allocator's own, with the layout that
//! [`rounded`] gives, so that whoever frees a task elsewhere simply gives it back there.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::ptr::NonNull;

/// Sizes are rounded up to multiples of this, less [`BEFORE`].
const STEP: usize = 32;
/// What glibc's allocator keeps before each block. With that its blocks are multiples of [`ALIGN`], so that a size which is
/// one itself would cost another [`ALIGN`] bytes.
const BEFORE: usize = 8;
/// Larger tasks are not kept.
const LARGEST: usize = 1024 - BEFORE;
const CLASSES: usize = (LARGEST + BEFORE) / STEP;
const ALIGN: usize = 16;
/// How many bytes of each size a core keeps at the most.
const KEPT_PER_CLASS: usize = 256 * 1024;

/// What to ask the allocator for to place something of `layout`.
pub(super) const fn rounded(layout: Layout) -> Layout {
    if layout.size() > LARGEST || layout.align() > ALIGN {
        return layout;
    }
    let size = (layout.size() + BEFORE).next_multiple_of(STEP) - BEFORE;
    match Layout::from_size_align(size, ALIGN) {
        Ok(layout) => layout,
        Err(_) => unreachable!(),
    }
}

/// Which list blocks of a [`rounded`] layout are kept in; [`CLASSES`] or more: none.
pub(super) const fn class_of(layout: Layout) -> usize {
    if layout.align() == ALIGN && layout.size() <= LARGEST {
        (layout.size() + BEFORE) / STEP - 1
    } else {
        usize::MAX
    }
}

const fn size_of_class(class: usize) -> usize {
    (class + 1) * STEP - BEFORE
}

/// A free block: its first bytes lead to the next one.
struct Free {
    next: Option<NonNull<Free>>,
}

struct Class {
    first: Cell<Option<NonNull<Free>>>,
    /// How many more blocks may be kept.
    room: Cell<usize>,
}

pub(crate) struct Blocks {
    classes: [Class; CLASSES],
}

impl Blocks {
    pub(crate) fn new() -> Blocks {
        Blocks {
            classes: std::array::from_fn(|index| Class {
                first: Cell::new(None),
                room: Cell::new(KEPT_PER_CLASS / size_of_class(index)),
            }),
        }
    }

    /// `layout` is a [`rounded`] one. The memory is not initialised.
    #[inline(always)]
    pub(super) fn take(&self, layout: Layout) -> NonNull<u8> {
        if let Some(class) = self.classes.get(class_of(layout))
            && let Some(block) = class.first.get()
        {
            // SAFETY: every block in the list is ours alone and begins with a `Free`.
            class.first.set(unsafe { block.as_ref().next });
            class.room.set(class.room.get() + 1);
            return block.cast();
        }
        allocate(layout)
    }

    /// # Safety
    ///
    /// `block` was allocated with `layout`, a [`rounded`] one of this `class`, and nobody
    /// uses it any more.
    #[inline(always)]
    pub(super) unsafe fn give_back(&self, block: NonNull<u8>, layout: Layout, class: usize) {
        if let Some(class) = self.classes.get(class)
            && let Some(room) = class.room.get().checked_sub(1)
        {
            let block = block.cast::<Free>();
            let next = class.first.replace(Some(block));
            // SAFETY: the block is free and large and aligned enough for a `Free`.
            unsafe { block.write(Free { next }) };
            class.room.set(room);
            return;
        }
        // SAFETY: the caller's promise.
        unsafe { dealloc(block.as_ptr(), layout) };
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        for (index, class) in self.classes.iter().enumerate() {
            while let Some(block) = class.first.get() {
                // SAFETY: as in `take`; the blocks of this class were allocated with this layout.
                unsafe {
                    class.first.set(block.as_ref().next);
                    let layout = Layout::from_size_align_unchecked(size_of_class(index), ALIGN);
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

#[cfg(all(test, not(krug_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_used_again_for_a_task_of_about_the_same_size() {
        let blocks = Blocks::new();
        let small = rounded(Layout::from_size_align(130, 8).unwrap());
        let alike = rounded(Layout::from_size_align(150, 4).unwrap());
        assert_eq!(small, alike);
        let block = blocks.take(small);
        // SAFETY: just taken, with this layout.
        unsafe { blocks.give_back(block, small, class_of(small)) };
        assert_eq!(blocks.take(alike), block);
        // SAFETY: as above.
        unsafe { blocks.give_back(block, alike, class_of(alike)) };
    }

    #[test]
    fn what_is_too_large_or_too_aligned_is_not_kept() {
        for (size, align) in [(LARGEST + 1, 8), (64, 64)] {
            let layout = Layout::from_size_align(size, align).unwrap();
            assert_eq!(rounded(layout), layout);
            assert!(class_of(layout) >= CLASSES);
        }
        let largest = rounded(Layout::from_size_align(LARGEST, 8).unwrap());
        assert_eq!(class_of(largest), CLASSES - 1);
    }

    #[test]
    fn no_more_is_kept_than_the_bound_says() {
        let blocks = Blocks::new();
        let layout = rounded(Layout::from_size_align(LARGEST, 8).unwrap());
        let limit = KEPT_PER_CLASS / LARGEST;
        let taken: Vec<_> = (0..limit + 5).map(|_| blocks.take(layout)).collect();
        for block in taken {
            // SAFETY: each was taken with this layout.
            unsafe { blocks.give_back(block, layout, class_of(layout)) };
        }
        let class = &blocks.classes[class_of(layout)];
        assert_eq!(class.room.get(), 0);
        let mut kept = 0;
        let mut next = class.first.get();
        while let Some(block) = next {
            kept += 1;
            // SAFETY: kept blocks begin with a `Free`.
            next = unsafe { block.as_ref().next };
        }
        assert_eq!(kept, limit);
        let block = blocks.take(layout);
        assert_eq!(class.room.get(), 1, "what is in use leaves room");
        // SAFETY: as above.
        unsafe { blocks.give_back(block, layout, class_of(layout)) };
    }
}
