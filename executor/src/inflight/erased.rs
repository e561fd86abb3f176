//! [`Erased`]: an operation of any kind, in 56 bytes and a table of its functions.

use std::collections::VecDeque;
use std::mem::{ManuallyDrop, MaybeUninit, align_of, size_of};

use super::datagram::Datagram;
use super::op::{Op, Orphan, Step};
use crate::driver::{Completion, Operation, OwnedDescriptor};
use crate::observe::OperationKind;

/// Space for an operation inside its slot. Larger ones are boxed.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Inline(MaybeUninit<[u8; 56]>);

/// The functions of one kind of operation.
struct Table {
    kind: Option<OperationKind>,
    repeats: unsafe fn(*const Inline, i32) -> bool,
    operation: unsafe fn(*mut Inline) -> Operation,
    take_buffers: unsafe fn(*mut Inline, Completion),
    advance: unsafe fn(*mut Inline, &mut Completion) -> Step,
    has_begun: unsafe fn(*const Inline) -> bool,
    orphaned: unsafe fn(*mut Inline) -> Orphan,
    resumes: unsafe fn(*mut Inline, Completion) -> bool,
    salvage: unsafe fn(*const Inline, Completion, &mut VecDeque<u8>),
    datagram: unsafe fn(*const Inline, Completion) -> Option<Datagram>,
    leftover: unsafe fn(*const Inline, Completion) -> Option<OwnedDescriptor>,
    drop: unsafe fn(*mut Inline),
}

/// Owns an operation whose type is known only to its future.
///
/// Invariant: `space` holds a valid `T` (or a `Box<T>`, see [`is_inline`]) of the
/// type that `table` was made for; [`Erased::new`] makes it so, and the only way to take it out
/// again consumes the value.
pub(super) struct Erased {
    table: &'static Table,
    space: Inline,
}

/// True if `T` lives in the slot itself.
pub(super) const fn is_inline<T>() -> bool {
    size_of::<T>() <= size_of::<Inline>() && align_of::<T>() <= align_of::<Inline>()
}

/// The operation in `space`.
///
/// # Safety
///
/// `space` holds a valid `T` as [`Erased::new`] left it, borrowed for `'a`.
unsafe fn get<'a, T>(space: *const Inline) -> &'a T {
    if is_inline::<T>() {
        // SAFETY: the caller says that a `T` is there; `is_inline` says that it fits.
        unsafe { &*space.cast::<T>() }
    } else {
        // SAFETY: the caller says that a `T` is there, so `new` has put a box of it.
        unsafe { &*space.cast::<Box<T>>() }
    }
}

/// As [`get`], to change it.
///
/// # Safety
///
/// As [`get`], and nothing else uses it during `'a`.
unsafe fn get_mut<'a, T>(space: *mut Inline) -> &'a mut T {
    if is_inline::<T>() {
        // SAFETY: as in `get`, and the caller has it alone.
        unsafe { &mut *space.cast::<T>() }
    } else {
        // SAFETY: as in `get`, and the caller has it alone.
        unsafe { &mut *space.cast::<Box<T>>() }
    }
}

/// Moves the operation out of `space`.
///
/// # Safety
///
/// As [`get_mut`]; afterwards `space` holds nothing.
unsafe fn read<T>(space: *mut Inline) -> T {
    if is_inline::<T>() {
        // SAFETY: the caller gives up the `T` in `space`.
        unsafe { space.cast::<T>().read() }
    } else {
        // SAFETY: the caller gives up the box in `space`.
        *unsafe { space.cast::<Box<T>>().read() }
    }
}

struct TableOf<T>(T);

impl<T: Op> TableOf<T> {
    // SAFETY (all closures below): an `Erased` calls the functions of its table only with its own space,
    // which by its invariant holds a `T`; `drop` is called once, by `Erased::drop`.
    const TABLE: Table = Table {
        kind: T::KIND,
        // SAFETY: see above.
        repeats: |space, errno| unsafe { get::<T>(space) }.repeats(errno),
        // SAFETY: see above.
        operation: |space| unsafe { get_mut::<T>(space) }.operation(),
        // SAFETY: see above.
        take_buffers: |space, completion| unsafe { get_mut::<T>(space) }.take_buffers(completion),
        // SAFETY: see above.
        advance: |space, completion| unsafe { get_mut::<T>(space) }.advance(completion),
        // SAFETY: see above.
        has_begun: |space| unsafe { get::<T>(space) }.has_begun(),
        // SAFETY: see above.
        orphaned: |space| unsafe { get_mut::<T>(space) }.orphaned(),
        // SAFETY: see above.
        resumes: |space, completion| unsafe { get_mut::<T>(space) }.resumes(completion),
        salvage: |space, completion, queue| {
            // SAFETY: see above.
            unsafe { get::<T>(space) }.salvage(completion, queue);
        },
        // SAFETY: see above.
        datagram: |space, completion| unsafe { get::<T>(space) }.datagram(completion),
        // SAFETY: see above.
        leftover: |space, completion| unsafe { get::<T>(space) }.leftover(completion),
        // SAFETY: see above.
        drop: |space| drop(unsafe { read::<T>(space) }),
    };
}

