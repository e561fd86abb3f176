//! From [`Operation`] to submission entry. Nothing is decided here.

use io_uring::squeue::{Entry, Flags};
use io_uring::{opcode, types};

use super::user_data::{self, Tag};
use crate::driver::staging::Staged;
use crate::driver::{Address, Descriptor, Key, Operation};

/// Relative paths begin in the current directory.
const HERE: types::Fd = types::Fd(libc::AT_FDCWD);

/// The entry that asks the kernel for `operation`.
#[inline]
#[rustfmt::skip] // A table, one line for each: to be read downwards.
pub(super) fn operation(key: Key, operation: &Operation) -> Entry {
    use Operation::*;
    let entry = match *operation {
        Nop => opcode::Nop::new().build(),
        Accept { fd, address, address_length, flags } => accept(fd, address, address_length, flags),
        AcceptMultishot { fd, flags } => opcode::AcceptMulti::new(types::Fd(fd)).flags(flags).build(),
        Connect { fd, address, address_length } => connect(fd, address, address_length),
        Socket { domain, kind, protocol } => opcode::Socket::new(domain, kind, protocol).build(),
        Bind { fd, address, address_length } => bind(fd, address, address_length),
        Listen { fd, backlog } => opcode::Listen::new(types::Fd(fd), backlog).build(),
        Shutdown { fd, how } => opcode::Shutdown::new(types::Fd(fd), how).build(),
        Close { fd } => opcode::Close::new(types::Fd(fd)).build(),
        Receive { fd, address, length, flags, .. } => receive(fd, address, length, flags),
        ReceiveProvided { fd, group, length } => receive_provided(fd, group, length),
        ReceiveMultishot { fd, group, bundle } => receive_multishot(fd, group, bundle),
        Send { fd, address, length, flags } => send(fd, address, length, flags),
        ReceiveMessageMultishot { fd, header, group } => receive_messages(fd, header, group),
        ReceiveMessage { fd, header, flags } => receive_message(fd, header, flags),
        SendMessage { fd, header, flags } => send_message(fd, header, flags),
        Read { fd, address, length, offset } => read(fd, address, length, offset),
        ReadFixed { fd, address, length, offset, buffer } => read_fixed(fd, address, length, offset, buffer),
        WriteFixed { fd, address, length, offset, buffer } => write_fixed(fd, address, length, offset, buffer),
        ReadProvided { fd, group, length, offset } => read_provided(fd, group, length, offset),
        Write { fd, address, length, offset } => write(fd, address, length, offset),
        ReadVectored { fd, vectors, count, offset } => read_vectored(fd, vectors, count, offset),
        WriteVectored { fd, vectors, count, offset } => write_vectored(fd, vectors, count, offset),
        Pipe { descriptors, flags } => pipe(descriptors, flags),
        Open { path, flags, mode } => open(path, flags, mode),
        Sync { fd, data_only } => sync(fd, data_only),
        Status { fd, path, flags, status } => self::status(fd, path, flags, status),
        Truncate { fd, length } => opcode::Ftruncate::new(types::Fd(fd), length).build(),
        Allocate { fd, mode, offset, length } => opcode::Fallocate::new(types::Fd(fd), length).offset(offset).mode(mode).build(),
        Rename { from, to } => opcode::RenameAt::new(HERE, from.as_ptr(), HERE, to.as_ptr()).build(),
        Remove { path, flags } => opcode::UnlinkAt::new(HERE, path.as_ptr()).flags(flags).build(),
        MakeDirectory { path, mode } => opcode::MkDirAt::new(HERE, path.as_ptr()).mode(mode).build(),
        HardLink { from, to } => opcode::LinkAt::new(HERE, from.as_ptr(), HERE, to.as_ptr()).build(),
        SymbolicLink { target, link } => opcode::SymlinkAt::new(HERE, target.as_ptr(), link.as_ptr()).build(),
        Poll { fd, events } => opcode::PollAdd::new(types::Fd(fd), events).build(),
    };
    entry.user_data(user_data::pack(Tag::Operation, key))
}

impl Staged for Entry {
    #[inline]
    fn new(key: Key, operation: &Operation) -> Entry {
        self::operation(key, operation)
    }

    fn key(&self) -> Option<Key> {
        user_data::operation(self.get_user_data())
    }

    fn gap() -> Entry {
        opcode::Nop::new().build().user_data(user_data::GAP)
    }
}

/// The entry that cancels exactly the operation submitted under `key`.
pub(super) fn cancel(key: Key) -> Entry {
    let target = user_data::pack(Tag::Operation, key);
    opcode::AsyncCancel::new(target)
        .build()
        .user_data(user_data::pack(Tag::Cancel, key))
}

/// The entry that closes a descriptor that nobody waits for.
pub(super) fn close(fd: Descriptor) -> Entry {
    opcode::Close::new(types::Fd(fd))
        .build()
        .user_data(user_data::CLOSE)
}

/// The entry that completes when the event descriptor `fd` is rung.
pub(super) fn bell(fd: Descriptor, sink: *mut u8, length: u32) -> Entry {
    opcode::Read::new(types::Fd(fd), sink, length)
        .build()
        .user_data(user_data::BELL)
}

