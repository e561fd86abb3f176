//! The calls on io_uring that the `io-uring` crate does not know.

use std::io;

use io_uring::{opcode, squeue, types};

/// `IORING_REGISTER_SEND_MSG_RING`, Linux 6.13.
const REGISTER_SEND_MSG_RING: libc::c_uint = 31;

/// Posts a completion with `user_data` to the ring behind `ring`, from a thread
/// that needs no ring of its own.
pub(crate) fn send_ring_message(ring: i32, user_data: u64) -> io::Result<()> {
    let message = opcode::MsgRingData::new(types::Fd(ring), 0, user_data, None).build();
    let address: *const squeue::Entry = &raw const message;
    // SAFETY: the call copies one submission entry from `address`, which is one:
    // `squeue::Entry` has the layout of the kernel's `io_uring_sqe`.
    let result = unsafe {
        libc::syscall(
            libc::SYS_io_uring_register,
            -1,
            REGISTER_SEND_MSG_RING,
            address,
            1,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
