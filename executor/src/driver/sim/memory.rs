//! Memory that operations name: the only place where the simulation follows addresses.
//!
//! Whoever submitted an operation keeps its memory until its last completion, which is the contract of
//! [`driver`](crate::driver), and the world forgets an operation before it completes it: that is what all unsafe code here
//! relies on.

use crate::driver::{Address, Status};

/// A piece of memory of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) address: Address,
    pub(super) length: usize,
}

/// What a message header says.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// Where the name of the other side is, or is to go.
    pub(super) name: Piece,
    pub(super) room: Room,
    pub(super) control_length: usize,
}

/// Room that an operation has for what is read.
#[derive(Clone, Debug)]
pub(super) enum Room {
    One(Piece),
    Many(Vec<Piece>),
}

pub(super) fn at(address: Address, length: u32) -> Room {
    let length = length as usize;
    Room::One(Piece { address, length })
}

impl Room {
    pub(super) fn pieces(&self) -> &[Piece] {
        match self {
            Room::One(piece) => std::slice::from_ref(piece),
            Room::Many(pieces) => pieces,
        }
    }

    pub(super) fn length(&self) -> usize {
        self.pieces().iter().map(|piece| piece.length).sum()
    }

    /// What is left of it behind `count` bytes.
    pub(super) fn after(&self, count: usize) -> Room {
        let mut before = count;
        let rest = self.pieces().iter().map(|piece| {
            let cut = before.min(piece.length);
            before -= cut;
            Piece {
                address: Address(piece.address.0 + cut),
                length: piece.length - cut,
            }
        });
        Room::Many(rest.collect())
    }

    /// Puts `bytes` there, as many as there is room for, and answers how many those were.
    pub(super) fn store(&self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        for piece in self.pieces() {
            let (now, later) = rest.split_at(piece.length.min(rest.len()));
            store(piece.address, now);
            rest = later;
        }
        bytes.len() - rest.len()
    }

    /// What is there, as far as `length` bytes.
    pub(super) fn load(&self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length.min(self.length()));
        for piece in self.pieces() {
            let wanted = piece.length.min(length - bytes.len());
            bytes.extend_from_slice(&load(piece.address, wanted));
        }
        bytes
    }
}

pub(super) fn store(address: Address, bytes: &[u8]) {
    if !bytes.is_empty() {
        // SAFETY: the operation has at least as much memory there, and leaves it to its driver.
        unsafe { std::ptr::copy(bytes.as_ptr(), address.as_mut_ptr::<u8>(), bytes.len()) };
    }
}

pub(super) fn load(address: Address, length: usize) -> Vec<u8> {
    if length == 0 {
        return Vec::new();
    }
    // SAFETY: the operation has so much memory there, filled, and leaves it to its driver.
    unsafe { std::slice::from_raw_parts(address.as_ptr::<u8>(), length) }.to_vec()
}

/// The pieces that `count` vectors name.
pub(super) fn vectors(address: Address, count: usize) -> Room {
    let piece = |index: usize| {
        // SAFETY: the operation has so many vectors there.
        let vector = unsafe { address.as_ptr::<libc::iovec>().add(index).read() };
        Piece {
            address: Address::of_mut(vector.iov_base),
            length: vector.iov_len,
        }
    };
    match count {
        1 => Room::One(piece(0)),
        _ => Room::Many((0..count).map(piece).collect()),
    }
}

pub(super) fn message(header: Address) -> Message {
    // SAFETY: the operation has a header there.
    let header = unsafe { header.as_ptr::<libc::msghdr>().read() };
    Message {
        name: Piece {
            address: Address::of_mut(header.msg_name),
            length: header.msg_namelen as usize,
        },
        room: vectors(Address::of(header.msg_iov), header.msg_iovlen),
        control_length: header.msg_controllen,
    }
}

/// What a message header says of where things are.
pub(super) fn header_bytes(header: Address) -> Vec<u8> {
    // SAFETY: the operation has a header there.
    let header = unsafe { header.as_ptr::<libc::msghdr>().read() };
    let places = [
        header.msg_name.addr(),
        header.msg_namelen as usize,
        header.msg_iov.addr(),
        header.msg_iovlen,
        header.msg_control.addr(),
    ];
    places.into_iter().flat_map(usize::to_le_bytes).collect()
}

/// Where the vectors of a message are, and how many.
pub(super) fn vectors_of(header: Address) -> (Address, usize) {
    // SAFETY: the operation has a header there.
    let header = unsafe { header.as_ptr::<libc::msghdr>().read() };
    (Address::of(header.msg_iov), header.msg_iovlen)
}

/// Vectors as they stand in memory.
pub(super) fn vector_bytes(address: Address, count: usize) -> Vec<u8> {
    load(address, count * size_of::<libc::iovec>())
}

/// What a receive says in its header.
pub(super) fn answer_message(header: Address, name_length: usize, flags: i32) {
    let header = header.as_mut_ptr::<libc::msghdr>();
    // SAFETY: the operation has a header there, and leaves it to its driver.
    unsafe {
        (*header).msg_namelen = name_length as u32;
        (*header).msg_controllen = 0;
        (*header).msg_flags = flags;
    }
}

pub(super) fn store_length(address: Address, length: usize) {
    store(address, &(length as libc::socklen_t).to_ne_bytes());
}

pub(super) fn load_length(address: Address) -> usize {
    let bytes = load(address, size_of::<libc::socklen_t>());
    bytes.try_into().map_or(0, libc::socklen_t::from_ne_bytes) as usize
}

pub(super) fn store_descriptors(address: Address, descriptors: [i32; 2]) {
    for (index, descriptor) in descriptors.into_iter().enumerate() {
        let place = Address(address.0 + index * size_of::<i32>());
        store(place, &descriptor.to_ne_bytes());
    }
}

/// The bytes of a C string, without its end.
pub(super) fn c_string(address: Address) -> Vec<u8> {
    // SAFETY: the operation has a C string there.
    let text = unsafe { std::ffi::CStr::from_ptr(address.as_ptr()) };
    text.to_bytes().to_vec()
}

pub(super) fn store_status(address: Address, status: Status) {
    // SAFETY: the operation has room for a status there, and leaves it to its driver.
    unsafe { address.as_mut_ptr::<Status>().write(status) };
}
