//! Sources: what owns descriptors and the operations on them.
//!
//! The future of a read does not own the read: the stream does. That is why dropping
//! a future loses nothing. A handle (`TcpStream`, `TcpListener`…) is only the name of a
//! source, a [`SourceId`]; it can be sent anywhere, and is dropped from anywhere, but
//! it is of use only on the core where its source lives.

mod accept;
mod access;
mod ahead;
mod closing;
mod cursor;
mod datagrams;
mod exchange;
mod file;
mod file_ops;
mod find;
mod hand_over;
mod lanes;
mod listener;
mod outbox;
mod receiving;
mod span;
mod stream;
#[cfg(test)]
mod tests;
#[cfg(feature = "console")]
mod told;
mod transfer;
mod vectored;
mod waiters;

use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use slab::Slab;

pub(crate) use crate::op::StreamKind;
pub(crate) use accept::{AcceptNext, CloseListener};
pub(crate) use access::{Access, At, CloseFile};
#[cfg(test)]
pub(crate) use ahead::{AHEAD_BYTES_MAX, AHEAD_DATAGRAMS_MAX};
pub(crate) use cursor::TakeCursor;
pub(crate) use datagrams::{Datagrams, SENDS_MAX, Traits};
pub(crate) use exchange::{IncomingDatagram, OutgoingDatagram};
pub(crate) use file::File;
use find::find;
pub(crate) use find::{datagrams, descriptor, file, listener, stream};
pub(crate) use hand_over::HandOver;
pub(crate) use lanes::{CloseLanes, CloseStream};
pub(crate) use listener::Listener;
#[cfg(test)]
pub(crate) use listener::{AHEAD_MAX, PAUSE_FIRST, PAUSE_MAX};
#[cfg(all(test, feature = "futures-io"))]
pub(crate) use outbox::ACCEPTED_MAX;
pub(crate) use receiving::ReceiveNext;
pub(crate) use stream::{Luggage, Stream, unpack};
pub(crate) use transfer::{Incoming, Outgoing, Transfer};

use crate::buf::Post;
use crate::context::{self, Current};
use crate::cores::CoreId;
use crate::driver::{Completion, Control, Descriptor, Key, OwnedDescriptor};
use crate::inflight::{Attachment, Delivery, Finished, Role, outside_error};

/// The name of a source: the core where it lives, its place there, and which of
/// those that had this place it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SourceId {
    home: CoreId,
    index: u32,
    generation: u32,
}

impl SourceId {
    /// The core where it lives.
    pub(crate) fn home(self) -> CoreId {
        self.home
    }

    fn attachment(self, role: Role) -> Attachment {
        Attachment {
            index: self.index,
            generation: self.generation,
            role,
        }
    }
}

#[derive(Clone)]
enum Source {
    Stream(Rc<Stream>),
    Listener(Rc<Listener>),
    Datagrams(Rc<Datagrams>),
    File(Rc<File>),
}

impl Source {
    /// Which of those it is that had its place.
    #[inline]
    fn generation(&self) -> u32 {
        match self {
            Source::Stream(stream) => stream.generation(),
            Source::Listener(listener) => listener.id().generation,
            Source::Datagrams(datagrams) => datagrams.id().generation,
            Source::File(file) => file.id().generation,
        }
    }

    /// An operation has ended. True if the source may go on with closing. Runs no code of the user.
    #[inline]
    fn take_note(&self, role: Role, completion: Completion) -> bool {
        match self {
            Source::Stream(stream) => stream.take_note(role, completion),
            Source::Datagrams(datagrams) => datagrams.take_note(role, completion),
            Source::File(file) => file.take_note(role),
            Source::Listener(_) => false,
        }
    }

    #[cold]
    fn progress(&self) {
        match self {
            Source::Stream(stream) => stream.progress(),
            Source::Datagrams(datagrams) => datagrams.progress(),
            Source::File(file) => file.progress(),
            Source::Listener(_) => {}
        }
    }
}

