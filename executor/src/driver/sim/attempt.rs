//! One try at an operation.

use super::memory;
use super::objects::{Direction, Kind, ObjectId};
use super::progress::Begun;
use super::transfer::{Sink, Source};
use super::world::World;
use crate::driver::{Address, Completion, Descriptor, Operation};

/// What a try comes to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outcome {
    Completed(Completion),
    /// It is to be tried again when something changes there.
    Waits(ObjectId, Direction),
}

impl Outcome {
    pub(super) fn of(result: Result<i32, i32>) -> Outcome {
        Outcome::Completed(Completion::last(result.unwrap_or_else(|errno| -errno)))
    }
}

impl World {
    /// The queue in which others of its kind wait that were begun before it.
    pub(super) fn is_behind_others(&mut self, begun: &Begun) -> Option<(ObjectId, Direction)> {
        let (fd, direction) = queue_of(&begun.operation)?;
        let id = self.object(begun.core, fd).ok()?;
        let queue = self.objects.get_mut(id)?.queue(direction);
        let is_poll = |begun: &Begun| matches!(begun.operation, Operation::Poll { .. });
        let is_behind = queue.iter().any(|before| !is_poll(before));
        is_behind.then_some((id, direction))
    }

    /// What a number means to the programs on this core's host.
    ///
    /// # Errors
    ///
    /// EBADF.
    pub(super) fn object(&self, core: usize, fd: Descriptor) -> Result<ObjectId, i32> {
        let id = self.objects.named(fd).ok_or(libc::EBADF)?;
        let object = self.objects.get(id).ok_or(libc::EBADF)?;
        match object.host == self.cores[core].host {
            true => Ok(id),
            false => Err(libc::EBADF),
        }
    }

    #[rustfmt::skip] // A table: to be read downwards.
    pub(super) fn attempt(&mut self, begun: &mut Begun) -> Outcome {
        use Operation as O;
        let core = begun.core;
        match begun.operation {
            O::Nop => Outcome::of(Ok(0)),
            O::Socket { domain, kind, .. } => Outcome::of(self.make_socket(core, domain, kind)),
            O::Bind { fd, address, address_length } => Outcome::of(self.bind(core, fd, address, address_length)),
            O::Listen { fd, backlog } => Outcome::of(self.listen(core, fd, backlog)),
            O::Shutdown { fd, how } => Outcome::of(self.shut_down(core, fd, how)),
            O::Close { fd } => Outcome::of(self.close(core, fd)),
            O::Pipe { descriptors, .. } => Outcome::of(self.make_pipe(core, descriptors)),
            O::Connect { fd, address, address_length } => self.connect(begun, fd, address, address_length),
            O::Accept { fd, address, address_length, .. } => self.accept(core, fd, Some((address, address_length))),
            O::AcceptMultishot { fd, .. } => self.accept(core, fd, None),
            O::Poll { fd, events } => self.poll(core, fd, events),
            O::Receive { fd, address, length, flags, .. } => self.receive(core, fd, &Sink::Room(memory::at(address, length)), flags),
            O::Read { fd, address, length, .. } | O::ReadFixed { fd, address, length, .. } => self.receive(core, fd, &Sink::Room(memory::at(address, length)), 0),
            O::ReadVectored { fd, vectors, count, .. } => self.receive(core, fd, &Sink::Room(memory::vectors(vectors, count as usize)), 0),
            O::ReceiveMessage { fd, header, flags } => self.receive(core, fd, &Sink::Message(header), flags),
            O::ReceiveProvided { fd, group, length } | O::ReadProvided { fd, group, length, .. } => self.receive(core, fd, &Sink::Group { group, length, more: false }, 0),
            O::ReceiveMultishot { fd, group, .. } => self.receive(core, fd, &Sink::Group { group, length: u32::MAX, more: true }, 0),
            O::ReceiveMessageMultishot { fd, header, group } => self.receive(core, fd, &Sink::Messages { header, group }, 0),
            O::Send { fd, address, length, flags } => self.send(core, fd, &Source::Room(memory::at(address, length)), flags),
            O::Write { fd, address, length, .. } | O::WriteFixed { fd, address, length, .. } => self.send(core, fd, &Source::Room(memory::at(address, length)), 0),
            O::WriteVectored { fd, vectors, count, .. } => self.send(core, fd, &Source::Room(memory::vectors(vectors, count as usize)), 0),
            O::SendMessage { fd, header, flags } => self.send(core, fd, &Source::Message(header), flags),
            O::Sync { fd, .. } | O::Truncate { fd, .. } | O::Allocate { fd, .. } => Outcome::of(self.object(core, fd).and(Err(libc::EINVAL))),
            O::Open { .. } | O::Status { .. } | O::Rename { .. } | O::Remove { .. } | O::MakeDirectory { .. } | O::HardLink { .. }
                | O::SymbolicLink { .. } => unreachable!("a disk does it: {:?}", begun.operation),
        }
    }

