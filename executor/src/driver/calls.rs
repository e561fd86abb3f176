//! [`perform`]: an operation as a plain system call.
//!
//! Drivers use it for what their way to the kernel lacks. Whoever submitted an operation keeps its memory
//! until its last completion, which is the contract of [`driver`](super), and no driver completes an operation before
//! its call has returned: that is what all unsafe code here relies on.

use std::io;

use super::{Address, CURSOR, Operation};
use crate::sys;

/// What a call does that cannot be done at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// It waits, for as long as it takes.
    Waits,
    /// It is answered with EAGAIN: as far as the call can be told so. Where it cannot, because the kernel does not know how
    /// for this kind of descriptor, reads and writes are answered with EOPNOTSUPP.
    Refuses,
}

/// The result of a read at an offset, if the kernel's cache has all of it. If it has only a part, that may be in the
/// memory of the operation already.
pub(super) fn read_from_cache(operation: &Operation) -> Option<i32> {
    match *operation {
        Operation::Read { length, offset, .. } | Operation::ReadFixed { length, offset, .. }
            if offset != CURSOR =>
        {
            let result = perform(operation, Mode::Refuses);
            // A short one may be the end of the file, or of what is in the cache: whoever waits for it knows.
            (result >= 0 && result.cast_unsigned() == length).then_some(result)
        }
        _ => None,
    }
}

/// The result of `operation`, in the manner of the ring: a count, a descriptor, or a negated errno. What needs
/// the driver's own memory (provided buffers, several completions) is answered with EINVAL.
#[rustfmt::skip] // A table, one line for each: to be read downwards.
pub(super) fn perform(operation: &Operation, mode: Mode) -> i32 {
    use Operation::*;
    answer(match *operation {
        Nop => Ok(0),
        Socket { domain, kind, protocol } => sys::socket(domain, kind, protocol),
        Listen { fd, backlog } => nothing(sys::listen(fd, backlog)),
        Shutdown { fd, how } => nothing(sys::shutdown(fd, how)),
        Close { fd } => nothing(sys::close(fd)),
        Sync { fd, data_only } => nothing(sys::sync(fd, data_only)),
        Truncate { fd, length } => nothing(sys::truncate(fd, length)),
        Allocate { fd, mode, offset, length } => nothing(sys::allocate(fd, mode, offset, length)),
        Poll { fd, events } => sys::ready_now(fd, events as i16).map(|ready| i32::from(ready.cast_unsigned())),
        Bind { .. } | Connect { .. } | Accept { .. } => on_name(operation),
        Receive { .. } | Send { .. } | ReceiveMessage { .. } | SendMessage { .. } => on_socket(operation, mode),
        Read { fd, address, length, offset } => read(fd, &[vector(address, length)], offset, mode),
        Write { fd, address, length, offset } => write(fd, &[vector(address, length)], offset, mode),
        ReadFixed { fd, address, length, offset, .. } => read(fd, &[vector(address, length)], offset, mode),
        WriteFixed { fd, address, length, offset, .. } => write(fd, &[vector(address, length)], offset, mode),
        ReadVectored { fd, vectors, count, offset } => read(fd, listed(vectors, count), offset, mode),
        WriteVectored { fd, vectors, count, offset } => write(fd, listed(vectors, count), offset, mode),
        Pipe { descriptors, flags } => pipe(descriptors, flags).map(|_| 0),
        Open { .. } | Status { .. } | Rename { .. } | Remove { .. } | MakeDirectory { .. } | HardLink { .. }
            | SymbolicLink { .. } => on_path(operation),
        AcceptMultishot { .. } | ReceiveProvided { .. } | ReceiveMultishot { .. } | ReceiveMessageMultishot { .. }
            | ReadProvided { .. } => Err(io::Error::from_raw_os_error(libc::EINVAL)),
    })
}

/// One of those on sockets, with [`Mode::Refuses`]: the shortest way to the calls that are made most often.
#[inline]
pub(super) fn perform_on_socket(operation: &Operation) -> i32 {
    answer(on_socket(operation, Mode::Refuses))
}

pub(super) fn answer(result: io::Result<i32>) -> i32 {
    result.unwrap_or_else(|error| -error.raw_os_error().unwrap_or(libc::EIO))
}

