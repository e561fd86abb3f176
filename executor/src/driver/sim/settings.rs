//! What is asked of a simulated kernel and answered at once.

use std::time::Duration;

use super::name::SocketName;
use super::objects::{Kind, ObjectId};
use super::stream::{Carrier, Stage};
use super::world::World;
use crate::driver::{Answer, Control, Descriptor, Name, OptionName, SocketOption};

impl World {
    pub(super) fn control(&mut self, core: usize, control: Control) -> Result<Answer, i32> {
        match control {
            Control::SetOption { fd, option } => self.set_option(core, fd, option),
            Control::GetOption { fd, option } => {
                let id = self.object(core, fd)?;
                let object = self.objects.get(id).ok_or(libc::EBADF)?;
                check_family(option, object.domain)?;
                Ok(Answer::Option(option.with(object.option(option))))
            }
            Control::TakeError { fd } => {
                let id = self.object(core, fd)?;
                let error = match self.objects.get_mut(id).map(|object| &mut object.kind) {
                    Some(Kind::Stream(stream)) => stream.error.take(),
                    Some(Kind::Datagrams(datagrams)) => datagrams.error.take(),
                    Some(Kind::File(_) | Kind::Signal(_)) => return Err(libc::ENOTSOCK),
                    Some(Kind::Listener(_)) | None => None,
                };
                Ok(Answer::Number(error.unwrap_or(0)))
            }
            Control::SocketName { fd } => {
                let id = self.socket(core, fd)?;
                let name = self.local_name(id).unwrap_or_else(|| self.no_name(id));
                Ok(answer(&name))
            }
            Control::PeerName { fd } => {
                let id = self.socket(core, fd)?;
                self.peer_name(id).map(|name| answer(&name))
            }
            Control::SocketPair { domain, kind, .. } => {
                self.make_pair(core, domain, kind).map(Answer::Pair)
            }
            Control::Position { fd } => self.seek(core, fd, None),
            Control::SetPosition { fd, offset } => self.seek(core, fd, Some(offset)),
            Control::StatusFlags { fd } => {
                let id = self.object(core, fd)?;
                Ok(Answer::Number(self.status_flags(id)))
            }
            Control::MakeBlocking { fd } => self.object(core, fd).map(|_| Answer::Done),
            Control::Duplicate { fd } => {
                let id = self.object(core, fd)?;
                Ok(Answer::Descriptor(self.objects.name(id)))
            }
            Control::Lock { fd, exclusive } => self.lock(core, fd, exclusive),
            Control::Unlock { fd } => {
                let (id, _) = self.file(core, fd)?;
                self.unlock(id);
                Ok(Answer::Done)
            }
            Control::Hush { fd } => self.hush(core, fd).map(|()| Answer::Done),
            Control::Forget { .. } => Ok(Answer::Done),
        }
    }

    fn socket(&mut self, core: usize, fd: Descriptor) -> Result<ObjectId, i32> {
        let id = self.object(core, fd)?;
        let is_pipe = |carrier| carrier == Carrier::Pipe;
        match self.objects.get(id).map(|object| &object.kind) {
            Some(Kind::Stream(stream)) if is_pipe(stream.carrier) => Err(libc::ENOTSOCK),
            Some(Kind::File(_) | Kind::Signal(_)) => Err(libc::ENOTSOCK),
            _ => Ok(id),
        }
    }

    /// The cursor of a file, after it has been moved if that is wanted.
    fn seek(&mut self, core: usize, fd: Descriptor, target: Option<u64>) -> Result<Answer, i32> {
        let id = self.object(core, fd)?;
        match self.objects.get_mut(id).map(|object| &mut object.kind) {
            Some(Kind::File(file)) => {
                file.position = target.unwrap_or(file.position);
                Ok(Answer::Offset(file.position))
            }
            _ => Err(libc::ESPIPE),
        }
    }

    fn lock(&mut self, core: usize, fd: Descriptor, exclusive: bool) -> Result<Answer, i32> {
        let (id, inode) = self.file(core, fd)?;
        let owner = id.number();
        let disk = &mut self.machines[self.cores[core].host].disk;
        let lock = &mut disk.inode_mut(inode)?.lock;
        let held_by_other = lock.held_by.is_some_and(|holder| holder != owner);
        let shared_with_others = lock.shared_by.iter().any(|holder| *holder != owner);
        if held_by_other || (exclusive && shared_with_others) {
            return Err(libc::EWOULDBLOCK);
        }
        lock.shared_by.retain(|holder| *holder != owner);
        lock.held_by = exclusive.then_some(owner);
        if !exclusive {
            lock.shared_by.push(owner);
        }
        Ok(Answer::Done)
    }

