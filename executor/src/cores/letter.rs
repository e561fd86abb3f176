//! Letters: closures that run on another core. The cold way in: it allocates.

use std::ptr::NonNull;

use super::inbox::{Closed, Deliver, Delivery, Node};
use super::{CoreId, quietly};

#[repr(C)]
struct Letter {
    /// MUST be the first field: the inbox knows the letter by the address of its node.
    node: Node,
    epoch: u32,
    content: Box<dyn FnOnce() + Send>,
}

impl CoreId {
    /// Runs `letter` on that core in its next turn. Never blocks, is never full.
    ///
    /// # Errors
    ///
    /// Hands the letter back if that life is over. If it ends later, before the letter was
    /// opened, the letter is dropped there, unrun.
    pub(crate) fn post(
        self,
        letter: Box<dyn FnOnce() + Send>,
    ) -> Result<(), Box<dyn FnOnce() + Send>> {
        if !self.is_alive() {
            return Err(letter);
        }
        const DELIVER: &Deliver = &(deliver as Deliver);
        let letter = NonNull::from(Box::leak(Box::new(Letter {
            // SAFETY: a constant is there for ever.
            node: unsafe { Node::new(NonNull::from(DELIVER)) },
            epoch: self.epoch(),
            content: letter,
        })));
        // SAFETY: the letter is new, so nobody else pushes it; it stays allocated until
        // `deliver` takes it back; it is not touched after a success.
        match unsafe { self.mailbox().push(letter.cast()) } {
            Ok(()) => Ok(()),
            Err(Closed) => {
                // SAFETY: the push failed, so the allocation leaked above is still ours alone.
                let letter = unsafe { Box::from_raw(letter.as_ptr()) };
                Err(letter.content)
            }
        }
    }
}

/// # Safety
///
/// `node` is the first field of a leaked `Letter`, and this is the only call for it.
unsafe fn deliver(node: NonNull<Node>, delivery: Delivery) {
    // SAFETY: the caller's promise; `post` leaked it from a box.
    let letter = unsafe { Box::from_raw(node.cast::<Letter>().as_ptr()) };
    let for_this_life = delivery
        == Delivery::At {
            epoch: letter.epoch,
        };
    let content = letter.content;
    if for_this_life {
        quietly(content);
    } else {
        quietly(|| drop(content));
    }
}