fn nothing(result: io::Result<()>) -> io::Result<i32> {
    result.map(|()| 0)
}

#[rustfmt::skip]
fn on_name(operation: &Operation) -> io::Result<i32> {
    // SAFETY: whoever submitted the operation keeps the address, and the place for one.
    unsafe {
        match *operation {
            Operation::Bind { fd, address, address_length } => nothing(sys::bind(fd, address.as_ptr(), address_length)),
            Operation::Connect { fd, address, address_length } => nothing(sys::connect(fd, address.as_ptr(), address_length)),
            Operation::Accept { fd, address, address_length, flags } =>
                sys::accept(fd, address.as_mut_ptr(), address_length.as_mut_ptr(), flags),
            _ => unreachable!("not of those with a name: {operation:?}"),
        }
    }
}

#[rustfmt::skip]
fn on_socket(operation: &Operation, mode: Mode) -> io::Result<i32> {
    let refusing = match mode {
        Mode::Waits => 0,
        Mode::Refuses => libc::MSG_DONTWAIT,
    };
    // As the ring, which reads the header first.
    if let Operation::ReceiveMessage { header: Address(0), .. } | Operation::SendMessage { header: Address(0), .. } = operation {
        return Err(io::Error::from_raw_os_error(libc::EFAULT));
    }
    // SAFETY: whoever submitted the operation keeps buffer or header, and all that the header names.
    unsafe {
        match *operation {
            Operation::Receive { fd, address, length, flags, .. } => sys::receive(fd, address.as_mut_ptr(), length, flags | refusing),
            Operation::Send { fd, address, length, flags } => sys::send(fd, address.as_ptr(), length, flags | refusing),
            Operation::ReceiveMessage { fd, header, flags } => sys::receive_message(fd, header.as_mut_ptr(), flags | refusing),
            Operation::SendMessage { fd, header, flags } => sys::send_message(fd, header.as_ptr(), flags | refusing),
            _ => unreachable!("not of those on sockets: {operation:?}"),
        }
    }
}

#[rustfmt::skip]
fn on_path(operation: &Operation) -> io::Result<i32> {
    const MASK: u32 = libc::STATX_BASIC_STATS | libc::STATX_BTIME | libc::STATX_DIOALIGN;
    // SAFETY: whoever submitted the operation keeps the paths, which are C strings, and the place for the status.
    unsafe {
        match *operation {
            Operation::Open { path, flags, mode } => sys::open(path.as_ptr(), flags, mode),
            Operation::Status { fd, path, flags, status } => nothing(sys::status(fd, path.as_ptr(), flags, MASK, status.as_mut_ptr())),
            Operation::Rename { from, to } => nothing(sys::rename(from.as_ptr(), to.as_ptr())),
            Operation::Remove { path, flags } => nothing(sys::remove(path.as_ptr(), flags)),
            Operation::MakeDirectory { path, mode } => nothing(sys::make_directory(path.as_ptr(), mode)),
            Operation::HardLink { from, to } => nothing(sys::hard_link(from.as_ptr(), to.as_ptr())),
            Operation::SymbolicLink { target, link } => nothing(sys::symbolic_link(target.as_ptr(), link.as_ptr())),
            _ => unreachable!("not of those on paths: {operation:?}"),
        }
    }
}

/// `Operation::Pipe`; answers with both ends, too.
pub(super) fn pipe(descriptors: Address, flags: i32) -> io::Result<[i32; 2]> {
    if descriptors.0 == 0 {
        return Err(io::Error::from_raw_os_error(libc::EFAULT));
    }
    let ends = sys::pipe(flags)?;
    // SAFETY: whoever submitted the operation lends an `[i32; 2]` until it completes.
    unsafe { descriptors.as_mut_ptr::<[i32; 2]>().write(ends) };
    Ok(ends)
}

