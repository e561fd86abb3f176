//! `epoll`, level-triggered: the kernel keeps the list, and tells only those that are ready.

use std::io;

use super::calls::Epoll;
use super::sources::Sources;
use super::{Incoming, Received};

pub(super) fn read(mut incoming: Incoming) -> io::Result<Received> {
    let mut sources = Sources::new(&mut incoming)?;
    let mut epoll = Epoll::new()?;
    for index in 0..sources.len() {
        if let Some(descriptor) = sources.descriptor(index) {
            epoll.add(descriptor, index)?;
        }
    }
    incoming.start();
    let mut ready = Vec::new();
    while sources.is_any_open() {
        sources.calls += 1;
        epoll.wait(&mut ready)?;
        for index in ready.drain(..) {
            sources.read(index)?;
        }
    }
    Ok(sources.received())
}
