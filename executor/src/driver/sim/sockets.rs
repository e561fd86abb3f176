//! Calls that make, shut down and close.

use super::datagrams::Datagrams;
use super::memory;
use super::network::Segment;
use super::objects::{Kind, ObjectId};
use super::stream::{Carrier, Stage, Stream};
use super::world::World;
use crate::driver::{Address, Descriptor};

impl World {
    pub(super) fn host(&self, core: usize) -> usize {
        self.cores[core].host
    }

    pub(super) fn make_socket(&mut self, core: usize, domain: i32, kind: i32) -> Result<i32, i32> {
        let id = self.add_socket(self.host(core), domain, kind)?;
        Ok(self.objects.name(id))
    }

    fn add_socket(&mut self, host: usize, domain: i32, kind: i32) -> Result<ObjectId, i32> {
        let is_unix = domain == libc::AF_UNIX;
        if !is_unix && ![libc::AF_INET, libc::AF_INET6].contains(&domain) {
            return Err(libc::EAFNOSUPPORT);
        }
        let kind = match kind & !(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK) {
            libc::SOCK_STREAM => {
                let carrier = if is_unix { Carrier::Unix } else { Carrier::Tcp };
                Kind::Stream(Box::new(Stream::new(carrier, Stage::Fresh)))
            }
            libc::SOCK_DGRAM => Kind::Datagrams(Box::new(Datagrams::new(is_unix))),
            _ => return Err(libc::EPROTONOSUPPORT),
        };
        Ok(self.objects.add(host, domain, kind))
    }

    /// Two sockets that are connected to each other.
    pub(super) fn make_pair(
        &mut self,
        core: usize,
        domain: i32,
        kind: i32,
    ) -> Result<[Descriptor; 2], i32> {
        if domain != libc::AF_UNIX {
            return Err(libc::EOPNOTSUPP);
        }
        let host = self.host(core);
        let ends = [
            self.add_socket(host, domain, kind)?,
            self.add_socket(host, domain, kind)?,
        ];
        for (end, other) in [(ends[0], ends[1]), (ends[1], ends[0])] {
            match self.objects.get_mut(end).map(|object| &mut object.kind) {
                Some(Kind::Stream(stream)) => {
                    stream.stage = Stage::Connected;
                    stream.peer = Some(other);
                }
                Some(Kind::Datagrams(datagrams)) => datagrams.peer = Some(other),
                _ => {}
            }
        }
        Ok(ends.map(|end| self.objects.name(end)))
    }

    pub(super) fn make_pipe(&mut self, core: usize, descriptors: Address) -> Result<i32, i32> {
        let host = self.host(core);
        let mut end = || {
            let stream = Stream::new(Carrier::Pipe, Stage::Connected);
            self.objects.add(host, 0, Kind::Stream(Box::new(stream)))
        };
        let (reader, writer) = (end(), end());
        if let Some(stream) = self.objects.stream(reader) {
            stream.peer = Some(writer);
            stream.is_shut_for_writing = true;
        }
        if let Some(stream) = self.objects.stream(writer) {
            stream.peer = Some(reader);
            stream.is_shut_for_reading = true;
        }
        let ends = [self.objects.name(reader), self.objects.name(writer)];
        memory::store_descriptors(descriptors, ends);
        Ok(0)
    }

    pub(super) fn shut_down(&mut self, core: usize, fd: Descriptor, how: i32) -> Result<i32, i32> {
        let id = self.object(core, fd)?;
        let reading = how == libc::SHUT_RD || how == libc::SHUT_RDWR;
        let writing = how == libc::SHUT_WR || how == libc::SHUT_RDWR;
        let result = match self.objects.get_mut(id).map(|object| &mut object.kind) {
            Some(Kind::Listener(listener)) => {
                listener.is_shut |= reading;
                Ok(0)
            }
            Some(Kind::Datagrams(datagrams)) => {
                datagrams.is_shut_for_reading |= reading;
                datagrams.is_shut_for_writing |= writing;
                let is_connected = datagrams.remote.is_some() || datagrams.is_unix;
                is_connected.then_some(0).ok_or(libc::ENOTCONN)
            }
            Some(Kind::Stream(stream)) if stream.carrier == Carrier::Pipe => Err(libc::ENOTSOCK),
            Some(Kind::Stream(stream)) if stream.is_through() => Err(libc::ENOTCONN),
            Some(Kind::Stream(stream)) if stream.stage == Stage::Connected => {
                self.shut_down_stream(id, reading, writing);
                Ok(0)
            }
            Some(Kind::Stream(_)) => Err(libc::ENOTCONN),
            Some(Kind::File(_) | Kind::Signal(_)) => Err(libc::ENOTSOCK),
            None => Err(libc::EBADF),
        };
        self.stir(id);
        result
    }