    /// Whoever a socket for Unix datagrams is connected with, if there is no room for one more.
    fn full_receiver(&mut self, id: ObjectId) -> Option<ObjectId> {
        let datagrams = self.objects.datagrams(id)?;
        let receiver = datagrams.peer.filter(|_| datagrams.is_unix)?;
        let is_full = !self.objects.datagrams(receiver)?.has_room(0, usize::MAX);
        is_full.then_some(receiver)
    }

    fn poll(&mut self, core: usize, fd: Descriptor, wanted: u32) -> Outcome {
        let id = match self.object(core, fd) {
            Ok(id) => id,
            Err(errno) => return Outcome::of(Err(errno)),
        };
        if wanted & libc::POLLOUT as u32 != 0
            && let Some(receiver) = self.full_receiver(id)
        {
            return Outcome::Waits(receiver, Direction::Sending);
        }
        let there = match self.objects.get(id).map(|object| &object.kind) {
            Some(Kind::Stream(stream)) => stream.events(),
            Some(Kind::Datagrams(datagrams)) => datagrams.events(),
            Some(Kind::Listener(listener)) => listener.events(),
            Some(Kind::Signal(watched)) => watched.events(),
            // What can always be read and written is always ready.
            Some(Kind::File(_)) => i32::from(libc::POLLIN | libc::POLLOUT),
            None => 0,
        };
        let always = i32::from(libc::POLLERR | libc::POLLHUP);
        let found = there & (wanted.cast_signed() | always);
        match found {
            0 => Outcome::Waits(id, direction_of_poll(wanted)),
            _ => Outcome::of(Ok(found)),
        }
    }
}

fn direction_of_poll(events: u32) -> Direction {
    match events & libc::POLLOUT as u32 {
        0 => Direction::Receiving,
        _ => Direction::Sending,
    }
}

/// Whether it leaves out where a header is, or where descriptors are to go. Other addresses are followed.
pub(super) fn names_no_memory(operation: &Operation) -> bool {
    use Operation as O;
    matches!(
        operation,
        O::ReceiveMessage {
            header: Address(0),
            ..
        } | O::SendMessage {
            header: Address(0),
            ..
        } | O::Pipe {
            descriptors: Address(0),
            ..
        }
    )
}

/// Where an operation has its turn after those that were begun before it.
fn queue_of(operation: &Operation) -> Option<(Descriptor, Direction)> {
    use Operation as O;
    match *operation {
        O::Receive { fd, .. }
        | O::Read { fd, .. }
        | O::ReadFixed { fd, .. }
        | O::ReadVectored { fd, .. }
        | O::ReceiveMessage { fd, .. }
        | O::ReceiveProvided { fd, .. }
        | O::ReadProvided { fd, .. }
        | O::ReceiveMultishot { fd, .. }
        | O::ReceiveMessageMultishot { fd, .. }
        | O::Accept { fd, .. }
        | O::AcceptMultishot { fd, .. } => Some((fd, Direction::Receiving)),
        O::Send { fd, .. }
        | O::Write { fd, .. }
        | O::WriteFixed { fd, .. }
        | O::WriteVectored { fd, .. }
        | O::SendMessage { fd, .. } => Some((fd, Direction::Sending)),
        _ => None,
    }
}
