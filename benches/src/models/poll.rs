//! All connections on one thread, which asks by `poll` which are ready. The kernel goes through all of them each time.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use super::Site;
use super::acceptor::Accepted;
use super::calls::readiness::{entry, poll};
use super::connection::{Connection, Interest};

pub(super) fn serve(site: Site) -> io::Result<()> {
    site.acceptor.do_not_wait()?;
    let listener = site.acceptor.as_fd().as_raw_fd();
    // The entry of the listener is the first, that of a connection one behind its own place.
    let mut entries = vec![entry(listener, Interest::Readable)];
    let mut connections: Vec<Connection> = Vec::new();
    loop {
        poll(&mut entries)?;
        // From the end, so that one that takes the place of another was looked at.
        for place in (0..connections.len()).rev() {
            if entries[place + 1].revents == 0 {
                continue;
            }
            let connection = &mut connections[place];
            if connection.advance(&site.files) {
                entries[place + 1] = entry(connection.descriptor(), connection.interest);
            } else {
                connections.swap_remove(place);
                entries.swap_remove(place + 1);
            }
        }
        if entries[0].revents == 0 {
            continue;
        }
        loop {
            match site.acceptor.accept()? {
                Accepted::Connection(stream) => {
                    let connection = Connection::new(stream)?;
                    entries.push(entry(connection.descriptor(), connection.interest));
                    connections.push(connection);
                }
                Accepted::None => break,
                Accepted::Over => return Ok(()),
            }
        }
    }
}