    fn shut_down_stream(&mut self, id: ObjectId, reading: bool, writing: bool) {
        let Some(stream) = self.objects.stream(id) else {
            return;
        };
        stream.is_shut_for_reading |= reading;
        let ends_now = writing && !stream.is_shut_for_writing;
        stream.is_shut_for_writing |= writing;
        let (carrier, peer) = (stream.carrier, stream.peer);
        if carrier == Carrier::Tcp {
            if ends_now {
                self.send_segment(id, Segment::End);
            }
            return;
        }
        let Some(peer) = peer else { return };
        if let Some(stream) = self.objects.stream(peer) {
            stream.has_ended |= writing;
            stream.is_shut_for_writing |= reading;
        }
        self.stir(peer);
    }

    pub(super) fn close(&mut self, core: usize, fd: Descriptor) -> Result<i32, i32> {
        self.object(core, fd)?;
        if let Some(id) = self.objects.forget(fd) {
            self.close_object(id);
        }
        Ok(0)
    }

    /// As [`close`](World::close), where nobody waits for the result.
    pub(super) fn close_unheard(&mut self, core: usize, fd: Descriptor) {
        if !self.is_dead(core) {
            let _ = self.close(core, fd);
            self.settle();
        }
    }

    /// The owner of a descriptor was dropped, on whichever core's turn.
    pub(super) fn close_dropped(&mut self, fd: Descriptor) {
        if let Some(id) = self.objects.forget(fd) {
            self.close_object(id);
            self.settle();
        }
    }

    /// Nobody has it open any more.
    pub(super) fn close_object(&mut self, id: ObjectId) {
        match self.objects.get(id).map(|object| &object.kind) {
            Some(Kind::Stream(_)) => self.close_stream(id),
            Some(Kind::File(_)) => self.unlock(id),
            Some(Kind::Datagrams(_) | Kind::Listener(_) | Kind::Signal(_)) | None => {}
        }
        self.unix_names.retain(|_, bound| *bound != id);
        self.memberships.retain(|(_, member)| *member != id);
        let Some(object) = self.objects.remove(id) else {
            return;
        };
        for begun in object.receiving.into_iter().chain(object.sending) {
            // Who waits for room here asks again, and learns that it is gone.
            self.begin(begun.core, begun.key, begun.operation);
        }
        if let Kind::Listener(listener) = object.kind {
            self.reset_waiting(*listener);
        }
    }

    fn close_stream(&mut self, id: ObjectId) {
        let is_abrupt = self
            .objects
            .get(id)
            .is_some_and(|object| object.resets_when_closed);
        let Some(stream) = self.objects.stream(id) else {
            return;
        };
        let has_unread = !stream.incoming.is_empty();
        let was_ended = stream.is_shut_for_writing;
        let is_through = stream.is_through();
        let (carrier, stage, peer) = (stream.carrier, stream.stage, stream.peer);
        if stage != Stage::Connected {
            return;
        }
        match carrier {
            Carrier::Tcp if is_through => {}
            Carrier::Tcp if has_unread || is_abrupt => self.send_segment(id, Segment::Reset),
            Carrier::Tcp if was_ended => {}
            Carrier::Tcp => self.send_segment(id, Segment::End),
            Carrier::Unix | Carrier::Pipe => {
                let Some(peer) = peer else { return };
                if let Some(stream) = self.objects.stream(peer) {
                    stream.has_ended = true;
                    stream.is_shut_for_writing = true;
                    stream.peer = None;
                    if has_unread && carrier == Carrier::Unix {
                        stream.error = Some(libc::ECONNRESET);
                    }
                }
                self.stir(peer);
            }
        }
    }
}
