//! An echo server as a bare loop around `epoll`: what readiness costs without an executor.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::Range;

use crate::file_models::is_passing;
use crate::models::calls::readiness::{Epoll, Interest};
use crate::peers::{Job, Served};

const EVENTS_MAX: usize = 1024;

/// Accepts the connections of the job, sends back what comes, and returns when all are closed.
///
/// # Errors
///
/// If a connection breaks.
pub(crate) fn serve(job: &Job) -> io::Result<Served> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    job.listening(listener.local_addr()?);
    let mut epoll = Epoll::new(EVENTS_MAX)?;
    let mut connections = Vec::with_capacity(job.connections);
    for token in 0..job.connections {
        let (stream, _) = listener.accept()?;
        let connection = Connection::new(stream, job.bytes)?;
        epoll.watch(&connection.stream, connection.interest, token as u64)?;
        connections.push(Some(connection));
    }
    let mut ready = Vec::with_capacity(EVENTS_MAX);
    let (mut open, mut waits) = (job.connections, 0);
    while open > 0 {
        epoll.wait(None, &mut ready)?;
        waits += 1;
        for token in ready.drain(..) {
            let place = &mut connections[token as usize];
            let connection = place.as_mut().expect("who is closed is not watched");
            let before = connection.interest;
            if !connection.advance()? {
                *place = None;
                open -= 1;
            } else if connection.interest != before {
                epoll.change(&connection.stream, connection.interest, token)?;
            }
        }
    }
    Ok(Served {
        enters: Some(waits),
        detail: Some("level-triggered".to_owned()),
    })
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// What of the buffer is still to be sent back.
    unsent: Range<usize>,
    interest: Interest,
}

impl Connection {
    fn new(stream: TcpStream, bytes: usize) -> io::Result<Connection> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Connection {
            stream,
            buffer: vec![0; bytes],
            unsent: 0..0,
            interest: Interest::Readable,
        })
    }

    /// Goes on when what it waits for has come. It reads once: if there is more, it is told so again, together with the others. False when the
    /// other side sends nothing any more.
    fn advance(&mut self) -> io::Result<bool> {
        if self.unsent.is_empty() {
            match self.stream.read(&mut self.buffer) {
                Ok(0) => return Ok(false),
                Ok(count) => self.unsent = 0..count,
                Err(error) if is_passing(&error) => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        while !self.unsent.is_empty() {
            match self.stream.write(&self.buffer[self.unsent.clone()]) {
                Ok(count) => self.unsent.start += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.interest = match self.unsent.is_empty() {
            true => Interest::Readable,
            false => Interest::Writable,
        };
        Ok(true)
    }
}