impl Erased {
    #[inline]
    pub(super) fn new<T: Op>(op: T) -> Erased {
        let mut space = Inline(MaybeUninit::uninit());
        let place: *mut Inline = &raw mut space;
        if is_inline::<T>() {
            // SAFETY: `is_inline` says that it fits and is aligned.
            unsafe { place.cast::<T>().write(op) };
        } else {
            // SAFETY: a box is a pointer: it fits and is aligned.
            unsafe { place.cast::<Box<T>>().write(Box::new(op)) };
        }
        Erased {
            table: &const { TableOf::<T>::TABLE },
            space,
        }
    }

    /// Moves `op` to where it is to stay, straight and not by way of an `Erased` of its own, and asks it what it is.
    #[inline]
    pub(super) fn put<T: Op>(place: &mut Option<Erased>, op: T) -> Operation {
        if !is_inline::<T>() {
            return place.insert(Erased::new(op)).operation();
        }
        // Only the table, until the space is filled: nothing in between can panic.
        let space = &raw mut place
            .insert(Erased {
                table: &const { TableOf::<T>::TABLE },
                space: Inline(MaybeUninit::uninit()),
            })
            .space;
        // SAFETY: `is_inline` says that it fits and is aligned; `space` points to it at its place.
        unsafe { space.cast::<T>().write(op) };
        // SAFETY: a `T` has just been put there.
        unsafe { get_mut::<T>(space) }.operation()
    }

    /// Moves the operation out of where it is, which is empty afterwards. Nothing else of
    /// the space is copied: this is the hot way out of a slot.
    ///
    /// # Safety
    ///
    /// It was made by [`Erased::new`] from a `T`.
    #[inline]
    pub(super) unsafe fn take<T: Op>(place: &mut Option<Erased>) -> Option<T> {
        let erased = place.as_mut()?;
        // SAFETY: the caller names the type. What is left behind is overwritten without being dropped.
        let op = unsafe { read::<T>(&raw mut erased.space) };
        // SAFETY: `place` is valid, and what it held has just been moved out.
        unsafe { std::ptr::write(place, None) };
        Some(op)
    }

    /// The operation itself.
    ///
    /// # Safety
    ///
    /// It was made by [`Erased::new`] from a `T`.
    pub(super) unsafe fn into_inner<T: Op>(self) -> T {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: the caller names the type; `this` is not dropped.
        unsafe { read::<T>(&raw mut this.space) }
    }

    /// See [`Op::KIND`].
    #[inline]
    pub(super) fn kind(&self) -> Option<OperationKind> {
        self.table.kind
    }

    pub(super) fn repeats(&self, errno: i32) -> bool {
        // SAFETY: the invariant of `Erased`.
        unsafe { (self.table.repeats)(&raw const self.space, errno) }
    }

    /// See [`Op::operation`]; the operation stays where it is now until it is taken out.
    pub(super) fn operation(&mut self) -> Operation {
        // SAFETY: the invariant of `Erased`.
        unsafe { (self.table.operation)(&raw mut self.space) }
    }

    pub(super) fn take_buffers(&mut self, completion: Completion) {
        // SAFETY: the invariant of `Erased`.
        unsafe { (self.table.take_buffers)(&raw mut self.space, completion) }
    }

    pub(super) fn advance(&mut self, completion: &mut Completion) -> Step {
        // SAFETY: the invariant of `Erased`.
        unsafe { (self.table.advance)(&raw mut self.space, completion) }
    }

    pub(super) fn has_begun(&self) -> bool {
        // SAFETY: the invariant of `Erased`.
        unsafe { (self.table.has_begun)(&raw const self.space) }
    }

    pub(super) fn orphaned(&mut self) -> Orphan {
        // SAFETY: the invariant of `Erased`.
        unsafe { (self.table.orphaned)(&raw mut self.space) }
    }

    pub(super) fn resumes(&mut self, completion: Completion) -> bool {
        // SAFETY: the invariant of `Erased`.
        unsafe { (self.table.resumes)(&raw mut self.space, completion) }
    }

    pub(super) fn salvage(&self, completion: Completion, queue: &mut VecDeque<u8>) {
        // SAFETY: the invariant of `Erased`.
        unsafe { (self.table.salvage)(&raw const self.space, completion, queue) }
    }

    pub(super) fn datagram(&self, completion: Completion) -> Option<Datagram> {
        // SAFETY: the invariant of `Erased`.
        unsafe { (self.table.datagram)(&raw const self.space, completion) }
    }

    pub(super) fn leftover(&self, completion: Completion) -> Option<OwnedDescriptor> {
        // SAFETY: the invariant of `Erased`.
        unsafe { (self.table.leftover)(&raw const self.space, completion) }
    }
}

impl Drop for Erased {
    fn drop(&mut self) {
        // SAFETY: the invariant of `Erased`, and this is the only drop.
        unsafe { (self.table.drop)(&raw mut self.space) }
    }
}