#[inline]
fn accept(fd: Descriptor, address: Address, address_length: Address, flags: i32) -> Entry {
    opcode::Accept::new(
        types::Fd(fd),
        address.as_mut_ptr(),
        address_length.as_mut_ptr(),
    )
    .flags(flags)
    .build()
}

#[inline]
fn connect(fd: Descriptor, address: Address, address_length: u32) -> Entry {
    opcode::Connect::new(types::Fd(fd), address.as_ptr(), address_length).build()
}

#[inline]
fn bind(fd: Descriptor, address: Address, address_length: u32) -> Entry {
    opcode::Bind::new(types::Fd(fd), address.as_ptr(), address_length).build()
}

#[inline]
fn receive(fd: Descriptor, address: Address, length: u32, flags: i32) -> Entry {
    opcode::Recv::new(types::Fd(fd), address.as_mut_ptr(), length)
        .flags(flags)
        .build()
}

#[inline]
fn receive_provided(fd: Descriptor, group: u16, length: u32) -> Entry {
    opcode::Recv::new(types::Fd(fd), std::ptr::null_mut(), length)
        .buf_group(group)
        .build()
        .flags(Flags::BUFFER_SELECT)
}

#[inline]
fn receive_multishot(fd: Descriptor, group: u16, bundle: bool) -> Entry {
    match bundle {
        true => opcode::RecvMultiBundle::new(types::Fd(fd), group).build(),
        false => opcode::RecvMulti::new(types::Fd(fd), group).build(),
    }
}

#[inline]
fn read_provided(fd: Descriptor, group: u16, length: u32, offset: u64) -> Entry {
    opcode::Read::new(types::Fd(fd), std::ptr::null_mut(), length)
        .offset(offset)
        .buf_group(group)
        .build()
        .flags(Flags::BUFFER_SELECT)
}

#[inline]
fn send(fd: Descriptor, address: Address, length: u32, flags: i32) -> Entry {
    opcode::Send::new(types::Fd(fd), address.as_ptr(), length)
        .flags(flags)
        .build()
}

#[inline]
fn receive_message(fd: Descriptor, header: Address, flags: i32) -> Entry {
    opcode::RecvMsg::new(types::Fd(fd), header.as_mut_ptr())
        .flags(flags.cast_unsigned())
        .build()
}

#[inline]
fn receive_messages(fd: Descriptor, header: Address, group: u16) -> Entry {
    opcode::RecvMsgMulti::new(types::Fd(fd), header.as_ptr(), group).build()
}

#[inline]
fn send_message(fd: Descriptor, header: Address, flags: i32) -> Entry {
    opcode::SendMsg::new(types::Fd(fd), header.as_ptr())
        .flags(flags.cast_unsigned())
        .build()
}

#[inline]
fn read(fd: Descriptor, address: Address, length: u32, offset: u64) -> Entry {
    opcode::Read::new(types::Fd(fd), address.as_mut_ptr(), length)
        .offset(offset)
        .build()
}

#[inline]
fn write(fd: Descriptor, address: Address, length: u32, offset: u64) -> Entry {
    opcode::Write::new(types::Fd(fd), address.as_ptr(), length)
        .offset(offset)
        .build()
}

#[inline]
fn read_fixed(fd: Descriptor, address: Address, length: u32, offset: u64, buffer: u16) -> Entry {
    opcode::ReadFixed::new(types::Fd(fd), address.as_mut_ptr(), length, buffer)
        .offset(offset)
        .build()
}

#[inline]
fn write_fixed(fd: Descriptor, address: Address, length: u32, offset: u64, buffer: u16) -> Entry {
    opcode::WriteFixed::new(types::Fd(fd), address.as_ptr(), length, buffer)
        .offset(offset)
        .build()
}

#[inline]
fn read_vectored(fd: Descriptor, vectors: Address, count: u32, offset: u64) -> Entry {
    opcode::Readv::new(types::Fd(fd), vectors.as_ptr(), count)
        .offset(offset)
        .build()
}

#[inline]
fn write_vectored(fd: Descriptor, vectors: Address, count: u32, offset: u64) -> Entry {
    opcode::Writev::new(types::Fd(fd), vectors.as_ptr(), count)
        .offset(offset)
        .build()
}

#[inline]
fn pipe(descriptors: Address, flags: i32) -> Entry {
    opcode::Pipe::new(descriptors.as_mut_ptr())
        .flags(flags.cast_unsigned())
        .build()
}

#[inline]
fn open(path: Address, flags: i32, mode: u32) -> Entry {
    opcode::OpenAt::new(HERE, path.as_ptr())
        .flags(flags)
        .mode(mode)
        .build()
}

#[inline]
fn sync(fd: Descriptor, data_only: bool) -> Entry {
    let flags = match data_only {
        true => types::FsyncFlags::DATASYNC,
        false => types::FsyncFlags::empty(),
    };
    opcode::Fsync::new(types::Fd(fd)).flags(flags).build()
}

#[inline]
fn status(fd: Descriptor, path: Address, flags: i32, status: Address) -> Entry {
    opcode::Statx::new(types::Fd(fd), path.as_ptr(), status.as_mut_ptr())
        .flags(flags)
        .mask(libc::STATX_BASIC_STATS | libc::STATX_BTIME | libc::STATX_DIOALIGN)
        .build()
}
