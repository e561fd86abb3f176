//! [`Pool`]: the buffers of one core that the kernel fills when data arrives.
//!
//! They are all of one size and are lent to the kernel as one *group* of provided buffers. The kernel takes one when
//! data arrives, so a connection that is silent holds none. What it has filled becomes a [`Chunk`]; when that is
//! dropped, the buffer is lent to the kernel again.
//!
//! ```text
//!            provide                    completion                  drop
//!   pool ---------------> kernel -----------------> Chunk ----------------> pool
//! ```
//!
//! # Whose order
//!
//! A completion names the first buffer that it has filled. If it covers several, the others are
//! those that were provided after that one; so each buffer remembers which one was provided next. That stays
//! true until the buffer is provided anew, in whatever order completions are looked at.
//!
//! # Running out
//!
//! The pool begins small and doubles whenever the kernel finds it empty, up to its bound. At the bound, a stream that wants to
//! receive does so into memory of its own; nobody waits for a buffer that somebody else keeps. The same
//! happens where the kernel has no provided buffers, or may not lock the memory of their list.
//!
//! # Who keeps the memory
//!
//! [`Shared`], counted: the pool and every chunk hold it. A chunk that is dropped away from its core leaves its
//! buffer on a list there, which the core takes in when it next receives; after the end of the core nobody
//! looks at that list, and the memory goes with the last chunk.
//!
//! The record of a buffer keeps the stream that has received into it, until the buffer is back: a stream that is closed
//! has given up what it had received itself, so it goes with the last chunk that was handed out.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::{Cell, RefCell};
use std::io;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Chunk;
use super::inlet::Receiver;
use crate::context::{self, Current};
use crate::driver::{Address, Outside};

/// How many buffers a pool begins with, if its bound is not lower.
pub(crate) const BUFFERS_FIRST: usize = 64;
/// The fewest buffers that are worth a group when the kernel refuses to lock more memory.
const ROOM_MIN: u16 = 8;
const ROOM_MAX: usize = 1 << 15;
const PAGE: usize = 4096;

/// How streams receive into memory of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReceiveSettings {
    /// Bytes.
    pub(crate) buffer_size: usize,
    /// How many buffers at most; 0: no pool.
    pub(crate) buffers_max: usize,
    /// How much memory of the pool, in bytes, one stream may hold before it stops receiving ahead.
    pub(crate) ahead_max: usize,
}

impl Default for ReceiveSettings {
    fn default() -> ReceiveSettings {
        ReceiveSettings {
            buffer_size: 4096,
            buffers_max: 4096,
            ahead_max: 256 << 10,
        }
    }
}

impl ReceiveSettings {
    /// Whether a stream that holds so many buffers has received far enough ahead.
    pub(crate) fn is_far_ahead(&self, held: usize) -> bool {
        held * self.buffer_size >= self.ahead_max
    }

    /// Whether a stream that has stopped receiving ahead may begin again.
    pub(crate) fn may_go_ahead(&self, held: usize) -> bool {
        held * self.buffer_size <= self.ahead_max / 4
    }
}

/// The part of a pool that its chunks keep alive.
pub(crate) struct Shared {
    /// Something is on the list.
    has_returned: AtomicBool,
    returned: Mutex<Vec<u16>>,
    /// The memory of the buffers. Only ever added to.
    segments: Mutex<Vec<Segment>>,
}

impl Shared {
    fn returned(&self) -> MutexGuard<'_, Vec<u16>> {
        // A panic elsewhere cannot leave a list of numbers half changed.
        self.returned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cold]
    fn leave(&self, id: u16) {
        self.returned().push(id);
        self.has_returned.store(true, Ordering::Release);
    }
}

