//! Simulated descriptors that were closed past their driver, by the destructors of their owners.

use std::cell::RefCell;

thread_local! {
    static CLOSED: RefCell<Vec<i32>> = const { RefCell::new(Vec::new()) };
}

/// Its world will hear of it.
pub(super) fn has_been_closed(fd: i32) {
    // At the end of its thread there is no world any more.
    let _ = CLOSED.try_with(|closed| closed.borrow_mut().push(fd));
}

/// Those that were closed on this thread since this was last asked.
pub(crate) fn take_closed() -> Vec<i32> {
    // As above.
    CLOSED.try_with(RefCell::take).unwrap_or_default()
}
