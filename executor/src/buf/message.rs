//! [`Message`]: a message header for one buffer, with room for the name of the other side.

use std::cell::RefCell;
use std::fmt;

use super::Vector;
use crate::driver::Name;

/// How many headers a thread keeps for the next operations.
const SPARE_MAX: usize = 64;

struct Header {
    message: libc::msghdr,
    vector: Vector,
    name: Name,
}

// SAFETY: the pointers inside lead into the header itself and to a buffer; only the kernel follows them.
unsafe impl Send for Header {}
// SAFETY: as above: nobody follows them through a shared reference either.
unsafe impl Sync for Header {}

thread_local! {
    #[expect(clippy::vec_box, reason = "what an operation takes must already be where it stays")]
    static SPARE: RefCell<Vec<Box<Header>>> = const { RefCell::new(Vec::new()) };
}

/// Owned by an operation until its last completion, always at the same address. Taken from, and given
/// back to, those that the thread keeps: in steady state none is allocated.
pub(crate) struct Message {
    /// `None` only while it is dropped.
    header: Option<Box<Header>>,
}

impl Message {
    pub(crate) fn new() -> Message {
        let spare = SPARE.try_with(|spare| spare.borrow_mut().pop());
        let header = spare.ok().flatten().unwrap_or_else(|| {
            Box::new(Header {
                // SAFETY: all zeros are a valid header: no name, no data, no control messages.
                message: unsafe { std::mem::zeroed() },
                vector: Vector {
                    iov_base: std::ptr::null_mut(),
                    iov_len: 0,
                },
                name: Name::new(&[]),
            })
        });
        Message {
            header: Some(header),
        }
    }

    /// For sending to `receiver`.
    pub(crate) fn to_receiver(receiver: &[u8]) -> Message {
        let mut message = Message::new();
        let header = message.header_mut();
        header.name = Name::new(receiver);
        header.message.msg_namelen = header.name.as_bytes().len() as u32;
        message
    }

    fn header_mut(&mut self) -> &mut Header {
        self.header.as_mut().expect("there until it is dropped")
    }

    /// Now receives into `length` bytes at `address`, and the name of the sender.
    pub(crate) fn for_receiving(&mut self, address: *mut u8, length: u32) -> *mut libc::msghdr {
        let header = self.header_mut();
        header.message.msg_namelen = Name::CAPACITY as u32;
        header.point_at(address, length)
    }

    /// Now receives names only: what else comes has its place in a provided buffer.
    pub(crate) fn for_receiving_names(&mut self) -> *mut libc::msghdr {
        let header = self.for_receiving(std::ptr::null_mut(), 0);
        self.header_mut().message.msg_iovlen = 0;
        header
    }

    /// Now sends `length` bytes at `address`.
    pub(crate) fn for_sending(&mut self, address: *const u8, length: u32) -> *mut libc::msghdr {
        self.header_mut().point_at(address.cast_mut(), length)
    }

    /// To whom it is sent.
    pub(crate) fn name(&self) -> &Name {
        let header = self.header.as_ref().expect("there until it is dropped");
        &header.name
    }

    /// Who sent what was received.
    pub(crate) fn sender(&self) -> Name {
        let header = self.header.as_ref().expect("there until it is dropped");
        let mut name = header.name;
        name.set_length(header.message.msg_namelen);
        name
    }
}

impl Header {
    fn point_at(&mut self, address: *mut u8, length: u32) -> *mut libc::msghdr {
        self.vector.iov_base = address.cast();
        self.vector.iov_len = length as usize;
        self.message.msg_name = self.name.as_mut_ptr().cast();
        self.message.msg_iov = &raw mut self.vector;
        self.message.msg_iovlen = 1;
        self.message.msg_flags = 0;
        &raw mut self.message
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        let mut header = self.header.take();
        // At the end of its thread there is no list any more, and the header is freed.
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < SPARE_MAX {
                spare.extend(header.take());
            }
        });
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Message")
    }
}