/// The sources of one core.
pub(crate) struct Sources {
    home: CoreId,
    table: RefCell<Slab<Source>>,
    made: Cell<u32>,
    /// `None` inside if they could not be made.
    post: OnceCell<Option<Rc<Post>>>,
}

thread_local! {
    static SOURCES: Current<Sources> = const { Current::none() };
}

/// Calls `f` with the sources of the core this thread is running; `None` outside a runtime.
#[inline]
pub(crate) fn with<R>(f: impl FnOnce(&Sources) -> R) -> Option<R> {
    SOURCES.with(|current| current.with(f))
}

/// Makes `sources` current on this thread and returns those before.
pub(crate) fn replace(sources: Option<Rc<Sources>>) -> Option<Rc<Sources>> {
    SOURCES.with(|current| current.replace(sources))
}

impl Sources {
    pub(crate) fn new(home: CoreId) -> Sources {
        Sources {
            home,
            table: RefCell::default(),
            made: Cell::new(0),
            post: OnceCell::new(),
        }
    }

    fn insert(&self, make: impl FnOnce(SourceId) -> Source) -> SourceId {
        let generation = self.made.get().wrapping_add(1);
        self.made.set(generation);
        let index = self.table.borrow().vacant_key();
        let id = SourceId {
            home: self.home,
            index: index as u32,
            generation,
        };
        let source = make(id);
        let inserted = self.table.borrow_mut().insert(source);
        debug_assert_eq!(inserted, index, "nothing was inserted in between");
        #[cfg(feature = "console")]
        if let Some(source) = self.get(id.index, generation) {
            told::tell_made(id, &source);
        }
        id
    }

    fn get(&self, index: u32, generation: u32) -> Option<Source> {
        self.pick(index, generation, |source| Some(source.clone()))
    }

    /// What `pick`, which does nothing but look, takes of a source.
    #[inline]
    fn pick<T>(
        &self,
        index: u32,
        generation: u32,
        pick: impl FnOnce(&Source) -> Option<T>,
    ) -> Option<T> {
        let table = self.table.borrow();
        let source = table.get(index as usize)?;
        if source.generation() != generation {
            return None;
        }
        pick(source)
    }

    fn remove(&self, index: u32, generation: u32) {
        let is_it = self.get(index, generation).is_some();
        let gone = is_it.then(|| self.table.borrow_mut().remove(index as usize));
        drop(gone);
        #[cfg(feature = "console")]
        told::tell_gone(index, generation);
    }