    /// Whatever lock an open file has is given up.
    pub(super) fn unlock(&mut self, id: ObjectId) {
        let Some(object) = self.objects.get(id) else {
            return;
        };
        let (Kind::File(file), owner) = (&object.kind, id.number()) else {
            return;
        };
        let (inode, host) = (file.inode, object.host);
        if let Ok(inode) = self.machines[host].disk.inode_mut(inode) {
            inode.lock.shared_by.retain(|holder| *holder != owner);
            if inode.lock.held_by == Some(owner) {
                inode.lock.held_by = None;
            }
        }
    }

    /// The flags that it was opened with.
    fn status_flags(&mut self, id: ObjectId) -> i32 {
        if let Some(Kind::File(file)) = self.objects.get(id).map(|object| &object.kind) {
            return file.flags;
        }
        match self.objects.stream(id) {
            Some(stream) if stream.carrier == Carrier::Pipe => match stream.is_shut_for_writing {
                true => libc::O_RDONLY,
                false => libc::O_WRONLY,
            },
            _ => libc::O_RDWR,
        }
    }

    /// Of a socket that was not bound.
    fn no_name(&self, id: ObjectId) -> SocketName {
        let nothing = match self.objects.get(id).map(|object| object.domain) {
            Some(libc::AF_INET) => "0.0.0.0:0",
            Some(libc::AF_INET6) => "[::]:0",
            _ => return SocketName::Unnamed,
        };
        nothing
            .parse()
            .map_or(SocketName::Unnamed, SocketName::Internet)
    }

    fn peer_name(&mut self, id: ObjectId) -> Result<SocketName, i32> {
        let object = self.objects.get(id).ok_or(libc::EBADF)?;
        let is_unix = object.domain == libc::AF_UNIX;
        match &object.kind {
            Kind::Stream(stream) if stream.peer.is_none() && !is_unix => Err(libc::ENOTCONN),
            Kind::Stream(stream) if stream.is_through() => Err(libc::ENOTCONN),
            Kind::Stream(stream) => match &stream.remote {
                Some(name) => Ok(name.clone()),
                // A Unix stream remembers its peer when that is gone.
                None if stream.peer.is_some() || stream.stage == Stage::Connected => {
                    Ok(SocketName::Unnamed)
                }
                None => Err(libc::ENOTCONN),
            },
            Kind::Datagrams(datagrams) => match (&datagrams.remote, datagrams.peer) {
                (Some(name), _) => Ok(name.clone()),
                (None, Some(_)) => Ok(SocketName::Unnamed),
                (None, None) => Err(libc::ENOTCONN),
            },
            Kind::Listener(_) => Err(libc::ENOTCONN),
            Kind::File(_) | Kind::Signal(_) => Err(libc::ENOTSOCK),
        }
    }

    fn set_option(
        &mut self,
        core: usize,
        fd: Descriptor,
        option: SocketOption,
    ) -> Result<Answer, i32> {
        let id = self.socket(core, fd)?;
        if let Some(changed) = self.change_membership(id, option) {
            return changed.map(|()| Answer::Done);
        }
        let object = self.objects.get_mut(id).ok_or(libc::EBADF)?;
        match option {
            SocketOption::Linger(time) => {
                object.resets_when_closed = time == Some(Duration::ZERO);
            }
            _ => {
                let (name, value) = option.number().ok_or(libc::ENOPROTOOPT)?;
                check_family(name, object.domain)?;
                let is_size = [OptionName::ReceiveBuffer, OptionName::SendBuffer].contains(&name);
                // The kernel doubles what it is given.
                let value = if is_size {
                    value.saturating_mul(2).max(2304)
                } else {
                    value
                };
                object.options.insert(name, value);
            }
        }
        Ok(Answer::Done)
    }
}

/// Options of version 6 of the internet protocol are for its sockets alone.
fn check_family(option: OptionName, domain: i32) -> Result<(), i32> {
    let is_of_v6 = matches!(
        option,
        OptionName::OnlyV6
            | OptionName::TrafficClass
            | OptionName::HopLimit
            | OptionName::MulticastLoopV6
            | OptionName::MulticastHopLimit
    );
    match is_of_v6 && domain == libc::AF_INET {
        true => Err(libc::ENOPROTOOPT),
        false => Ok(()),
    }
}

fn answer(name: &SocketName) -> Answer {
    Answer::Name(Name::new(name.to_raw().as_bytes()))
}