/// Receives one message into `buffer`, as `ReceiveMessageMultishot` lays it out (see
/// `io_uring_prep_recvmsg_multishot(3)`): four numbers, room for the sender's name and for control messages as long as
/// `header` says, then the message. Answers how much of the buffer is filled, or a negated errno.
pub(super) fn receive_message_into(fd: i32, header: Address, buffer: Address, length: u32) -> i32 {
    /// Lengths of name, control messages and payload, and flags.
    type Lengths = [u32; 4];
    // SAFETY: whoever submitted the operation keeps the header, which is a `msghdr`.
    let rooms = unsafe { header.as_ptr::<libc::msghdr>().read() };
    let name_offset = size_of::<Lengths>();
    let control_offset = name_offset + rooms.msg_namelen as usize;
    let payload_offset = control_offset + rooms.msg_controllen;
    let Some(payload_room) = (length as usize).checked_sub(payload_offset) else {
        return -libc::EFAULT;
    };
    let at = |offset: usize| Address(buffer.0 + offset);
    let mut payload = libc::iovec {
        iov_base: at(payload_offset).as_mut_ptr(),
        iov_len: payload_room,
    };
    let mut message = rooms;
    message.msg_name = at(name_offset).as_mut_ptr();
    message.msg_control = at(control_offset).as_mut_ptr();
    message.msg_iov = &raw mut payload;
    message.msg_iovlen = 1;
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: the message names parts of the buffer, which was lent to the driver and is `length` bytes long.
    let received = unsafe { sys::receive_message(fd, &raw mut message, flags) };
    let count = match received {
        Ok(count) => count,
        Err(_) => return answer(received),
    };
    let lengths: Lengths = [
        message.msg_namelen,
        message.msg_controllen as u32,
        count.cast_unsigned(),
        message.msg_flags.cast_unsigned(),
    ];
    // SAFETY: the buffer begins with room for the lengths, wherever it is aligned.
    unsafe { buffer.as_mut_ptr::<Lengths>().write_unaligned(lengths) };
    payload_offset as i32 + count
}

fn vector(address: Address, length: u32) -> libc::iovec {
    libc::iovec {
        iov_base: address.as_mut_ptr(),
        iov_len: length as usize,
    }
}

/// The vectors of an operation that has a list of them.
fn listed<'a>(vectors: Address, count: u32) -> &'a [libc::iovec] {
    if count == 0 || vectors.0 == 0 {
        return &[];
    }
    // SAFETY: whoever submitted the operation keeps an array of so many, and leaves it alone.
    unsafe { std::slice::from_raw_parts(vectors.as_ptr(), count as usize) }
}

fn read(fd: i32, vectors: &[libc::iovec], offset: u64, mode: Mode) -> io::Result<i32> {
    if mode == Mode::Waits && offset != CURSOR {
        return whole(vectors, offset, |rest, offset| {
            // SAFETY: whoever submitted the operation keeps the memory that the vectors name.
            unsafe { sys::read(fd, rest.as_ptr(), rest.len() as u32, offset, 0) }
        });
    }
    let (list, count, offset) = (vectors.as_ptr(), vectors.len() as u32, offset.cast_signed());
    // SAFETY: whoever submitted the operation keeps the memory that the vectors name.
    unsafe { sys::read(fd, list, count, offset, flags(mode)) }
}

fn write(fd: i32, vectors: &[libc::iovec], offset: u64, mode: Mode) -> io::Result<i32> {
    if mode == Mode::Waits && offset != CURSOR {
        return whole(vectors, offset, |rest, offset| {
            // SAFETY: whoever submitted the operation keeps the memory that the vectors name.
            unsafe { sys::write(fd, rest.as_ptr(), rest.len() as u32, offset, 0) }
        });
    }
    let (list, count, offset) = (vectors.as_ptr(), vectors.len() as u32, offset.cast_signed());
    // SAFETY: whoever submitted the operation keeps the memory that the vectors name.
    unsafe { sys::write(fd, list, count, offset, flags(mode)) }
}

