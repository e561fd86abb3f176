//! Watches over the memory of operations: it is written to when nobody expects it, and nobody else may touch it meanwhile.

use super::memory::{self, Room};
use super::progress::Begun;
use super::ring::group_of;
use super::world::World;
use crate::driver::{Completion, Operation};
use crate::random::Random;

/// How many bytes at the beginning of an operation's memory show that it is still the operation's.
const SEALED: usize = 16;
/// How many bytes behind what was received are scribbled over, at most.
const SCRIBBLED: usize = 64;

/// What shows that the memory of an operation that waits is still its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seal {
    /// Of what says where its memory is: a header, and vectors.
    ways: [u64; 2],
    content: Content,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// Junk that follows from this number was put where something is to be received.
    Junk(u64),
    /// What is to be sent begins with bytes of this fingerprint.
    Fingerprint(u64),
}

/// Bytes that are there only when their completion is.
#[derive(Debug)]
pub(super) struct Late {
    room: Room,
    bytes: Vec<u8>,
    /// What is there until then.
    junk: u64,
}

impl World {
    /// Seals the memory of an operation that has to wait, once.
    pub(super) fn seal(&mut self, begun: &mut Begun) {
        if begun.seal.is_some() {
            return;
        }
        let content = if let Some(room) = room_for_received(&begun.operation) {
            let junk = self.ring_luck.next();
            scribble(&room, SEALED, junk);
            Content::Junk(junk)
        } else if let Some(room) = room_of_sent(&begun.operation) {
            Content::Fingerprint(fingerprint(&room.load(SEALED.min(room.length()))))
        } else {
            return;
        };
        let ways = [0, 1].map(|step| fingerprint(&way(&begun.operation, step)));
        begun.seal = Some(Seal { ways, content });
    }

    /// # Panics
    ///
    /// If somebody has touched the memory of an operation that waits: then it was freed, or is written to by its former owner.
    pub(super) fn check_seal(begun: &Begun) {
        let Some(Seal { ways, content }) = begun.seal else {
            return;
        };
        // One after the other: a header that is no more leads anywhere.
        let is_known = (0..2).all(|step| fingerprint(&way(&begun.operation, step)) == ways[step]);
        let is_whole = is_known
            && match content {
                Content::Junk(junk) => room_for_received(&begun.operation)
                    .is_some_and(|room| holds(&room, SEALED, junk)),
                Content::Fingerprint(before) => {
                    room_of_sent(&begun.operation).is_some_and(|room| {
                        fingerprint(&room.load(SEALED.min(room.length()))) == before
                    })
                }
            };
        assert!(is_whole, "{}", complaint(&begun.operation));
    }

    /// An operation has received something: the rest of its memory is scribbled over, and now and then even that is not there
    /// before the completion is.
    pub(super) fn disturb(&mut self, begun: &Begun, completion: Completion) -> Option<Box<Late>> {
        let count = usize::try_from(completion.result)
            .ok()
            .filter(|it| *it > 0)?;
        let room = match completion.buffer {
            Some(id) => self.provided_room(begun, id)?,
            None => room_for_received(&begun.operation)?,
        };
        if count < room.length() {
            scribble(&room.after(count), SCRIBBLED, self.ring_luck.next());
        }
        if !self.ring_luck.strikes(
            self.habits(begun.core).late_memory,
            "memory is written late",
        ) {
            return None;
        }
        let junk = self.ring_luck.next();
        let bytes = room.load(count);
        scribble(&room, count, junk);
        Some(Box::new(Late { room, bytes, junk }))
    }

    fn provided_room(&self, begun: &Begun, id: u16) -> Option<Room> {
        let group = group_of(&begun.operation)?;
        let buffer = self.cores[begun.core].groups.last_provided(group, id)?;
        Some(memory::at(buffer.address, buffer.length))
    }
}

impl Late {
    /// The completion is there, and so are its bytes.
    ///
    /// # Panics
    ///
    /// If somebody has touched the memory in the meantime.
    pub(super) fn arrive(self, operation: &Operation) {
        let is_whole = holds(&self.room, self.bytes.len(), self.junk);
        assert!(is_whole, "{}", complaint(operation));
        self.room.store(&self.bytes);
    }
}

fn complaint(operation: &Operation) -> String {
    format!(
        "the memory of an operation changed while it was in flight, so it was freed, or somebody has kept a pointer to it: {operation:?}"
    )
}

/// Where an operation puts what it receives, if it says so itself.
fn room_for_received(operation: &Operation) -> Option<Room> {
    use Operation as O;
    match *operation {
        O::Receive {
            address, length, ..
        }
        | O::Read {
            address, length, ..
        }
        | O::ReadFixed {
            address, length, ..
        } => Some(memory::at(address, length)),
        O::ReadVectored { vectors, count, .. } => Some(memory::vectors(vectors, count as usize)),
        O::ReceiveMessage { header, .. } => Some(memory::message(header).room),
        _ => None,
    }
}

/// Where an operation has what it sends.
fn room_of_sent(operation: &Operation) -> Option<Room> {
    use Operation as O;
    match *operation {
        O::Send {
            address, length, ..
        }
        | O::Write {
            address, length, ..
        }
        | O::WriteFixed {
            address, length, ..
        } => Some(memory::at(address, length)),
        O::WriteVectored { vectors, count, .. } => Some(memory::vectors(vectors, count as usize)),
        O::SendMessage { header, .. } => Some(memory::message(header).room),
        _ => None,
    }
}

/// Puts junk into the first `most` bytes of `room`.
fn scribble(room: &Room, most: usize, junk: u64) {
    room.store(&junk_bytes(room.length().min(most), junk));
}

fn holds(room: &Room, most: usize, junk: u64) -> bool {
    let count = room.length().min(most);
    room.load(count) == junk_bytes(count, junk)
}

fn junk_bytes(count: usize, junk: u64) -> Vec<u8> {
    let numbers = Random::new(junk);
    let mut bytes = Vec::with_capacity(count + size_of::<u64>());
    while bytes.len() < count {
        bytes.extend_from_slice(&numbers.next().to_le_bytes());
    }
    bytes.truncate(count);
    bytes
}

/// What says where the memory of an operation is: first its header, then its vectors.
fn way(operation: &Operation, step: usize) -> Vec<u8> {
    use Operation as O;
    match (*operation, step) {
        (O::ReceiveMessage { header, .. } | O::SendMessage { header, .. }, 0) => {
            memory::header_bytes(header)
        }
        (O::ReceiveMessage { header, .. } | O::SendMessage { header, .. }, _) => {
            let (vectors, count) = memory::vectors_of(header);
            memory::vector_bytes(vectors, count)
        }
        (O::ReadVectored { vectors, count, .. } | O::WriteVectored { vectors, count, .. }, 1) => {
            memory::vector_bytes(vectors, count as usize)
        }
        _ => Vec::new(),
    }
}

/// FNV-1a (Fowler, Noll, Vo).
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
