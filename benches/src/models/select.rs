//! All connections on one thread, which asks by `select` which are ready. There is place for 1024 descriptors, listener and files included.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use super::Site;
use super::acceptor::Accepted;
use super::calls::readiness::{Set, select};
use super::connection::{Connection, Interest};

pub(super) fn serve(site: Site) -> io::Result<()> {
    site.acceptor.do_not_wait()?;
    let listener = site.acceptor.as_fd().as_raw_fd();
    let mut connections: Vec<Connection> = Vec::new();
    loop {
        // The kernel writes its answer over the question: it is put anew each time.
        let (mut readable, mut writable) = (Set::new(), Set::new());
        readable.insert(listener);
        let mut last = listener;
        for connection in &connections {
            let descriptor = connection.descriptor();
            last = last.max(descriptor);
            match connection.interest {
                Interest::Readable => readable.insert(descriptor),
                Interest::Writable => writable.insert(descriptor),
            }
        }
        select(last, &mut readable, &mut writable)?;
        connections.retain_mut(|connection| {
            let descriptor = connection.descriptor();
            let is_ready = readable.contains(descriptor) || writable.contains(descriptor);
            !is_ready || connection.advance(&site.files)
        });
        if readable.contains(listener) && !accept_all(&site, &mut connections)? {
            return Ok(());
        }
    }
}

/// False when it is over.
fn accept_all(site: &Site, connections: &mut Vec<Connection>) -> io::Result<bool> {
    loop {
        match site.acceptor.accept()? {
            Accepted::Connection(stream) if Set::has_place_for(stream.as_raw_fd()) => {
                connections.push(Connection::new(stream)?);
            }
            Accepted::Connection(_) => {
                let reason = format!("select has no place for descriptors from {} on", Set::LIMIT);
                site.acceptor.refuse(&reason);
            }
            Accepted::None => return Ok(true),
            Accepted::Over => return Ok(false),
        }
    }
}