/// Memory for some buffers.
struct Segment {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: it owns its memory, and does nothing but free it.
unsafe impl Send for Segment {}

impl Segment {
    fn new(bytes: usize) -> Segment {
        let layout = Layout::from_size_align(bytes.max(1), PAGE).expect("bounded by the settings");
        // SAFETY: the size is not zero.
        let start = NonNull::new(unsafe { alloc(layout) });
        let start = start.unwrap_or_else(|| handle_alloc_error(layout));
        Segment { start, layout }
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout. No buffer in it is in use: `Shared`, which owns the
        // segment, is kept by every lease and by the pool, which is leaked if the kernel still has buffers at its end.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}

/// One buffer, by its number.
struct Buffer {
    start: NonNull<u8>,
    /// Where it was provided last.
    place: u16,
    /// The buffer that was provided after this one.
    next: u16,
    /// Who received into it, while it is neither the kernel's nor unused.
    holder: Option<Rc<dyn Receiver>>,
}

/// The buffers that the kernel knows.
struct Group {
    id: u16,
    /// How many buffers it has room for.
    room: usize,
    buffers: Vec<Buffer>,
    provided_last: u16,
}

enum State {
    /// Nobody has asked yet.
    Unmade,
    /// The kernel does not want to.
    Refused,
    Made(Group),
}

/// The pool of one core.
pub(crate) struct Pool {
    settings: ReceiveSettings,
    shared: Arc<Shared>,
    state: RefCell<State>,
    leased: Cell<usize>,
    starvations: Cell<u64>,
    has_multishot: Cell<bool>,
}

/// How a stream may receive now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) group: u16,
    pub(crate) multishot: bool,
    pub(crate) bundle: bool,
}

thread_local! {
    static POOL: Current<Pool> = const { Current::none() };
}

/// Calls `f` with the pool of the core this thread is running; `None` outside a runtime.
pub(crate) fn with<R>(f: impl FnOnce(&Pool) -> R) -> Option<R> {
    POOL.with(|current| current.with(f))
}

/// Makes `pool` current on this thread and returns the one before.
pub(crate) fn replace(pool: Option<Rc<Pool>>) -> Option<Rc<Pool>> {
    POOL.with(|current| current.replace(pool))
}

/// The buffer of a chunk that is gone.
pub(super) fn give_back(shared: &Arc<Shared>, id: u16) {
    let is_home = with(|pool| Arc::ptr_eq(&pool.shared, shared) && pool.recycle(id));
    if is_home != Some(true) {
        shared.leave(id);
    }
}

impl Pool {
    pub(crate) fn new(settings: ReceiveSettings) -> Pool {
        Pool {
            settings,
            shared: Arc::new(Shared {
                has_returned: AtomicBool::new(false),
                returned: Mutex::default(),
                segments: Mutex::default(),
            }),
            state: RefCell::new(State::Unmade),
            leased: Cell::new(0),
            starvations: Cell::new(0),
            has_multishot: Cell::new(true),
        }
    }

    pub(crate) fn settings(&self) -> ReceiveSettings {
        self.settings
    }

    /// Buffers that exist.
    pub(crate) fn total(&self) -> usize {
        self.group(|group| group.buffers.len()).unwrap_or(0)
    }

    /// Buffers that the kernel has filled and nobody has given back.
    pub(crate) fn leased(&self) -> usize {
        self.leased.get() - self.shared.returned().len()
    }

    pub(crate) fn starvations(&self) -> u64 {
        self.starvations.get()
    }

    fn group<R>(&self, f: impl FnOnce(&mut Group) -> R) -> Option<R> {
        match &mut *self.state.borrow_mut() {
            State::Made(group) => Some(f(group)),
            State::Unmade | State::Refused => None,
        }
    }

    /// What a stream can receive into; `None` if only memory of its own is left.
    pub(crate) fn offer(&self) -> Option<Offer> {
        self.take_in();
        if matches!(&*self.state.borrow(), State::Unmade) {
            self.make();
        }
        let (id, total) = self.group(|group| (group.id, group.buffers.len()))?;
        if self.leased.get() >= total && !self.grow() {
            return None;
        }
        let capabilities = |core: &context::Core| {
            let driver = core.driver.borrow();
            let capabilities = driver.capabilities();
            (capabilities.receive_multishot, capabilities.receive_bundle)
        };
        let (multishot, bundle) = context::with(capabilities)?;
        Some(Offer {
            group: id,
            multishot: multishot && self.has_multishot.get(),
            bundle,
        })
    }

    /// The kernel does not know the multishot receive after all.
    pub(crate) fn lacks_multishot(&self) {
        self.has_multishot.set(false);
    }

    /// The kernel has found no buffer. True if there are more now.
    pub(crate) fn starved(&self) -> bool {
        self.starvations.set(self.starvations.get() + 1);
        // Another stream may have found it empty first, and had it grow.
        self.take_in() || self.leased.get() < self.total() || self.grow()
    }

    /// Takes what a completion says the kernel has filled, `len` bytes beginning with the buffer `first`, and
    /// hands it to the inlet of `receiver`. A buffer that the kernel took without filling it is recycled.
    pub(crate) fn receive(&self, first: u16, len: usize, receiver: &Rc<dyn Receiver>) {
        self.take_in();
        let inlet = receiver.inlet();
        let size = self.settings.buffer_size;
        let (mut id, mut left) = (first, len);
        loop {
            let taken = self.group(|group| {
                let buffer = &mut group.buffers[usize::from(id)];
                let length = filled_at_most(group.id, buffer.place, id).unwrap_or(size);
                debug_assert!(buffer.holder.is_none(), "buffer {id} was filled twice");
                buffer.holder = Some(receiver.clone());
                (buffer.start, buffer.next, length.min(size))
            });
            let (start, next, length) = taken.expect("buffers come from the group");
            let share = left.min(length);
            left -= share;
            self.leased.set(self.leased.get() + 1);
            inlet.hold();
            // SAFETY: the completion says that the kernel has filled so much of this buffer and let go of it;
            // nobody else has it until it is given back, which the holder in its record shows.
            let chunk = unsafe { Chunk::lease(start, share as u32, self.shared.clone(), id) };
            inlet.push(chunk);
            if left == 0 {
                return;
            }
            id = next;
        }
    }

