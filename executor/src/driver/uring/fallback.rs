//! Operations that the kernel's io_uring lacks, done as plain system calls at the
//! moment they would have been submitted. None of these calls waits for anything
//! but a disk.

use crate::driver::calls::{self, Mode};
use crate::driver::{Capabilities, Operation};

/// True if some operation needs [`result`] on this ring: asked once, at set-up.
pub(super) fn is_needed(capabilities: &Capabilities) -> bool {
    let Capabilities {
        accept_multishot,
        socket,
        bind_listen,
        pipe,
        shutdown,
        truncate,
        receive_multishot,
        ..
    } = *capabilities;
    let multishot = accept_multishot && receive_multishot;
    !(multishot && socket && bind_listen && pipe && shutdown && truncate)
}

/// Whether the ring can do it.
pub(super) fn has(capabilities: &Capabilities, operation: &Operation) -> bool {
    match operation {
        Operation::Socket { .. } => capabilities.socket,
        Operation::Bind { .. } | Operation::Listen { .. } => capabilities.bind_listen,
        Operation::Shutdown { .. } => capabilities.shutdown,
        Operation::Pipe { .. } => capabilities.pipe,
        Operation::Truncate { .. } => capabilities.truncate,
        Operation::AcceptMultishot { .. } => capabilities.accept_multishot,
        Operation::ReceiveMultishot { .. } | Operation::ReceiveMessageMultishot { .. } => {
            capabilities.receive_multishot
        }
        _ => true,
    }
}

/// The result of an operation that the ring cannot do.
pub(super) fn result(operation: &Operation) -> i32 {
    calls::perform(operation, Mode::Waits)
}
