//! To which operations faults happen.

use crate::driver::Operation;

/// Makes it ask for at most `to` bytes.
pub(super) fn shorten(operation: &mut Operation, to: u32) {
    match operation {
        // A datagram, which no kernel sends in part.
        Operation::Send { flags, .. } if *flags & libc::MSG_DONTWAIT != 0 => {}
        Operation::Receive { length, .. }
        | Operation::Send { length, .. }
        | Operation::Read { length, .. }
        | Operation::Write { length, .. }
        | Operation::ReadFixed { length, .. }
        | Operation::WriteFixed { length, .. } => *length = to.min(*length),
        Operation::ReadVectored { count, .. } | Operation::WriteVectored { count, .. } => {
            *count = 1.min(*count);
        }
        _ => {}
    }
}

/// Whether faults that are planned for operations may happen to it.
pub(super) fn transfers_data(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::Receive { .. }
            | Operation::ReceiveProvided { .. }
            | Operation::ReceiveMultishot { .. }
            | Operation::ReadProvided { .. }
            | Operation::ReadFixed { .. }
            | Operation::WriteFixed { .. }
            | Operation::Send { .. }
            | Operation::ReceiveMessage { .. }
            | Operation::ReceiveMessageMultishot { .. }
            | Operation::SendMessage { .. }
            | Operation::Read { .. }
            | Operation::Write { .. }
            | Operation::ReadVectored { .. }
            | Operation::WriteVectored { .. }
            | Operation::Sync { .. }
            | Operation::Truncate { .. }
            | Operation::Allocate { .. }
    )
}