    /// The descriptor of the source that such an operation works for.
    pub(crate) fn descriptor(&self, attachment: Attachment) -> Option<Descriptor> {
        self.pick(attachment.index, attachment.generation, |source| {
            Some(find::descriptor_of(source))
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.table.borrow().len()
    }

    fn all(&self) -> Vec<Source> {
        self.table
            .borrow()
            .iter()
            .map(|(_, source)| source.clone())
            .collect()
    }

    /// Begins to close everything; sends go on.
    pub(crate) fn close_all(&self) {
        for source in self.all() {
            match source {
                Source::Stream(stream) => stream.close(),
                Source::Listener(listener) => {
                    listener.close();
                    drop(listener.take_accepted());
                }
                Source::Datagrams(datagrams) => datagrams.close(),
                Source::File(file) => file.close(),
            }
        }
    }

    /// True while bytes that were accepted for sending, and changes of files, are on their way.
    pub(crate) fn has_unsent(&self) -> bool {
        self.all().iter().any(|source| match source {
            Source::Stream(stream) => stream.has_unsent(),
            Source::Datagrams(datagrams) => datagrams.has_unsent(),
            Source::File(file) => file.has_unwritten(),
            Source::Listener(_) => false,
        })
    }

    /// Gives up what has not been sent.
    pub(crate) fn give_up(&self) {
        for source in self.all() {
            match source {
                Source::Stream(stream) => stream.linger_is_over(),
                Source::Datagrams(datagrams) => datagrams.linger_is_over(),
                Source::Listener(_) | Source::File(_) => {}
            }
        }
    }

    /// Tells a source of what has happened to one of its operations. The caller wakes afterwards.
    pub(crate) fn observe(&self, attachment: Attachment, completion: Completion) {
        let Attachment {
            index,
            generation,
            role,
        } = attachment;
        let ending = self.pick(index, generation, |source| {
            source.take_note(role, completion).then(|| source.clone())
        });
        if let Some(ending) = ending {
            ending.progress();
        }
    }

    /// Gives a source what belongs to it.
    pub(crate) fn deliver(&self, delivery: Delivery) {
        match delivery {
            Delivery::More {
                attachment,
                completion,
                descriptor,
            } => match self.get(attachment.index, attachment.generation) {
                Some(Source::Listener(listener)) => listener.one_more(descriptor),
                Some(Source::Stream(stream)) => stream.received_more(completion),
                Some(Source::Datagrams(datagrams)) => datagrams.one_more(),
                Some(Source::File(_)) | None => {}
            },
            Delivery::Source {
                key,
                attachment,
                finished,
            } => self.deliver_last(key, attachment, finished),
            _ => {}
        }
    }

    fn deliver_last(&self, key: Key, attachment: Attachment, finished: Finished) {
        let Attachment {
            index,
            generation,
            role,
        } = attachment;
        let Some(source) = self.get(index, generation) else {
            return;
        };
        match (source, role) {
            (Source::Stream(stream), Role::Close) => {
                drop(finished);
                self.closed(index, generation, stream.closing.finish());
            }
            (Source::Listener(listener), Role::Close) => {
                drop(finished);
                self.closed(index, generation, listener.closing.finish());
            }
            (Source::Datagrams(datagrams), Role::Close) => {
                drop(finished);
                self.closed(index, generation, datagrams.closing.finish());
            }
            (Source::Datagrams(datagrams), Role::Receive) if datagrams.is_armed() => {
                datagrams.disarmed(finished);
            }
            (Source::Datagrams(datagrams), _) => {
                datagrams.observe(role, finished.completion());
                datagrams.adopt(role, finished);
            }
            (Source::File(file), Role::Close) => {
                let may_go = file.closed(finished.completion());
                self.closed(index, generation, may_go);
            }
            (Source::File(file), _) => file.deliver(key, role, finished),
            (Source::Stream(stream), Role::Receive) if stream.is_armed() => {
                stream.disarmed(finished);
            }
            (Source::Stream(stream), _) => {
                let completion = finished.completion();
                stream.observe(role, completion);
                stream.adopt(role, finished);
            }
            (Source::Listener(listener), _) => listener.ended(finished),
        }
    }

    fn closed(&self, index: u32, generation: u32, may_go: bool) {
        if may_go {
            self.remove(index, generation);
        }
    }

    /// A deadline that a source has set for itself has passed.
    pub(crate) fn timer_fired(&self, index: u32, generation: u32) {
        match self.get(index, generation) {
            Some(Source::Stream(stream)) => stream.linger_is_over(),
            Some(Source::Listener(listener)) => listener.timer_fired(),
            Some(Source::Datagrams(datagrams)) => datagrams.linger_is_over(),
            Some(Source::File(_)) | None => {}
        }
    }
}

/// Takes over a descriptor that was not made here: whatever the driver knew of its number is not true any more.
pub(crate) fn inherit(fd: impl Into<OwnedFd>) -> OwnedDescriptor {
    let fd = OwnedDescriptor::from(fd.into());
    forget(&fd);
    fd
}

/// A descriptor leaves: it is not the driver's affair any more.
pub(crate) fn forget(fd: &OwnedDescriptor) {
    let forget = Control::Forget { fd: fd.as_raw_fd() };
    // It never fails; outside a runtime there is no driver that could know of it.
    let _ = context::with(|core| core.driver.borrow_mut().control(forget));
}

/// Makes a stream of a connected descriptor. Outside a runtime the descriptor is closed.
pub(crate) fn add_stream(fd: OwnedDescriptor, kind: StreamKind) -> io::Result<SourceId> {
    with(|sources| sources.insert(|id| Source::Stream(Rc::new(Stream::new(id, fd, kind)))))
        .ok_or_else(outside_error)
}

/// Makes a listener of a listening socket. Outside a runtime the socket is closed.
pub(crate) fn add_listener(fd: OwnedDescriptor) -> io::Result<SourceId> {
    with(|sources| sources.insert(|id| Source::Listener(Rc::new(Listener::new(id, fd)))))
        .ok_or_else(outside_error)
}

/// The buffers of this core for datagrams that are received ahead, made when they are first wanted; `None` if
/// the kernel does not have such.
fn post() -> Option<Rc<Post>> {
    with(|sources| {
        sources
            .post
            .get_or_init(|| Post::new().ok().map(Rc::new))
            .clone()
    })
    .flatten()
}

/// Makes a source of a datagram socket. Outside a runtime the socket is closed.
pub(crate) fn add_datagrams(fd: OwnedDescriptor, traits: Traits) -> io::Result<SourceId> {
    let linger = context::with(|core| core.linger).unwrap_or(Duration::ZERO);
    with(|sources| {
        sources.insert(|id| Source::Datagrams(Rc::new(Datagrams::new(id, fd, traits, linger))))
    })
    .ok_or_else(outside_error)
}

/// Makes a file of a descriptor that has a position, and these flags (`O_…`). Outside a runtime it is closed.
pub(crate) fn add_file(fd: OwnedDescriptor, flags: i32, position: u64) -> io::Result<SourceId> {
    let file = |id| Source::File(Rc::new(File::new(id, fd, flags, position)));
    with(|sources| sources.insert(file)).ok_or_else(outside_error)
}

/// Runs `f` on the core where the source lives: now, if that is this one, else by letter.
/// After the end of that core there is nothing left to do.
fn at_home(id: SourceId, f: impl FnOnce() + Send + 'static) {
    if context::current_id() == Some(id.home) {
        f();
        return;
    }
    let letter = move || {
        // A letter may arrive in the mailbox's next life.
        if context::current_id() == Some(id.home) {
            f();
        }
    };
    drop(id.home.post(Box::new(letter)));
}

/// The handle is gone: closes the source, in good order, in the background.
pub(crate) fn close(id: SourceId) {
    at_home(id, move || match find(id) {
        Ok(Source::Stream(stream)) => stream.close(),
        Ok(Source::Listener(listener)) => {
            listener.close();
            drop(listener.take_accepted());
        }
        Ok(Source::Datagrams(datagrams)) => datagrams.close(),
        Ok(Source::File(file)) => file.close(),
        Err(_) => {}
    });
}

/// Bytes were accepted for sending, and nobody waits for that any more.
fn send_later(id: SourceId, bytes: Vec<u8>) {
    at_home(id, move || {
        if let Err(error) = stream(id).and_then(|stream| stream.send_later(bytes)) {
            tracing::debug!(%error, "written bytes are given up");
        }
    });
}

#[cfg(feature = "futures-io")]
/// Bytes that were read and not used go back to their stream, or the cursor of their file goes back before them.
pub(crate) fn give_back(id: SourceId, bytes: Vec<u8>) {
    at_home(id, move || match find(id) {
        Ok(Source::Stream(stream)) => stream.give_back(&bytes),
        Ok(Source::File(file)) => file.step_back(bytes.len()),
        _ => {}
    });
}

/// The writing half of a stream is gone.
pub(crate) fn shutdown_write(id: SourceId) {
    at_home(id, move || {
        if let Ok(stream) = stream(id) {
            stream.shutdown_write();
        }
    });
}

fn foreign_error(home: CoreId, current: CoreId) -> io::Error {
    io::Error::other(format!(
        "this handle belongs to {home} and cannot be used on {current}: use it in a task of its own core"
    ))
}

fn ended_error() -> io::Error {
    io::Error::other("the krug runtime that this handle belongs to has ended")
}

pub(crate) fn closed_error() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "this handle was closed")
}
