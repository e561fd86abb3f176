//! Receives one datagram after another for a socket, which owns the operation: no future waits for it.

use std::rc::Rc;

use crate::buf::{Inbox, Message, Post};
use crate::driver::{Address, Completion, Descriptor, Operation};
use crate::inflight::{Op, Orphan};

pub(crate) struct ReceiveAheadFrom {
    pub(crate) fd: Descriptor,
    pub(crate) post: Rc<Post>,
    pub(crate) inbox: Rc<Inbox>,
    /// Says how much room the name of a sender has.
    pub(crate) message: Message,
}

// SAFETY: points to the boxed message header, which it owns; the buffers are the post's, which it keeps.
unsafe impl Op for ReceiveAheadFrom {
    type Output = ();
    const IDEMPOTENT: bool = true;

    fn operation(&mut self) -> Operation {
        Operation::ReceiveMessageMultishot {
            fd: self.fd,
            header: Address::of_mut(self.message.for_receiving_names()),
            group: self.post.group(),
        }
    }

    fn take_buffers(&mut self, completion: Completion) {
        self.post.sort(completion, &self.inbox);
    }

    fn orphaned(&mut self) -> Orphan {
        Orphan::Adopt
    }

    fn complete(self, _: Completion) {}
}
