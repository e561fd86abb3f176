//! Operations that are asked for less than they wanted.

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
