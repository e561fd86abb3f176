//! Operations that the kernel's io_uring lacks, done as plain system calls at the
//! moment they would have been submitted. None of these calls waits for anything
//! but a disk.

use std::io;

use crate::driver::{Capabilities, Operation};
use crate::sys;

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

/// The result of `operation`, if the ring cannot do it.
pub(super) fn result(capabilities: &Capabilities, operation: &Operation) -> Option<i32> {
    match *operation {
        Operation::Socket {
            domain,
            kind,
            protocol,
        } if !capabilities.socket => Some(answer(sys::socket(domain, kind, protocol))),
        Operation::Bind {
            fd,
            address,
            address_length,
        } if !capabilities.bind_listen => {
            // SAFETY: whoever submitted the operation keeps the address alive until it completes.
            let bound = unsafe { sys::bind(fd, address.as_ptr(), address_length) };
            Some(answer(bound.map(|()| 0)))
        }
        Operation::Listen { fd, backlog } if !capabilities.bind_listen => {
            Some(answer(sys::listen(fd, backlog).map(|()| 0)))
        }
        Operation::Shutdown { fd, how } if !capabilities.shutdown => {
            Some(answer(sys::shutdown(fd, how).map(|()| 0)))
        }
        Operation::Pipe { descriptors, flags } if !capabilities.pipe => {
            let ends = sys::pipe(flags).map(|ends| {
                // SAFETY: whoever submitted the operation lends an `[i32; 2]` until it completes.
                unsafe { descriptors.as_mut_ptr::<[i32; 2]>().write(ends) };
                0
            });
            Some(answer(ends))
        }
        Operation::Truncate { fd, length } if !capabilities.truncate => {
            Some(answer(sys::truncate(fd, length).map(|()| 0)))
        }
        Operation::AcceptMultishot { .. } if !capabilities.accept_multishot => Some(-libc::EINVAL),
        Operation::ReceiveMultishot { .. } | Operation::ReceiveMessageMultishot { .. }
            if !capabilities.receive_multishot =>
        {
            Some(-libc::EINVAL)
        }
        _ => None,
    }
}

fn answer(result: io::Result<i32>) -> i32 {
    result.unwrap_or_else(|error| -error.raw_os_error().unwrap_or(libc::EIO))
}
