//! Waiting until a descriptor of any kind is ready.

use std::os::fd::OwnedFd;

use crate::buf::BufResult;
use crate::driver::OwnedDescriptor;
use crate::inflight::{self, Op};
use crate::op::poll::Poll;
use crate::source;

/// Waits until `fd` can be read without blocking (or has ended, or failed), and gives it back. For descriptors that
/// krug has no type for: event and timer descriptors, inotify, another library's socket.
///
/// Dropping this future closes `fd`, once the kernel has let go of it; give it a duplicate to keep yours.
///
/// # Errors
///
/// What the kernel answers, for example `EPERM` for a descriptor that is never "not ready"; also outside
/// a runtime.
pub async fn readable(fd: OwnedFd) -> BufResult<(), OwnedFd> {
    wait(fd, libc::POLLIN).await
}

/// As [`readable`], until `fd` can be written without blocking.
///
/// Dropping this future closes `fd`, once the kernel has let go of it.
///
/// # Errors
///
/// As `readable`.
pub async fn writable(fd: OwnedFd) -> BufResult<(), OwnedFd> {
    wait(fd, libc::POLLOUT).await
}

async fn wait(fd: OwnedFd, events: i16) -> BufResult<(), OwnedFd> {
    let fd = source::inherit(fd);
    let (result, fd) = match inflight::perform(Poll { fd, events }).await {
        Ok((poll, completion)) => poll.complete(completion),
        Err((poll, error)) => return (Err(error), real(poll.fd)),
    };
    source::forget(&fd);
    (result.map(|_| ()), real(fd))
}

fn real(fd: OwnedDescriptor) -> OwnedFd {
    fd.into_real().expect("it came from outside")
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};

    use krug_tests::needs_a_kernel;

    use super::*;
    use crate::Runtime;

    #[test]
    fn a_descriptor_is_readable_when_there_is_something_to_read_and_comes_back() {
        needs_a_kernel!("descriptors of others are never a simulation's");
        let (reader, mut writer) = io::pipe().expect("a pipe");
        let runtime = Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let waiting = readable(reader.into());
            let writing = async { writer.write_all(b"!").expect("the reader is there") };
            let ((result, _fd), ()) = crate::join!(waiting, writing);
            result.expect("it became readable");
            let (result, _fd) = writable(writer.into()).await;
            result.expect("there is room");
        });
    }
}
