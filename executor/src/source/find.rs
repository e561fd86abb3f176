//! From the name of a source to the source, if it lives on the current core.

use std::io;
use std::rc::Rc;

use super::{
    Datagrams, File, Listener, SOURCES, Source, SourceId, Stream, closed_error, ended_error,
    foreign_error, with,
};
use crate::driver::Descriptor;
use crate::inflight::outside_error;

/// What `pick` takes of the source of this name, if it lives on the current core and is of the kind that is meant.
#[inline]
fn find_as<T>(id: SourceId, pick: impl FnOnce(&Source) -> Option<T>) -> io::Result<T> {
    let found = SOURCES.with(|current| {
        current.look(|sources| {
            let is_here = sources.home == id.home;
            is_here.then(|| sources.pick(id.index, id.generation, pick))
        })
    });
    match found {
        Some(Some(Some(found))) => Ok(found),
        Some(here) => Err(not_found(id, here.is_some())),
        None => Err(no_core(id)),
    }
}

#[cold]
fn not_found(id: SourceId, is_here: bool) -> io::Error {
    let current = with(|sources| sources.home);
    match current {
        Some(current) if !is_here => foreign_error(id.home, current),
        _ => closed_error(),
    }
}

#[cold]
fn no_core(id: SourceId) -> io::Error {
    match id.home.is_alive() {
        true => outside_error(),
        false => ended_error(),
    }
}

pub(super) fn find(id: SourceId) -> io::Result<Source> {
    find_as(id, |source| Some(source.clone()))
}

/// The stream of this name, if it lives on the current core.
pub(crate) fn stream(id: SourceId) -> io::Result<Rc<Stream>> {
    find_as(id, |source| match source {
        Source::Stream(stream) => Some(stream.clone()),
        _ => None,
    })
}

/// The same, unless `is_enough`, which runs no code of the user: then `None`.
#[inline]
pub(super) fn find_stream_unless(
    id: SourceId,
    is_enough: impl FnOnce(&Stream) -> bool,
) -> io::Result<Option<Rc<Stream>>> {
    find_as(id, |source| match source {
        Source::Stream(stream) => Some((!is_enough(stream)).then(|| stream.clone())),
        _ => None,
    })
}

/// The listener of this name, if it lives on the current core.
pub(crate) fn listener(id: SourceId) -> io::Result<Rc<Listener>> {
    find_as(id, |source| match source {
        Source::Listener(listener) => Some(listener.clone()),
        _ => None,
    })
}

/// The file of this name, if it lives on the current core.
pub(crate) fn file(id: SourceId) -> io::Result<Rc<File>> {
    find_as(id, |source| match source {
        Source::File(file) => Some(file.clone()),
        _ => None,
    })
}

/// The datagram socket of this name, if it lives on the current core.
pub(crate) fn datagrams(id: SourceId) -> io::Result<Rc<Datagrams>> {
    find_as(id, |source| match source {
        Source::Datagrams(datagrams) => Some(datagrams.clone()),
        _ => None,
    })
}

/// The descriptor of the source of this name, if that lives on the current core.
pub(crate) fn descriptor(id: SourceId) -> io::Result<Descriptor> {
    Ok(descriptor_of(&find(id)?))
}

pub(super) fn descriptor_of(source: &Source) -> Descriptor {
    match source {
        Source::Stream(stream) => stream.descriptor(),
        Source::Listener(listener) => listener.descriptor(),
        Source::Datagrams(datagrams) => datagrams.descriptor(),
        Source::File(file) => file.descriptor(),
    }
}