/// A read or write at an offset moves all that it can, as on the ring: one that is short has met the end of the file, or of
/// the disk.
fn whole(
    vectors: &[libc::iovec],
    offset: u64,
    mut call: impl FnMut(&[libc::iovec], i64) -> io::Result<i32>,
) -> io::Result<i32> {
    let wanted: usize = vectors.iter().map(|vector| vector.iov_len).sum();
    let mut moved = match call(vectors, offset.cast_signed())? {
        moved if moved == 0 || moved as usize >= wanted => return Ok(moved),
        moved => moved,
    };
    let mut rest = vectors.to_vec();
    let mut step = moved as usize;
    loop {
        advance(&mut rest, step);
        step = match call(&rest, offset.wrapping_add(moved as u64).cast_signed()) {
            Ok(step @ 1..) => step as usize,
            // What has been moved is told; an error comes again if the rest is asked for.
            Ok(_) | Err(_) => return Ok(moved),
        };
        moved += step as i32;
        if moved as usize >= wanted {
            return Ok(moved);
        }
    }
}

/// Takes the first `step` bytes off.
fn advance(vectors: &mut Vec<libc::iovec>, mut step: usize) {
    vectors.retain_mut(|vector| {
        let share = step.min(vector.iov_len);
        step -= share;
        vector.iov_base = vector.iov_base.wrapping_byte_add(share);
        vector.iov_len -= share;
        vector.iov_len > 0
    });
}

fn flags(mode: Mode) -> i32 {
    match mode {
        Mode::Waits => 0,
        Mode::Refuses => libc::RWF_NOWAIT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_cache_cannot_give_whole_is_not_taken_from_it() {
        let file = tempfile::tempfile().expect("a file");
        std::io::Write::write_all(&mut &file, b"0123456789").expect("a write");
        let fd = std::os::fd::AsRawFd::as_raw_fd(&file);
        let mut memory = [0_u8; 8];
        let address = Address::of_mut(memory.as_mut_ptr());
        let read = |length, offset| {
            read_from_cache(&Operation::Read {
                fd,
                address,
                length,
                offset,
            })
        };
        assert_eq!(read(4, 8), None, "cut off by the end");
        assert_eq!(read(4, 10), None, "behind the end");
        assert_eq!(read(4, CURSOR), None, "where only the kernel knows");
        assert_eq!(read(4, u64::MAX - 1), None, "an error");
        // A file system that cannot say whether it would wait answers none of these.
        if let Some(count) = read(4, 3) {
            assert_eq!((count, &memory[..4]), (4, &b"3456"[..]));
        }
    }

    #[test]
    fn what_is_left_after_a_step_is_the_rest_of_every_vector() {
        let memory = [0_u8; 30];
        let vectors = || {
            let at = |offset: usize| Address::of(memory[offset..].as_ptr());
            vec![vector(at(0), 10), vector(at(10), 0), vector(at(10), 20)]
        };
        for step in 0..=30 {
            let mut rest = vectors();
            advance(&mut rest, step);
            let left: usize = rest.iter().map(|vector| vector.iov_len).sum();
            assert_eq!(left, 30 - step);
            let begin = rest.first().map(|vector| vector.iov_base.cast_const());
            let expected = memory.as_ptr().wrapping_add(step).cast();
            assert_eq!(begin, (step < 30).then_some(expected));
        }
    }

    #[test]
    fn a_transfer_goes_on_until_it_is_whole_or_meets_an_end() {
        let memory = [0_u8; 10];
        let vectors = [vector(Address::of(memory.as_ptr()), 10)];
        let play = |steps: &[Result<i32, i32>]| {
            let mut asked = Vec::new();
            let mut steps = steps.iter();
            let result = whole(&vectors, 100, |rest, offset| {
                asked.push((offset, rest[0].iov_len));
                let step = steps.next().expect("not asked more often than that");
                step.map_err(io::Error::from_raw_os_error)
            });
            (answer(result), asked)
        };
        assert_eq!(play(&[Ok(10)]), (10, vec![(100, 10)]));
        assert_eq!(play(&[Ok(0)]), (0, vec![(100, 10)]));
        let two = vec![(100, 10), (103, 7)];
        assert_eq!(play(&[Ok(3), Ok(7)]), (10, two.clone()));
        assert_eq!(play(&[Ok(3), Ok(0)]), (3, two.clone()));
        assert_eq!(play(&[Ok(3), Err(libc::ENOSPC)]), (3, two));
        assert_eq!(play(&[Err(libc::EIO)]), (-libc::EIO, vec![(100, 10)]));
    }
}
