//! [`Post`]: the buffers into which the kernel receives datagrams ahead, and [`Inbox`], where each socket keeps what
//! has come for it.
//!
//! The buffers of a core are one group of provided buffers, all large enough for any UDP datagram: one that is too small
//! would cut it. What the kernel has filled is copied to the inbox of its socket at once, and the
//! buffer is lent to the kernel again: so a socket that nobody reads takes buffers from nobody.
//!
//! The kernel writes a header before each datagram: see `io_uring_prep_recvmsg_multishot(3)`.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::ptr::NonNull;

use crate::context;
use crate::driver::{Address, Completion, Name};
use crate::inflight::Datagram;

/// How many buffers the kernel has.
const BUFFERS: u16 = 32;
/// `io_uring_recvmsg_out`: the lengths of name, control data and payload, and flags, 4 bytes each.
const HEADER: usize = 16;
/// Room for header, name, and the longest datagram that UDP has, also with IPv6.
const BUFFER_SIZE: usize = HEADER + Name::CAPACITY + (1 << 16);
/// How many emptied datagrams an inbox keeps to be filled again, and up to what size.
const SPARE_MAX: usize = 32;
const SPARE_SIZE_MAX: usize = 2048;

/// The buffers of one core. Kept by every operation that receives into them.
pub(crate) struct Post {
    group: u16,
    start: NonNull<u8>,
}

impl Post {
    fn layout() -> Layout {
        Layout::from_size_align(usize::from(BUFFERS) * BUFFER_SIZE, 4096).expect("2 MiB")
    }

    /// Makes a group of the core this thread is running.
    ///
    /// # Errors
    ///
    /// What the kernel answers, if it has no such groups or may not lock the memory of their list; also
    /// outside a runtime.
    pub(crate) fn new() -> io::Result<Post> {
        let group = context::with(|core| core.driver.borrow_mut().add_buffer_group(BUFFERS))
            .unwrap_or_else(|| Err(io::ErrorKind::Unsupported.into()))?;
        // SAFETY: the size is not zero.
        let start = NonNull::new(unsafe { alloc_zeroed(Post::layout()) });
        let start = start.unwrap_or_else(|| handle_alloc_error(Post::layout()));
        let post = Post { group, start };
        (0..BUFFERS).for_each(|id| post.provide(id));
        Ok(post)
    }

    pub(crate) fn group(&self) -> u16 {
        self.group
    }

    fn buffer(&self, id: u16) -> NonNull<u8> {
        assert!(id < BUFFERS, "a buffer that was never provided: {id}");
        // SAFETY: within the allocation, as just checked.
        unsafe { self.start.add(usize::from(id) * BUFFER_SIZE) }
    }

    fn provide(&self, id: u16) {
        let address = Address::of_mut(self.buffer(id).as_ptr());
        context::with(|core| {
            let mut driver = core.driver.borrow_mut();
            driver.provide_buffer(self.group, id, address, BUFFER_SIZE as u32);
        });
    }

    /// Puts what the kernel has received into `inbox`, and lends it the buffer again, which it may also have taken for
    /// nothing.
    pub(crate) fn sort(&self, completion: Completion, inbox: &Inbox) {
        let Some(id) = completion.buffer else { return };
        if let Ok(filled @ 1..) = usize::try_from(completion.result) {
            let filled = filled.min(BUFFER_SIZE);
            // SAFETY: the completion says that the kernel has filled so much of this buffer and let go of it; it is
            // lent again only below.
            let bytes = unsafe { std::slice::from_raw_parts(self.buffer(id).as_ptr(), filled) };
            inbox.receive(bytes);
        }
        self.provide(id);
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout. Every operation that receives here keeps the post, so none is in
        // flight, and without one the kernel does not touch the buffers.
        unsafe { dealloc(self.start.as_ptr(), Post::layout()) }
    }
}

/// What a socket has received and nobody has asked for yet, in order: datagrams, and errors (their numbers), which the
/// kernel reports only once.
#[derive(Default)]
pub(crate) struct Inbox {
    queue: RefCell<VecDeque<Result<Datagram, i32>>>,
    /// Bytes in the queue.
    bytes: Cell<usize>,
    spare: RefCell<Vec<Vec<u8>>>,
}

impl Inbox {
    pub(crate) fn len(&self) -> usize {
        self.queue.borrow().len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.get()
    }

    pub(crate) fn push(&self, item: Result<Datagram, i32>) {
        let bytes = item.as_ref().map_or(0, |datagram| datagram.bytes.len());
        self.bytes.set(self.bytes.get() + bytes);
        self.queue.borrow_mut().push_back(item);
    }

    /// The first one, as `look` sees it. It stays if it is only looked at (an error is gone all the same).
    pub(crate) fn first<R>(
        &self,
        stays: bool,
        look: impl FnOnce(&Datagram) -> R,
    ) -> Option<Result<R, i32>> {
        let mut queue = self.queue.borrow_mut();
        let datagram = match queue.pop_front()? {
            Ok(datagram) => datagram,
            Err(errno) => return Some(Err(errno)),
        };
        let seen = look(&datagram);
        if stays {
            queue.push_front(Ok(datagram));
        } else {
            self.bytes.set(self.bytes.get() - datagram.bytes.len());
            self.keep(datagram.bytes);
        }
        Some(Ok(seen))
    }

    fn keep(&self, mut bytes: Vec<u8>) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE_MAX && bytes.capacity() <= SPARE_SIZE_MAX {
            bytes.clear();
            spare.push(bytes);
        }
    }

    /// Everything, and the memory with it.
    pub(crate) fn take(&self) -> VecDeque<Result<Datagram, i32>> {
        drop(self.spare.take());
        self.bytes.set(0);
        self.queue.take()
    }

    /// Reads what the kernel has written: a header, room for a name, and the datagram.
    fn receive(&self, filled: &[u8]) {
        let Some((header, rest)) = filled.split_first_chunk::<HEADER>() else {
            return;
        };
        let number = |index: usize| {
            let bytes = header[index * 4..].first_chunk::<4>();
            bytes.map_or(0, |bytes| u32::from_ne_bytes(*bytes)) as usize
        };
        let (name_length, length) = (number(0), number(2));
        let Some((name, payload)) = rest.split_at_checked(Name::CAPACITY) else {
            return;
        };
        let payload = &payload[..length.min(payload.len())];
        let mut bytes = self.spare.borrow_mut().pop().unwrap_or_default();
        bytes.extend_from_slice(payload);
        self.push(Ok(Datagram {
            bytes,
            length,
            sender: Name::new(&name[..name_length.min(name.len())]),
        }));
    }
}