    /// Lends a buffer that came back to the kernel again. False if that cannot be done now.
    fn recycle(&self, id: u16) -> bool {
        let provided = context::with(|core| {
            let Ok(mut driver) = core.driver.try_borrow_mut() else {
                return None;
            };
            self.group(|group| {
                let holder = group.buffers[usize::from(id)].holder.take();
                group.provide(&mut driver, id, self.settings.buffer_size);
                holder
            })
        });
        let Some(Some(holder)) = provided else {
            return false;
        };
        self.leased.set(self.leased.get() - 1);
        if let Some(holder) = holder {
            holder.inlet().let_go();
        }
        true
    }

    /// Takes in what came back from elsewhere. True if anything did.
    fn take_in(&self) -> bool {
        if !self.shared.has_returned.load(Ordering::Acquire) {
            return false;
        }
        self.shared.has_returned.store(false, Ordering::Relaxed);
        let returned = std::mem::take(&mut *self.shared.returned());
        for id in &returned {
            if !self.recycle(*id) {
                self.shared.leave(*id);
            }
        }
        !returned.is_empty()
    }

    #[cold]
    fn make(&self) {
        let made = context::with(|core| {
            let mut driver = core.driver.borrow_mut();
            if self.settings.buffers_max == 0 || !driver.capabilities().provided_buffers {
                return Ok(State::Refused);
            }
            match add_group(&mut driver, self.settings.buffers_max) {
                Ok((id, room)) => Ok(State::Made(Group {
                    id,
                    room: usize::from(room).min(self.settings.buffers_max),
                    buffers: Vec::new(),
                    provided_last: 0,
                })),
                Err(error) => Err(error),
            }
        });
        let made = made.unwrap_or(Ok(State::Unmade)).unwrap_or_else(|error| {
            super::locked::warn(&error);
            State::Refused
        });
        self.state.replace(made);
        self.grow();
    }

    /// Doubles the number of buffers. False at the bound.
    fn grow(&self) -> bool {
        let size = self.settings.buffer_size;
        let grown = self.group(|group| {
            let total = group.buffers.len();
            let more = total.max(BUFFERS_FIRST).min(group.room - total);
            if more == 0 {
                return false;
            }
            let segment = Segment::new(more * size);
            context::with(|core| {
                let mut driver = core.driver.borrow_mut();
                for index in 0..more {
                    // SAFETY: the segment has room for `more` buffers.
                    let start = unsafe { segment.start.add(index * size) };
                    group.add(&mut driver, start, size);
                }
            });
            let segments = self.shared.segments.lock();
            segments
                .unwrap_or_else(PoisonError::into_inner)
                .push(segment);
            true
        });
        grown.unwrap_or(false)
    }
}

impl Group {
    fn add(&mut self, driver: &mut Outside, start: NonNull<u8>, size: usize) {
        let id = self.buffers.len() as u16;
        self.buffers.push(Buffer {
            start,
            place: 0,
            next: id,
            holder: None,
        });
        self.provide(driver, id, size);
    }

    fn provide(&mut self, driver: &mut Outside, id: u16, size: usize) {
        self.buffers[usize::from(self.provided_last)].next = id;
        self.provided_last = id;
        let address = Address::of_mut(self.buffers[usize::from(id)].start.as_ptr());
        self.buffers[usize::from(id)].place =
            driver.provide_buffer(self.id, id, address, size as u32);
    }
}

/// How much of a buffer the kernel may have filled, if that is known.
fn filled_at_most(group: u16, place: u16, id: u16) -> Option<usize> {
    let length = context::with(|core| core.driver.borrow().provided_length(group, place, id));
    let length = length.flatten().map(|length| length as usize);
    length.filter(|length| *length > 0)
}

/// A group with room for `count` buffers, or for as many as the kernel lets us lock memory for.
fn add_group(driver: &mut Outside, count: usize) -> io::Result<(u16, u16)> {
    let mut room = count.next_power_of_two().min(ROOM_MAX) as u16;
    loop {
        match driver.add_buffer_group(room) {
            Ok(group) => return Ok((group, room)),
            Err(error) if error.raw_os_error() == Some(libc::ENOMEM) && room > ROOM_MIN => {
                room /= 2;
            }
            Err(error) => return Err(error),
        }
    }
}
