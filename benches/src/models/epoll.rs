//! All connections on one thread, which is told by `epoll` which are ready.

use std::io;

use super::Site;
use super::acceptor::Accepted;
use super::calls::readiness::Epoll;
use super::connection::{Connection, Interest};

const EVENTS_MAX: usize = 1024;
/// No descriptor has this number.
const LISTENER: u64 = u64::MAX;

pub(super) fn serve(site: Site) -> io::Result<()> {
    site.acceptor.do_not_wait()?;
    let mut epoll = Epoll::new(EVENTS_MAX)?;
    epoll.watch(&site.acceptor, Interest::Readable, LISTENER)?;
    // By their descriptors, which the kernel keeps small.
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut ready = Vec::with_capacity(EVENTS_MAX);
    loop {
        epoll.wait(None, &mut ready)?;
        for token in ready.drain(..) {
            if token == LISTENER {
                if !accept_all(&site, &epoll, &mut connections)? {
                    return Ok(());
                }
                continue;
            }
            // It may have ended in this turn.
            let Some(connection) = connections[token as usize].as_mut() else {
                continue;
            };
            let before = connection.interest;
            if !connection.advance(&site.files) {
                connections[token as usize] = None;
            } else if connection.interest != before {
                epoll.change(connection, connection.interest, token)?;
            }
        }
    }
}

/// False when it is over.
fn accept_all(
    site: &Site,
    epoll: &Epoll,
    connections: &mut Vec<Option<Connection>>,
) -> io::Result<bool> {
    loop {
        let stream = match site.acceptor.accept()? {
            Accepted::Connection(stream) => stream,
            Accepted::None => return Ok(true),
            Accepted::Over => return Ok(false),
        };
        let connection = Connection::new(stream)?;
        let place = connection.descriptor() as usize;
        epoll.watch(&connection, connection.interest, place as u64)?;
        if connections.len() <= place {
            connections.resize_with(place + 1, || None);
        }
        connections[place] = Some(connection);
    }
}
